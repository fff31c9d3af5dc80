/** Thin adapters from the framework-free core to React. */
import { type UseQueryResult, useQuery } from "@tanstack/react-query";
import { createContext, useContext, useMemo, useSyncExternalStore } from "react";
import type { Address } from "../core/address";
import { type Answer, type Breakdown, type Metric, type Question, type Series, questionPath } from "../core/api";
import type { FedEvent } from "../core/feed";
import type { LiveState } from "../core/live";
import { type Range, previousSpan, stepText } from "../core/ranges";
import type { Theme } from "../core/theme";
import type { App } from "./app";

export const AppContext = createContext<App | null>(null);

export function useApp(): App {
  const app = useContext(AppContext);
  if (!app) throw new Error("the page is not inside its AppContext");
  return app;
}

export function useAddress(): Address {
  const { navigation } = useApp();
  return useSyncExternalStore(navigation.subscribe, navigation.current);
}

export function useLive(): LiveState {
  const { live } = useApp();
  return useSyncExternalStore(live.subscribe, live.current);
}

export function useFeed(): readonly FedEvent[] {
  const { feed } = useApp();
  return useSyncExternalStore(feed.subscribe, feed.current);
}

export function useTheme(): Theme {
  const { theme } = useApp();
  return useSyncExternalStore(theme.subscribe, theme.current);
}

export function useMetrics(): UseQueryResult<readonly Metric[]> {
  const { client } = useApp();
  return useQuery({ queryKey: ["metrics"], queryFn: ({ signal }) => client.metrics(signal) });
}

export function useSeries(question: Question, enabled = true): UseQueryResult<Series> {
  const { client } = useApp();
  const path = questionPath(question);
  return useQuery<Series>({
    queryKey: ["ask", question.name, question.range, path],
    queryFn: ({ signal }) => client.series(question, signal),
    enabled,
    // A new range or filter dims the old line until the new one is there; another metric's line would be a lie.
    placeholderData: (before, query) => (query?.queryKey[1] === question.name ? before : undefined),
  });
}

export function useBreakdown(question: Question & { readonly groupBy: string }): UseQueryResult<Breakdown> {
  const { client } = useApp();
  return useQuery<Breakdown>({
    queryKey: ["ask", question.name, question.range, questionPath(question)],
    queryFn: ({ signal }) => client.breakdown(question, signal),
    placeholderData: (before, query) =>
      query?.queryKey[1] === question.name && before?.dimension === question.groupBy ? before : undefined,
  });
}

/** The equal period before an answered series, in the same steps. */
export function usePreviousSeries(question: Question, answered: Series | undefined): UseQueryResult<Series> {
  const span = answered ? previousSpan(answered, answered.stepMs) : { fromMs: 0, toMs: 1 };
  const range: Range = { kind: "between", ...span };
  const step = answered ? { step: stepText(answered.stepMs) } : {};
  return useSeries({ ...question, ...step, range }, answered !== undefined);
}

/**
 * How far an answer is complete. The answer's own word, or the live connection's newer one as long as nothing was
 * counted since the answer came.
 */
export function useCompleteUpTo(answer: Answer | undefined, answeredAtMs: number): number | null {
  const { status, freshness, lastUpdateMs } = useLive();
  return useMemo(() => {
    const own = answer?.completeUpToMs ?? null;
    const newer = status === "live" && (lastUpdateMs === null || lastUpdateMs <= answeredAtMs);
    const live = newer ? (freshness?.completeUpToMs ?? null) : null;
    return own === null ? live : live === null ? own : Math.max(own, live);
  }, [answer, answeredAtMs, status, freshness, lastUpdateMs]);
}
