import { memory } from "../core/memory";
import type { KeyValues } from "../core/seams";

/** localStorage; what it can't hold, or all of it where a browser forbids it, in memory. */
export function localValues(): KeyValues {
  const overflow = memory();
  const area = storageArea();
  if (!area) return overflow;
  return {
    get: (key) => overflow.get(key) ?? area.getItem(key),
    set(key, value) {
      try {
        area.setItem(key, value);
        overflow.remove(key);
      } catch {
        overflow.set(key, value);
      }
    },
    remove(key) {
      overflow.remove(key);
      area.removeItem(key);
    },
    keys: () => [...Object.keys(area), ...overflow.keys()],
  };
}

/** To ask for it is refused in a sandbox or without cookies; in some web views there is none. */
function storageArea(): Storage | null {
  try {
    return localStorage;
  } catch {
    return null;
  }
}
