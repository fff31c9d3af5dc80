import type { ReactNode } from "react";
import { Icon } from "../components/icons";
import { type LiveEvent, dimensionOf } from "../core/filters";

/** The first event has come: shown itself, not a word about it. */
export function FirstEvent({ event, onClose }: { readonly event: LiveEvent; readonly onClose: () => void }): ReactNode {
  return (
    <section className="first-event" role="status" data-testid="first-event">
      <Icon name="check" />
      <div>
        <h2>Your first event is here</h2>
        <p className="first-event-words">
          <strong>{event.event}</strong>
          {Object.keys(event.properties).slice(0, 8).map((name) => <span key={name} className="feed-property"><i>{name}</i> {dimensionOf(event, name)}</span>)}
          {event.userId !== null && <span className="feed-property"><i>user</i> {event.userId}</span>}
        </p>
      </div>
      <span className="spacer" />
      <button type="button" className="icon-button" aria-label="Close" onClick={onClose}><Icon name="close" /></button>
    </section>
  );
}
