/** Calls `load` until it succeeds, with pauses that double up to `pauseMaxMs`. For what the page can't do without. */
export async function untilLoaded<T>(
  load: () => Promise<T>,
  pause: (ms: number) => Promise<void> = sleep,
  pauseMaxMs = 5_000,
): Promise<T> {
  for (let pauseMs = 250; ; pauseMs = Math.min(pauseMs * 2, pauseMaxMs)) {
    try {
      return await load();
    } catch {
      await pause(pauseMs);
    }
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
