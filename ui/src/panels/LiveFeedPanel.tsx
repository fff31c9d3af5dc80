import type { ReactNode } from "react";
import { clock } from "../core/times";
import { type FedEvent } from "../core/feed";
import { type Filter, UNKNOWN, dimensionOf, filterOf, formatFilter, matchesFilters, withFilter } from "../core/filters";
import type { Metric } from "../core/api";
import { useAddress, useApp, useFeed, useLive } from "../state/hooks";

const ROWS_MAX = 8;
const PROPERTIES_MAX = 8;

/** A sample of what is arriving, newest first; not a log: the server sends ten of each batch at most. */
export function LiveFeedPanel({ metric }: { readonly metric: Metric }): ReactNode {
  const { filters, live } = useAddress();
  const { navigation } = useApp();
  const { status } = useLive();
  const events = useFeed();
  const matching = events.filter((event) => matchesFilters(event, filters));
  const narrow = (filter: Filter): void => navigation.go({ filters: withFilter(filters, filter) });
  const waiting = !live || status === "paused" ? "Live updates are off." : filters.length > 0 ? "Waiting for an event that matches the filters." : "Waiting for the next event.";
  return (
    <section className="panel" data-testid="live-feed">
      <header className="panel-head">
        <h2>Live events</h2>
        <span className="panel-note">a sample{filters.length > 0 ? ` · ${filters.map(formatFilter).join(", ")}` : ""}</span>
        <span className="spacer" />
        <button type="button" className="quiet-button" onClick={() => navigation.explain("")}>Explain an event</button>
      </header>
      <div className="panel-body feed">
        {matching.length === 0 && <p className="panel-state">{waiting}</p>}
        <ol aria-label="Live events, newest first">
          {matching.slice(0, ROWS_MAX).map((event) => <FeedRow key={event.serial} event={event} metric={metric} onNarrow={narrow} />)}
        </ol>
      </div>
    </section>
  );
}

function FeedRow({ event, metric, onNarrow }: { readonly event: FedEvent; readonly metric: Metric; readonly onNarrow: (filter: Filter) => void }): ReactNode {
  const { zone } = useAddress();
  const properties = Object.keys(event.properties).slice(0, PROPERTIES_MAX);
  return (
    <li className="feed-row" data-testid="feed-row" data-event={event.event}>
      <time dateTime={new Date(event.timestampMs).toISOString()}>{clock(event.timestampMs, zone)}</time>
      <span className="feed-event">{event.event}</span>
      <span className="feed-properties">
        {properties.map((name) => {
          const value = dimensionOf(event, name);
          const text = value.length > 80 ? `${value.slice(0, 79)}…` : value;
          return metric.dimensions.includes(name) && value !== UNKNOWN
            ? <button type="button" key={name} className="feed-property" title={`Filter by ${name}: ${value}`} onClick={() => onNarrow(filterOf(name, value))}><i>{name}</i> {text}</button>
            : <span key={name} className="feed-property"><i>{name}</i> {text}</span>;
        })}
        {event.userId !== null && <span className="feed-property"><i>user</i> {event.userId}</span>}
      </span>
    </li>
  );
}
