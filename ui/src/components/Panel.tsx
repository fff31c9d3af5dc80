import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import type { Answer } from "../core/api";
import { ApiError } from "../core/errors";
import { durationText, clock } from "../core/times";
import { useAddress, useCompleteUpTo, useLive } from "../state/hooks";
import { Menu, type MenuItem } from "./Menu";

interface PanelProps<Data extends Answer> {
  readonly title: ReactNode;
  readonly note?: ReactNode;
  readonly value?: ReactNode;
  readonly controls?: ReactNode;
  readonly menu: { readonly label: string; readonly items: readonly MenuItem[] };
  readonly query: UseQueryResult<Data>;
  readonly skeleton: ReactNode;
  readonly className?: string;
  readonly testId: string;
  readonly foot?: ReactNode;
  readonly children: (data: Data) => ReactNode;
}

/** Every panel has the same anatomy: title, value, controls, menu; the chart; how fresh it is. */
export function Panel<Data extends Answer>(props: PanelProps<Data>): ReactNode {
  const { query } = props;
  return (
    <section className={`panel ${props.className ?? ""}`} data-testid={props.testId} data-stale={query.isPlaceholderData} aria-busy={query.isPending || query.isPlaceholderData}>
      <header className="panel-head">
        <h2>{props.title}</h2>
        {props.note && <span className="panel-note">{props.note}</span>}
        <span className="spacer" />
        {props.value}
        {props.controls}
        <Menu label={props.menu.label} items={props.menu.items} />
      </header>
      <div className={`panel-body ${query.isPlaceholderData ? "dimmed" : ""}`}>
        {query.data ? props.children(query.data) : query.error ? <PanelError query={query} /> : props.skeleton}
      </div>
      <footer className="panel-foot">
        <FreshnessMark query={query} />
        <span className="spacer" />
        {props.foot}
      </footer>
    </section>
  );
}

/** Below a second an answer is as fresh as it gets. */
const LAG_MS_WORTH_A_WORD = 1_000;

function FreshnessMark({ query }: { readonly query: UseQueryResult<Answer> }): ReactNode {
  const { zone } = useAddress();
  const { status } = useLive();
  const completeUpToMs = useCompleteUpTo(query.data, query.dataUpdatedAt);
  if (!query.data) return null;
  if (query.isPlaceholderData) return <span className="freshness">the new answer is on its way</span>;
  const held = query.isRefetchError || status === "reconnecting" || status === "offline" || status === "paused";
  const parts = [completeUpToMs === null ? "nothing counted yet" : `complete to ${clock(completeUpToMs, zone)}`];
  if (query.data.lagMs >= LAG_MS_WORTH_A_WORD) parts.push(`lag ${durationText(query.data.lagMs)}`);
  if (query.data.ageMs) parts.push(`cached ${durationText(query.data.ageMs)}`);
  if (held) parts.push(`held since ${clock(query.dataUpdatedAt, zone)}`);
  const why = query.isRefetchError && query.error ? `could not be refreshed: ${query.error.message}` : undefined;
  return (
    <span className={`freshness ${held ? "held" : ""}`} title={why}>
      <span className="dot" aria-hidden="true" />
      {parts.join(" · ")}
    </span>
  );
}

export function PanelError({ query }: { readonly query: UseQueryResult<unknown> }): ReactNode {
  return (
    <div className="panel-state" role="alert" data-testid="error-state">
      <ErrorWords error={query.error} />
      <button type="button" className="button" onClick={() => void query.refetch()}>Try again</button>
    </div>
  );
}

export function ErrorWords({ error }: { readonly error: Error | null }): ReactNode {
  const hint = error instanceof ApiError ? error.hint : "";
  const code = error instanceof ApiError ? error.code : null;
  return (
    <>
      <p className="state-title">{sentence(error?.message ?? "something went wrong")}</p>
      {hint && <p className="state-hint">{sentence(hint)}</p>}
      {code && <p className="state-code"><code>{code}</code></p>}
    </>
  );
}

export function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
