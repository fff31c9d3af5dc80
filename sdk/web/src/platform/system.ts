import type { Clock, Random } from "../core/seams";

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/** React Native has no `crypto` by itself. */
export const systemRandom: Random = () =>
  globalThis.crypto ? (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) : Math.floor(Math.random() * 2 ** 32);
