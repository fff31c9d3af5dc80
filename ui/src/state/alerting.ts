/** What the alerts page asks: now and then, since the server doesn't say when a rule was evaluated. */
import { type UseQueryResult, keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import type { Alerts, Change, Rules } from "../core/alerts";
import type { Client } from "../core/api";
import { type Range, spanOf } from "../core/ranges";
import type { Checked, Curve } from "../core/ruleText";
import type { Notification, Receiver, Silences } from "../core/silences";
import { type Firing, firingsOf, timelines } from "../core/timeline";
import { useAddress, useApp, useDeferred, useSession } from "./hooks";

const EVERY_MS = 5_000;

function useAsked<T>(key: readonly unknown[], ask: (client: Client, signal: AbortSignal) => Promise<T>, everyMs = EVERY_MS): UseQueryResult<T> {
  const { client } = useApp();
  const { live } = useAddress();
  return useQuery<T>({
    queryKey: ["alerting", ...key],
    queryFn: ({ signal }) => ask(client, signal),
    refetchInterval: live && everyMs,
    placeholderData: keepPreviousData,
  });
}

export const useAlerts = (): UseQueryResult<Alerts> => useAsked(["alerts"], (client, signal) => client.alerts(signal));

export const useRules = (): UseQueryResult<Rules> => useAsked(["rules"], (client, signal) => client.rules(signal));

export const useSilences = (): UseQueryResult<Silences> => useAsked(["silences"], (client, signal) => client.silences(signal));

export const useReceivers = (): UseQueryResult<readonly Receiver[]> => useAsked(["receivers"], (client, signal) => client.receivers(signal));

export const useNotifications = (): UseQueryResult<readonly Notification[]> => useAsked(["notifications"], (client, signal) => client.notifications(signal));

/** From the beginning of the range up to now, whenever it ends. */
export const useChanges = (range: Range, everyMs?: number): UseQueryResult<readonly Change[]> =>
  useAsked(["changes", range], (client, signal) => client.alertChanges(spanOf(range, Date.now()).fromMs, signal), everyMs);

/** A chart is about the metric: what fired may be drawn a moment later. */
const BESIDE_A_CHART_MS = 15_000;

/** When rules that read a metric fired, in the range of the page. */
export function useFirings(metric: string): readonly Firing[] {
  const { range } = useAddress();
  const { data: changes, dataUpdatedAt } = useChanges(range, BESIDE_A_CHART_MS);
  const rules = useRules().data;
  const alerts = useAlerts().data?.alerts;
  return useMemo(() => {
    if (!changes || !rules || !alerts) return [];
    const { fromMs, toMs } = spanOf(range, dataUpdatedAt);
    return firingsOf(metric, rules.groups.flatMap((group) => group.rules), timelines(changes, alerts, { fromMs, toMs: Math.min(toMs, dataUpdatedAt) }));
  }, [metric, range, changes, dataUpdatedAt, rules, alerts]);
}

export interface Work {
  readonly busy: boolean;
  readonly error: Error | null;
  /** Whether it was done. What is shown of alerting is asked anew then. */
  readonly run: (work: (client: Client) => Promise<unknown>) => Promise<boolean>;
}

/** Changes something of alerting, and keeps what went wrong for those who asked for it. */
export function useWork(): Work {
  const { client, queries } = useApp();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const run = async (work: (client: Client) => Promise<unknown>): Promise<boolean> => {
    setBusy(true);
    setError(null);
    try {
      await work(client);
      await queries.invalidateQueries({ queryKey: ["alerting"] });
      return true;
    } catch (reason) {
      setError(reason instanceof Error ? reason : new Error(String(reason)));
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { busy, error, run };
}

/** Whether this browser may silence, and end silences. */
export function useMayChange(): boolean {
  return useSession().data?.scope === "admin";
}

const TYPED_MS = 400;

/** What is written, as the server understands it a moment later. */
export function useCheckedRules(typed: string): UseQueryResult<Checked> {
  const { client } = useApp();
  const written = useDeferred(typed, TYPED_MS);
  return useQuery<Checked>({ queryKey: ["rule-check", written], queryFn: ({ signal }) => client.checkRules(written, signal), enabled: written.trim() !== "", placeholderData: keepPreviousData });
}

export function useCurves(expr: string, range: Range): UseQueryResult<readonly Curve[]> {
  const { client } = useApp();
  return useQuery<readonly Curve[]>({ queryKey: ["rule-curves", expr, range], queryFn: ({ signal }) => client.curves(expr, spanOf(range, Date.now()), signal), placeholderData: keepPreviousData });
}
