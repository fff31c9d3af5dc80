import type { Lifecycle } from "../core/seams";

/** `name`: of the lock that tabs of one origin share. */
export function pageLifecycle(name: string): Lifecycle {
  return {
    watch(hide, wake) {
      // Mobile browsers end a page in the background without a word: hidden may be the last that is heard.
      document.addEventListener("visibilitychange", () => {
        if (document.visibilityState === "hidden") hide();
      });
      addEventListener("pagehide", hide);
      addEventListener("online", wake);
      addEventListener("pageshow", (event) => {
        if (event.persisted) wake();
      });
    },
    isOffline: () => !navigator.onLine,
    // Without locks, or in a sandbox that refuses them, tabs may send the same events: the server tells by their ids.
    alone: (task) => navigator.locks?.request(name, task).catch(task) ?? task(),
  };
}
