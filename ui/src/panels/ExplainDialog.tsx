import { type FormEvent, type ReactNode, useEffect, useId, useRef, useState } from "react";
import { Original } from "../components/Original";
import { PanelError } from "../components/Panel";
import { BarSkeleton } from "../components/Skeletons";
import { type Occurrence, type Pane, STATUS_WORDS, pairs, sentencesOf } from "../core/explain";
import { words } from "../core/names";
import { exactNumber } from "../core/numbers";
import { stepLabel, zoneLabel } from "../core/times";
import { useAddress, useApp, useExplained } from "../state/hooks";

/** A client that sends one id again and again has hundreds. */
const OCCURRENCES_MAX = 20;

/** What became of an event: asked by its id, answered in sentences. The id is in the address of the page. */
export default function ExplainDialog({ eventId }: { readonly eventId: string }): ReactNode {
  const { navigation } = useApp();
  const { zone } = useAddress();
  const dialog = useRef<HTMLDialogElement>(null);
  const [now] = useState(Date.now);
  const title = useId();
  const query = useExplained(eventId);
  useEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    return () => shown?.close();
  }, []);
  const close = (): void => navigation.closeExplained();
  return (
    <dialog ref={dialog} className="help explain" aria-labelledby={title} data-testid="explain" onClose={() => !dialog.current?.open && close()} onClick={(event) => event.target === dialog.current && close()}>
      <h2 id={title}>Explain an event</h2>
      <EventIdForm key={eventId} eventId={eventId} onAsk={(asked) => (asked === eventId ? void query.refetch() : navigation.explain(asked))} />
      <div className="explained" aria-live="polite" aria-busy={query.isFetching}>
        {eventId === "" ? <p className="panel-note">The id that you gave the event, or that the server made for it.</p>
          : query.data ? <Explained occurrences={query.data} />
          : query.isError ? <PanelError query={query} />
          : <BarSkeleton widths={[40, 90, 80]} />}
      </div>
      <p className="dialog-foot">
        <button type="button" className="button" onClick={close}>Close</button>
        <span className="panel-note">Times in {zoneLabel(zone, now)}</span>
      </p>
    </dialog>
  );
}

function EventIdForm({ eventId, onAsk }: { readonly eventId: string; readonly onAsk: (eventId: string) => void }): ReactNode {
  const [typed, setTyped] = useState(eventId);
  const ask = (event: FormEvent): void => {
    event.preventDefault();
    // What was pasted has a space around it more often than an id does; one that was clicked is asked as it is.
    const wanted = typed === eventId ? eventId : typed.trim();
    if (wanted) onAsk(wanted);
  };
  return (
    <form className="explain-form" role="search" onSubmit={ask}>
      <input type="text" aria-label="Event id" placeholder="Event id" data-testid="explain-input" autoFocus autoComplete="off" spellCheck={false} value={typed} onChange={(event) => setTyped(event.target.value)} />
      <button type="submit" className="button primary">Explain</button>
    </form>
  );
}

function Explained({ occurrences }: { readonly occurrences: readonly Occurrence[] }): ReactNode {
  const more = occurrences.length - OCCURRENCES_MAX;
  return (
    <>
      {occurrences.length > 1 && <p className="panel-note">{exactNumber(occurrences.length)} records have this id, the oldest first.</p>}
      {occurrences.slice(0, OCCURRENCES_MAX).map((one) => <OneOccurrence key={`${one.place.partition}/${one.place.offset}`} one={one} />)}
      {more > 0 && <p className="panel-note">And {exactNumber(more)} more.</p>}
    </>
  );
}

function OneOccurrence({ one }: { readonly one: Occurrence }): ReactNode {
  const { zone } = useAddress();
  return (
    <section className="occurrence" data-testid="occurrence" data-status={one.status}>
      <h3><span className="dot" aria-hidden="true" />{STATUS_WORDS[one.status]}</h3>
      {sentencesOf(one, zone).map((sentence) => <p key={sentence}>{sentence}</p>)}
      {one.status === "counted" && one.panes.length > 0 && <Panes panes={one.panes} />}
      {one.status === "counted" && <Original label="its properties" text={JSON.stringify(one.properties)} />}
      {"original" in one && <Original label="the original" text={one.original} />}
    </section>
  );
}

function Panes({ panes }: { readonly panes: readonly Pane[] }): ReactNode {
  const { zone } = useAddress();
  return (
    <div className="letters-scroll">
      <table className="plain-table">
        <caption className="visually-hidden">The windows that counted it</caption>
        <thead><tr><th scope="col">Metric</th><th scope="col">Window</th><th scope="col">Dimensions</th><th scope="col" className="number">Value</th></tr></thead>
        <tbody>
          {panes.map((pane) => (
            <tr key={pane.metric} data-testid="pane" data-metric={pane.metric}>
              <th scope="row">{words(pane.metric)}</th>
              <td>{stepLabel(pane.startMs, pane.endMs - pane.startMs, zone)}</td>
              <td className="letter-message">{pairs(pane.dimensions) || "none"}</td>
              <td className="number">{exactNumber(pane.value)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
