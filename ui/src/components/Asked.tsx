import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { clock, fullTime, relativeText } from "../core/times";
import { useAddress } from "../state/hooks";
import { PanelError } from "./Panel";
import { BarSkeleton } from "./Skeletons";

interface AskedPanelProps<Data> {
  readonly title: string;
  readonly note?: ReactNode;
  readonly query: UseQueryResult<Data>;
  readonly testId: string;
  readonly children: (data: Data) => ReactNode;
}

/** A panel of what is asked for now and then, and is not about a metric. */
export function AskedPanel<Data>({ title, note, query, testId, children }: AskedPanelProps<Data>): ReactNode {
  const { zone } = useAddress();
  const { data } = query;
  return (
    <section className="panel asked" data-testid={testId} aria-busy={query.isPending || query.isPlaceholderData}>
      <header className="panel-head">
        <h2>{title}</h2>
        {note && <span className="panel-note">{note}</span>}
        <span className="spacer" />
        {query.isRefetchError && <span className="freshness held" title={query.error.message}><span className="dot" aria-hidden="true" />held since {clock(query.dataUpdatedAt, zone)}</span>}
      </header>
      <div className={`panel-body ${query.isPlaceholderData ? "dimmed" : ""}`}>
        {data !== undefined ? children(data) : query.isError ? <PanelError query={query} /> : <BarSkeleton widths={[90, 70, 80]} />}
      </div>
    </section>
  );
}

/** `4 m ago`, with the exact time on hover. */
export function Ago({ ms, nowMs }: { readonly ms: number; readonly nowMs: number }): ReactNode {
  const { zone } = useAddress();
  return <time dateTime={new Date(ms).toISOString()} title={fullTime(ms, zone)}>{relativeText(ms, nowMs)}</time>;
}
