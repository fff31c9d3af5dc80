/** Thin adapters from the framework-free core to React. */
import { type UseQueryResult, useQuery } from "@tanstack/react-query";
import { createContext, useContext, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import type { AccessKey, Session } from "../core/access";
import type { Address } from "../core/address";
import { type Answer, type Breakdown, type Metric, type Question, type Row, type Series, questionPath } from "../core/api";
import type { Occurrence } from "../core/explain";
import type { FedEvent } from "../core/feed";
import type { Letter, ReasonCount } from "../core/letters";
import type { LiveState } from "../core/live";
import type { Range } from "../core/ranges";
import { isSessionMetric } from "../core/sessions";
import { storeAskedMs } from "../core/staleness";
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

/** Asked once, and again when an answer says that this browser isn't signed in any more. */
export function useSession(): UseQueryResult<Session> {
  const { client } = useApp();
  return useQuery({ queryKey: ["session"], queryFn: ({ signal }) => client.session(signal), staleTime: Infinity });
}

export function useKeys(): UseQueryResult<readonly AccessKey[]> {
  const { client } = useApp();
  return useQuery({ queryKey: ["keys"], queryFn: ({ signal }) => client.keys(signal) });
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

/** Values of a dimension to complete what is typed; a moment after it was typed, so that not every letter is a question. */
export function useValues(question: Question, dimension: string | null, prefix: string): readonly Row[] {
  const { client } = useApp();
  const asked = useDeferred(prefix, VALUES_WAIT_MS);
  const { data } = useQuery<readonly Row[]>({
    queryKey: ["values", question.name, dimension, questionPath(question), asked],
    queryFn: ({ signal }) => client.values(question, dimension ?? "", asked, signal),
    enabled: dimension !== null,
    staleTime: VALUES_STALE_MS,
    placeholderData: (before, query) => (query?.queryKey[2] === dimension ? before : undefined),
  });
  return data ?? [];
}

const VALUES_WAIT_MS = 120;
const VALUES_STALE_MS = 10_000;

/** A value when it has rested for a moment. */
export function useDeferred(value: string, ms: number): string {
  const [deferred, setDeferred] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setDeferred(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return deferred;
}

/** The server says nothing when an event is only set aside, so these are asked for now and then. */
const LETTERS_EVERY_MS = 5_000;

export function useLetterCounts(range: Range): UseQueryResult<readonly ReasonCount[]> {
  const { client } = useApp();
  const { live } = useAddress();
  return useQuery<readonly ReasonCount[]>({
    queryKey: ["letter-counts", range],
    queryFn: ({ signal }) => client.letterCounts(range, Date.now(), signal),
    refetchInterval: live && LETTERS_EVERY_MS,
    placeholderData: (before) => before,
  });
}

export function useLetters(range: Range, reason: string | null): UseQueryResult<readonly Letter[]> {
  const { client } = useApp();
  const { live } = useAddress();
  return useQuery<readonly Letter[]>({
    queryKey: ["letters", range, reason],
    queryFn: ({ signal }) => client.letters(range, reason, Date.now(), signal),
    refetchInterval: live && LETTERS_EVERY_MS,
    placeholderData: (before) => before,
  });
}

export function useExplained(eventId: string): UseQueryResult<readonly Occurrence[]> {
  const { client } = useApp();
  return useQuery<readonly Occurrence[]>({
    queryKey: ["explain", eventId],
    queryFn: ({ signal }) => client.explain(eventId, signal),
    enabled: eventId !== "",
  });
}

/** Where events are sent; null where it isn't known, or is the server that served the page. */
export function useIngestUrl(): string | null {
  const { client } = useApp();
  const { data } = useQuery<string | null>({ queryKey: ["ingest-url"], queryFn: ({ signal }) => client.ingestUrl(signal) });
  return data ?? null;
}

/**
 * How far an answer is complete. The answer's own word, or the live connection's newer one as long as nothing was
 * counted since the answer came; that word is not about sessions, which are counted when they end.
 */
export function useCompleteUpTo(answer: Answer | undefined, answeredAtMs: number): number | null {
  const { status, freshness, lastUpdateMs } = useLive();
  return useMemo(() => {
    const own = answer?.completeUpToMs ?? null;
    const follows = !answer || !isSessionMetric(answer.metric);
    const newer = follows && status === "live" && (lastUpdateMs === null || lastUpdateMs <= storeAskedMs(answer, answeredAtMs));
    const live = newer ? (freshness?.completeUpToMs ?? null) : null;
    return own === null ? live : live === null ? own : Math.max(own, live);
  }, [answer, answeredAtMs, status, freshness, lastUpdateMs]);
}
