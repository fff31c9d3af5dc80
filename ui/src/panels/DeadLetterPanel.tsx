import { type ReactNode, useId, useState } from "react";
import { Figure } from "../components/numbers";
import { Original } from "../components/Original";
import { PanelError } from "../components/Panel";
import { BarSkeleton } from "../components/Skeletons";
import { LETTERS_MAX, type Letter, type ReasonCount, countOf } from "../core/letters";
import { words } from "../core/names";
import { exactNumber } from "../core/numbers";
import { type Range, durationWords } from "../core/ranges";
import { clock, fullTime, spanLabel } from "../core/times";
import { useAddress, useApp, useLetterCounts, useLetters } from "../state/hooks";

/** What of the chosen range's arrivals was not counted, and why. Without any, it is `whenNone`. */
export function DeadLetterPanel({ whenNone }: { readonly whenNone: ReactNode }): ReactNode {
  const { range, zone, filters } = useAddress();
  const query = useLetterCounts(range);
  const [open, setOpen] = useState(false);
  const [reason, setReason] = useState<string | null>(null);
  const id = useId();
  const counts = query.data;
  if (!counts && whenNone === null) return null;
  if (!counts && query.isPending) return <p className="letters-none" aria-busy="true"><span className="skeleton label-skeleton" /></p>;
  if (counts?.length === 0) return whenNone;
  const choose = (chosen: string): void => {
    setReason(open && reason === chosen ? null : chosen);
    setOpen(true);
  };
  return (
    <section className="panel letters" data-testid="dead-letter" data-stale={query.isPlaceholderData} aria-busy={query.isPlaceholderData}>
      <header className="panel-head">
        <h2>Late and rejected</h2>
        {counts && <span className="panel-note">{exactNumber(countOf(counts))} received {rangeWords(range, zone)}{filters.length > 0 ? ", whatever the filters" : ""}, not counted when they came</span>}
        <span className="spacer" />
        {query.isRefetchError && <span className="freshness held" title={query.error.message}><span className="dot" aria-hidden="true" />held since {clock(query.dataUpdatedAt, zone)}</span>}
        {counts && (
          <button type="button" className="quiet-button letters-toggle" aria-expanded={open} aria-controls={id} onClick={() => { setOpen(!open); setReason(null); }} data-testid="letters-toggle">
            {open ? "Hide them" : `Show the newest${countOf(counts) > LETTERS_MAX ? ` ${LETTERS_MAX}` : ""}`}
          </button>
        )}
      </header>
      <div className={`panel-body ${query.isPlaceholderData ? "dimmed" : ""}`}>
        {!counts && <PanelError query={query} />}
        {counts && <Reasons counts={counts} chosen={open ? reason : null} onChoose={choose} />}
        {open && <div id={id}><Letters range={range} reason={reason} /></div>}
      </div>
    </section>
  );
}

interface ReasonsProps {
  readonly counts: readonly ReasonCount[];
  readonly chosen: string | null;
  readonly onChoose: (reason: string) => void;
}

function Reasons({ counts, chosen, onChoose }: ReasonsProps): ReactNode {
  const { zone } = useAddress();
  return (
    <ul className="reasons" aria-label="By reason">
      {counts.map(({ reason, count, newestMs }) => (
        <li key={reason}>
          <button type="button" className="reason" aria-pressed={reason === chosen} title={`${reason}, the newest on ${fullTime(newestMs, zone)}`} data-testid="reason" data-value={reason} data-exact={count} onClick={() => onChoose(reason)}>
            <span>{words(reason)}</span> <Figure value={count} className="reason-count" />
          </button>
        </li>
      ))}
    </ul>
  );
}

function Letters({ range, reason }: { readonly range: Range; readonly reason: string | null }): ReactNode {
  const query = useLetters(range, reason);
  if (!query.data) return query.isError ? <PanelError query={query} /> : <BarSkeleton widths={[90, 80, 85]} />;
  return (
    <div className={`letters-scroll ${query.isPlaceholderData ? "dimmed" : ""}`}>
      <table className="plain-table letters-table">
        <caption className="visually-hidden">Events that were not counted, newest first{reason === null ? "" : `: ${words(reason)}`}</caption>
        <thead><tr><th scope="col">Received</th><th scope="col">Reason</th><th scope="col">Message</th><th scope="col">Event id</th></tr></thead>
        <tbody>{query.data.map((letter) => <LetterRow key={letter.key} letter={letter} />)}</tbody>
      </table>
    </div>
  );
}

function LetterRow({ letter }: { readonly letter: Letter }): ReactNode {
  const { zone } = useAddress();
  const { navigation } = useApp();
  return (
    <tr data-testid="letter" data-reason={letter.reason}>
      <th scope="row"><time dateTime={new Date(letter.receivedMs).toISOString()}>{fullTime(letter.receivedMs, zone)}</time></th>
      <td>{words(letter.reason)}</td>
      <td className="letter-message">{letter.message}<div><Original label="the original" text={letter.original} /></div></td>
      <td className="letter-id"><button type="button" className="event-id" title={`Explain ${letter.eventId}`} data-testid="letter-id" onClick={() => navigation.explain(letter.eventId)}>{letter.eventId}</button></td>
    </tr>
  );
}

function rangeWords(range: Range, zone: string | null): string {
  return range.kind === "last" ? `in the last ${durationWords(range.last)}` : `in ${spanLabel(range.fromMs, range.toMs, zone)}`;
}
