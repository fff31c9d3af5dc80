import type { ReactNode } from "react";
import type { Metric } from "../core/api";
import { lowerWords } from "../core/names";
import { PRESETS, durationMs } from "../core/ranges";
import { fullTime } from "../core/times";
import { useAddress, useApp } from "../state/hooks";

/** Zero is an answer. This says what it is an answer to, and the way to something more. */
export function SilenceNote({ metric }: { readonly metric: Metric }): ReactNode {
  const address = useAddress();
  const { navigation } = useApp();
  const { range, filters } = address;
  const asked = range.kind === "last" ? (durationMs(range.last) ?? 0) : 0;
  const wider = PRESETS.find((preset) => (durationMs(preset) ?? 0) > asked);
  return (
    <div className="silence" data-testid="no-data">
      <p>
        No {lowerWords(metric.name)} here{filters.length > 0 ? " with these filters" : ""}.
        {metric.lastSeenMs !== null && ` The newest of all: ${fullTime(metric.lastSeenMs, address.zone)}.`}
      </p>
      {filters.length > 0 && <button type="button" className="button" onClick={() => navigation.go({ filters: [] })}>Remove the filters</button>}
      {wider && <button type="button" className="button" onClick={() => navigation.go({ range: { kind: "last", last: wider } })}>Show the last {wider}</button>}
    </div>
  );
}
