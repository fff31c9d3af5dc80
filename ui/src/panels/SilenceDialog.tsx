import { type FormEvent, type ReactNode, useEffect, useId, useRef, useState } from "react";
import { ErrorWords } from "../components/Panel";
import { type Alert, ownLabels } from "../core/alerts";
import { formatInstant } from "../core/address";
import { exactNumber } from "../core/numbers";
import { SILENCE_LENGTHS, SILENCE_LENGTH_MS, matchesAll, matcherOf } from "../core/silences";
import { fromLocalInput, fullTime, toLocalInput, zoneLabel } from "../core/times";
import { useWork } from "../state/alerting";
import { useAddress, useApp, useSession } from "../state/hooks";

const COMMENT = "known, somebody looks at it";

interface SilenceDialogProps {
  readonly alert: Alert;
  readonly alerts: readonly Alert[];
  readonly onClose: () => void;
}

/** Everything has an answer already, so that at night it is one more click. */
export function SilenceDialog({ alert, alerts, onClose }: SilenceDialogProps): ReactNode {
  const { author: remembered } = useApp();
  const signedInAs = useSession().data?.name;
  const dialog = useRef<HTMLDialogElement>(null);
  const title = useId();
  const work = useWork();
  const [openedMs] = useState(Date.now);
  const [left, setLeft] = useState<readonly string[]>([]);
  const [endsMs, setEndsMs] = useState<number | null>(openedMs + SILENCE_LENGTH_MS);
  const [author, setAuthor] = useState(remembered.current() || signedInAs || "dashboard");
  const [comment, setComment] = useState(COMMENT);
  useEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    shown?.querySelector<HTMLElement>("[type=submit]")?.focus();
    return () => shown?.close();
  }, []);
  const chosen = Object.fromEntries(Object.entries(alert.labels).filter(([name]) => !left.includes(name)));
  const isReady = endsMs !== null && Object.keys(chosen).length > 0 && author.trim() !== "" && comment.trim() !== "";
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (!isReady) return;
    remembered.remember(author.trim());
    const matchers = Object.entries(chosen).map(([name, value]) => matcherOf(name, value));
    const wish = { matchers, ends_at: formatInstant(endsMs), author: author.trim(), comment: comment.trim() };
    if (await work.run((client) => client.silence(wish))) onClose();
  };
  return (
    <dialog ref={dialog} className="help silence-dialog" aria-labelledby={title} data-testid="silence-dialog" onClose={() => !dialog.current?.open && onClose()} onClick={(event) => event.target === dialog.current && onClose()}>
      <form onSubmit={(event) => void submit(event)}>
        <h2 id={title}>Silence {alert.rule}</h2>
        <p className="panel-note">It fires on, and nobody is told.</p>
        <LabelChoice labels={alert.labels} left={left} onLeft={setLeft} />
        <p className="panel-note" role="status">{coverWords(alerts.filter(({ state, labels }) => state !== "resolved" && matchesAll(chosen, labels)).length)}</p>
        <EndChoice openedMs={openedMs} endsMs={endsMs} onEnd={setEndsMs} />
        <div className="key-form">
          <label>Author<input type="text" data-testid="silence-author" autoComplete="name" value={author} onChange={(event) => setAuthor(event.target.value)} /></label>
          <label className="silence-comment">Comment<input type="text" data-testid="silence-comment" autoComplete="off" value={comment} onChange={(event) => setComment(event.target.value)} /></label>
        </div>
        <div role="alert">{work.error && <ErrorWords error={work.error} />}</div>
        <p className="dialog-foot">
          <button type="submit" className="button primary" data-testid="silence-make" disabled={!isReady || work.busy}>Silence</button>
          <button type="button" className="button" onClick={onClose}>Cancel</button>
        </p>
      </form>
    </dialog>
  );
}

function coverWords(count: number): string {
  return count === 1 ? "One alert of those there are now." : `${exactNumber(count)} alerts of those there are now, and those that come.`;
}

interface LabelChoiceProps {
  readonly labels: Readonly<Record<string, string>>;
  readonly left: readonly string[];
  readonly onLeft: (left: readonly string[]) => void;
}

/** A label that is left out makes the silence wider. */
function LabelChoice({ labels, left, onLeft }: LabelChoiceProps): ReactNode {
  return (
    <fieldset className="label-choice">
      <legend>Alerts with all of</legend>
      {[["alertname", labels["alertname"] ?? ""] as const, ...ownLabels(labels)].map(([name, value]) => (
        <label key={name}>
          <input type="checkbox" checked={!left.includes(name)} onChange={(event) => onLeft(event.target.checked ? left.filter((each) => each !== name) : [...left, name])} />
          <code>{name}={value}</code>
        </label>
      ))}
    </fieldset>
  );
}

interface EndChoiceProps {
  readonly openedMs: number;
  readonly endsMs: number | null;
  readonly onEnd: (endsMs: number | null) => void;
}

function EndChoice({ openedMs, endsMs, onEnd }: EndChoiceProps): ReactNode {
  const { zone } = useAddress();
  const [own, setOwn] = useState<string | null>(null);
  const choose = (value: string): void => {
    if (value === "own") return setOwn(toLocalInput(endsMs ?? openedMs, zone));
    setOwn(null);
    onEnd(openedMs + Number(value));
  };
  const type = (text: string): void => {
    setOwn(text);
    const typedMs = fromLocalInput(text, zone);
    onEnd(typedMs !== null && typedMs > openedMs ? typedMs : null);
  };
  return (
    <div className="key-form">
      <label>For
        <select data-testid="silence-length" value={own === null && endsMs !== null ? String(endsMs - openedMs) : "own"} onChange={(event) => choose(event.target.value)}>
          {SILENCE_LENGTHS.map(({ ms, words }) => <option key={ms} value={ms}>{words}</option>)}
          <option value="own">until…</option>
        </select>
      </label>
      {own !== null && <label>Until<input type="datetime-local" value={own} aria-invalid={endsMs === null} onChange={(event) => type(event.target.value)} /></label>}
      <p className="panel-note silence-end">{endsMs === null ? "Choose a time that is to come." : `Ends on ${fullTime(endsMs, zone)}, ${zoneLabel(zone, endsMs)}`}</p>
    </div>
  );
}
