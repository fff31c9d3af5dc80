import { type ReactNode, useEffect, useState } from "react";
import type { LiveState } from "../core/live";
import { clock, durationText } from "../core/times";
import { useAddress, useApp, useLive } from "../state/hooks";

const WORDS: Readonly<Record<LiveState["status"], string>> = {
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  offline: "Offline",
  paused: "Paused",
};

/** The live switch, and how true the page is by now. */
export function LiveStatus(): ReactNode {
  const { zone, live } = useAddress();
  const { navigation } = useApp();
  const state = useLive();
  useEverySecond(state.status === "reconnecting" || state.status === "offline");
  return (
    <div className="live-status" data-testid="live-status" data-state={state.status} data-complete-up-to={state.freshness?.completeUpToMs ?? ""}>
      <button type="button" role="switch" aria-checked={live} className="live-switch" title={live ? "Stop live updates (l)" : "Start live updates (l)"} onClick={() => navigation.adjust({ live: !live })} data-testid="live-switch">
        <span className="dot" aria-hidden="true" />
        <span role="status">{WORDS[state.status]}</span>
      </button>
      <span className="live-words">{freshnessWords(state, zone)}</span>
    </div>
  );
}

function freshnessWords(state: LiveState, zone: string | null): string {
  const { status, freshness, lastHeardMs } = state;
  if (status === "reconnecting" || status === "offline") {
    return lastHeardMs === null ? "no answer from the server yet" : `last heard ${durationText(Math.max(0, Date.now() - lastHeardMs))} ago`;
  }
  if (!freshness) return "";
  if (freshness.completeUpToMs === null) return "no events yet";
  const complete = `complete to ${clock(freshness.completeUpToMs, zone)}`;
  return status === "live" ? `${complete} · lag ${durationText(freshness.lagMs)}` : complete;
}

/** Draws again each second while something counts up. */
function useEverySecond(running: boolean): void {
  const [, setCount] = useState(0);
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(() => setCount((count) => count + 1), 1_000);
    return () => clearInterval(timer);
  }, [running]);
}
