/** The parts of the page, made once and wired together. */
import { QueryCache, QueryClient } from "@tanstack/react-query";
import { Client } from "../core/api";
import { ApiError } from "../core/errors";
import { Feed } from "../core/feed";
import { LiveConnection } from "../core/live";
import { Navigation } from "../core/navigation";
import type { Range } from "../core/ranges";
import { Refresher } from "../core/refresher";
import { Remembered } from "../core/remembered";
import { type Change, EVERYTHING, TIME_WENT_ON, isStale } from "../core/staleness";
import { ThemeStore } from "../core/theme";

export interface App {
  readonly client: Client;
  readonly queries: QueryClient;
  readonly navigation: Navigation;
  readonly live: LiveConnection;
  readonly feed: Feed;
  readonly refresher: Refresher<Change>;
  readonly theme: ThemeStore;
  /** Who made the last silence here. */
  readonly author: Remembered;
}

/** A key of the query cache that `isStale` understands. */
export type AskKey = readonly ["ask", string, Range, string];

const HIDDEN_MS_BEFORE_PAUSE = 30_000;

const later = (run: () => void, ms: number): unknown => setTimeout(run, ms);

export function buildApp(): App {
  const queries = new QueryClient({
    queryCache: new QueryCache({ onError: (error) => error instanceof ApiError && error.status === 401 && signedOut() }),
    defaultOptions: {
      queries: {
        networkMode: "always",
        refetchOnWindowFocus: false,
        refetchOnReconnect: false,
        retry: (failures, error) => failures < 2 && error instanceof ApiError && error.passes,
        retryDelay: (failures) => 400 * 2 ** failures,
      },
    },
  });
  const signedOut = (): void => void queries.invalidateQueries({ queryKey: ["session"] });
  const live = new LiveConnection({
    open: () => new EventSource("live"),
    now: Date.now,
    random: Math.random,
    setTimeout: later,
    clearTimeout: (id) => clearTimeout(id as ReturnType<typeof setTimeout>),
  });
  const refresher = new Refresher<Change>({
    run: (changes) => refresh(queries, changes),
    now: () => performance.now(),
    setTimeout: later,
  });
  const app: App = {
    client: new Client((url, init) => fetch(url, init), "."),
    queries,
    navigation: new Navigation(window),
    live,
    feed: new Feed(later),
    refresher,
    theme: new ThemeStore(document.documentElement, storage()),
    author: new Remembered(storage(), "streamgauge.author"),
  };
  wire(app);
  return app;
}

/** After signing in or out: nothing on the page is of who is there now. */
export async function startAnew({ queries, live }: App): Promise<void> {
  live.retryNow();
  await queries.resetQueries();
}

function wire({ live, feed, refresher, queries, navigation }: App): void {
  live.onUpdate((update) => {
    feed.add(update.sample);
    refresher.add({ metrics: update.metrics, span: update.span, slides: false });
  });
  live.subscribe(() => {
    // The server may have ended it because the key was revoked; the connection isn't told why.
    if (live.current().status === "reconnecting") void queries.invalidateQueries({ queryKey: ["session"] });
  });
  live.onReturn(() => {
    void queries.invalidateQueries({ queryKey: ["metrics"] });
    refresher.add(EVERYTHING);
  });
  const connect = (): void => {
    if (navigation.current().live && document.visibilityState === "visible") live.start();
    else if (!navigation.current().live) live.pause();
  };
  navigation.subscribe(connect);
  connect();
  slideEveryMinute(() => {
    if (!navigation.current().live || document.visibilityState === "hidden") return;
    void queries.invalidateQueries({ queryKey: ["metrics"] });
    refresher.add(TIME_WENT_ON);
  });
  rest(live, refresher, connect);
  window.addEventListener("online", () => live.retryNow());
}

/** A relative range covers another minute when a minute has passed, events or not. */
function slideEveryMinute(slide: () => void): void {
  const untilNext = 60_000 - (Date.now() % 60_000) + 50;
  setTimeout(() => {
    slide();
    slideEveryMinute(slide);
  }, untilNext);
}

/** A hidden page asks nothing, and soon gives back its connection: a browser has six for each host. */
function rest(live: LiveConnection, refresher: Refresher<Change>, wake: () => void): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    const hidden = document.visibilityState === "hidden";
    refresher.hold(hidden);
    if (hidden) timer = setTimeout(() => live.pause(), HIDDEN_MS_BEFORE_PAUSE);
    else wake();
  });
}

function refresh(queries: QueryClient, changes: readonly Change[]): Promise<unknown> {
  const nowMs = Date.now();
  return queries.invalidateQueries({
    predicate: ({ queryKey }) => {
      if (queryKey[0] !== "ask") return false;
      const [, metric, range] = queryKey as unknown as AskKey;
      return changes.some((change) => isStale({ metric, range }, change, nowMs));
    },
  });
}

function storage(): Storage | null {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}
