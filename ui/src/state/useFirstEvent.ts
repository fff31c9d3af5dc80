import { useEffect, useState } from "react";
import type { Metric } from "../core/api";
import type { LiveEvent } from "../core/filters";
import { useApp } from "./hooks";

interface FirstEvent {
  readonly event: LiveEvent | null;
  readonly dismiss: () => void;
}

/** While nothing was ever counted, waits for the first event and then asks anew what there is. */
export function useFirstEvent(metrics: readonly Metric[] | undefined): FirstEvent {
  const { live, queries } = useApp();
  const [event, setEvent] = useState<LiveEvent | null>(null);
  const empty = metrics?.every(({ lastSeenMs }) => lastSeenMs === null) ?? false;
  const unseen = metrics?.filter(({ lastSeenMs }) => lastSeenMs === null).map(({ name }) => name).join(" ") ?? "";
  useEffect(() => {
    if (!unseen) return;
    return live.onUpdate((update) => {
      if (empty) setEvent((before) => before ?? update.sample[0] ?? null);
      // A metric that had nothing may have something now, and a card of its own then.
      if (empty || unseen.split(" ").some((name) => update.metrics.has(name))) void queries.invalidateQueries({ queryKey: ["metrics"] });
    });
  }, [live, queries, empty, unseen]);
  return { event, dismiss: () => setEvent(null) };
}
