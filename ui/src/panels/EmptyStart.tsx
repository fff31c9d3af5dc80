import type { ReactNode } from "react";
import { serverOrigin } from "../components/files";
import { Mark } from "../components/icons";
import { Snippet } from "../components/Snippet";
import { curlFirstEvent } from "../core/curl";
import { useIngestUrl, useLive } from "../state/hooks";

/** Nothing has ever been counted: how to send the first event. The page listens meanwhile. */
export function EmptyStart(): ReactNode {
  const { status } = useLive();
  const command = curlFirstEvent(useIngestUrl() ?? serverOrigin());
  return (
    <main className="start" data-testid="empty-state">
      <Mark size={40} />
      <h1>Send the first event</h1>
      <p>Paste this into a terminal. The event will be on this page within a second.</p>
      <Snippet label="Command that sends an event" text={command} textTestId="first-event-curl" copyTestId="copy-curl" />
      <p className="listening" role="status" data-listening={status === "live"}>
        <span className="dot" aria-hidden="true" />
        {status === "live" ? "Listening for events" : status === "paused" ? "Live updates are off" : "Connecting to the server"}
      </p>
      <p className="start-note">
        Only <code>event</code> is required. Any other field is kept as a property, and can be a dimension to filter and group by.
      </p>
    </main>
  );
}
