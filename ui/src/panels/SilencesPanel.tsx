import type { ReactNode } from "react";
import { Ago, AskedPanel } from "../components/Asked";
import { ErrorWords } from "../components/Panel";
import { type Maintenance, type Silence, notEnded } from "../core/silences";
import { useMayChange, useSilences, useWork } from "../state/alerting";

export function SilencesPanel(): ReactNode {
  const query = useSilences();
  return (
    <AskedPanel title="Silences" query={query} testId="silences">
      {({ silences, maintenance }) => {
        const lasting = notEnded(silences);
        return (
          <>
            {lasting.length === 0 && <p className="quiet-state">Nothing is silenced. The button beside an alert does it.</p>}
            <ul className="rows">{lasting.map((silence) => <SilenceRow key={silence.id} silence={silence} nowMs={query.dataUpdatedAt} />)}</ul>
            <ul className="rows">{maintenance.map((window) => <WindowRow key={window.name} window={window} />)}</ul>
          </>
        );
      }}
    </AskedPanel>
  );
}

function SilenceRow({ silence, nowMs }: { readonly silence: Silence; readonly nowMs: number }): ReactNode {
  const work = useWork();
  const mayChange = useMayChange();
  return (
    <li className="row" data-testid="silence-row" data-state={silence.state}>
      <div className="row-words">
        <Matchers matchers={silence.matchers} />
        <p>{silence.comment}</p>
        <p className="panel-note">{silence.author}, {silence.state === "pending" && <>begins <Ago ms={silence.startsMs} nowMs={nowMs} />, </>}ends <Ago ms={silence.endsMs} nowMs={nowMs} /></p>
        <div role="alert">{work.error && <ErrorWords error={work.error} />}</div>
      </div>
      {mayChange && <button type="button" className="button" disabled={work.busy} aria-label={`End the silence of ${silence.matchers.join(", ")}`} data-testid="silence-end" onClick={() => void work.run((client) => client.endSilence(silence.id))}>End now</button>}
    </li>
  );
}

function WindowRow({ window }: { readonly window: Maintenance }): ReactNode {
  return (
    <li className="row" data-testid="maintenance">
      <div className="row-words">
        <Matchers matchers={window.matchers} />
        {window.comment && <p>{window.comment}</p>}
        <p className="panel-note">Maintenance window {window.name}, {window.when}{window.isOpen ? ": now" : ""}</p>
      </div>
    </li>
  );
}

export function Matchers({ matchers }: { readonly matchers: readonly string[] }): ReactNode {
  return <span className="labels">{matchers.map((matcher) => <code key={matcher} className="label">{matcher}</code>)}</span>;
}
