import { memory } from "../core/memory";
import type { KeyValues } from "../core/seams";

/** What React Native's AsyncStorage is, and whatever else keeps texts by key and answers later. */
export interface AsyncKeyValues {
  getAllKeys(): Promise<readonly string[]>;
  getItem(key: string): Promise<string | null>;
  setItem(key: string, value: string): Promise<unknown>;
  removeItem(key: string): Promise<unknown>;
}

/**
 * Reads what is there under the prefix, then answers from memory and writes behind, in order. Only one process may use
 * the storage.
 */
export async function mirror(storage: AsyncKeyValues, prefix: string): Promise<KeyValues> {
  const values = memory();
  const keys = (await storage.getAllKeys()).filter((key) => key.startsWith(prefix));
  await Promise.all(
    keys.map(async (key) => {
      const value = await storage.getItem(key);
      if (value !== null) values.set(key, value);
    }),
  );
  let written: Promise<unknown> = Promise.resolve();
  function write(task: () => Promise<unknown>): void {
    // What can't be written is still in memory, and sent from there.
    written = written.then(task).catch(() => undefined);
  }
  return {
    ...values,
    set(key, value) {
      values.set(key, value);
      write(() => storage.setItem(key, value));
    },
    remove(key) {
      values.remove(key);
      write(() => storage.removeItem(key));
    },
  };
}
