import { type ReactNode, useState } from "react";
import { copyText, serverOrigin } from "../components/files";
import { Icon, Mark } from "../components/icons";
import { curlFirstEvent } from "../core/curl";
import { useLive } from "../state/hooks";

/** Nothing has ever been counted: how to send the first event. The page listens meanwhile. */
export function EmptyStart(): ReactNode {
  const { status } = useLive();
  const [copied, setCopied] = useState(false);
  const command = curlFirstEvent(serverOrigin());
  const copy = async (): Promise<void> => {
    await copyText(command);
    setCopied(true);
    setTimeout(() => setCopied(false), 1_500);
  };
  return (
    <main className="start" data-testid="empty-state">
      <Mark size={40} />
      <h1>Send the first event</h1>
      <p>Paste this into a terminal. The event will be on this page within a second.</p>
      <div className="snippet">
        <pre tabIndex={0} aria-label="Command that sends an event"><code data-testid="first-event-curl">{command}</code></pre>
        <button type="button" className="button" onClick={() => void copy()} data-testid="copy-curl">
          <Icon name={copied ? "check" : "copy"} />{copied ? "Copied" : "Copy"}
        </button>
      </div>
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
