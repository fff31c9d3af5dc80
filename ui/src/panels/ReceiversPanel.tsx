import { type ReactNode, useState } from "react";
import { Ago, AskedPanel } from "../components/Asked";
import { ErrorWords } from "../components/Panel";
import { Snippet } from "../components/Snippet";
import { exactNumber } from "../core/numbers";
import { type Health, type Receiver, healthOf } from "../core/silences";
import { useMayChange, useReceivers, useWork } from "../state/alerting";
import { Matchers } from "./SilencesPanel";

const FIRST_RECEIVER = `[[receivers]]
name = "chat"
slack = {webhook_url_env = "SLACK_WEBHOOK_URL"}
`;

const HEALTH_WORDS: Readonly<Record<Health, string>> = { unused: "nothing sent yet", working: "took the last one", waiting: "is being told", failing: "did not take the last one" };

export function ReceiversPanel(): ReactNode {
  const query = useReceivers();
  return (
    <AskedPanel title="Receivers" query={query} testId="receivers">
      {(receivers) => (receivers.length === 0 ? <NoReceivers /> : <ul className="rows">{receivers.map((each) => <ReceiverRow key={each.name} receiver={each} nowMs={query.dataUpdatedAt} />)}</ul>)}
    </AskedPanel>
  );
}

function NoReceivers(): ReactNode {
  return (
    <div className="no-receivers">
      <p className="quiet-state">Nobody is told of alerts. Put this into the config file, the address of the webhook into the environment, and start the server again with it.</p>
      <Snippet label="A receiver to begin with" text={FIRST_RECEIVER} />
    </div>
  );
}

function ReceiverRow({ receiver, nowMs }: { readonly receiver: Receiver; readonly nowMs: number }): ReactNode {
  const work = useWork();
  const mayChange = useMayChange();
  const [answer, setAnswer] = useState<string | null>(null);
  const { last, waiting, oldestWaitingMs } = receiver;
  const health = healthOf(receiver);
  const test = async (): Promise<void> => {
    setAnswer(null);
    await work.run(async (client) => setAnswer(await client.testReceiver(receiver.name)));
  };
  return (
    <li className="row" data-testid="receiver" data-health={health}>
      <div className="row-words">
        <p><strong>{receiver.name}</strong> <span className="panel-note">{receiver.kind}, {receiver.address}</span></p>
        {receiver.matchers.length > 0 ? <Matchers matchers={receiver.matchers} /> : <p className="panel-note">all alerts</p>}
        <p className="health"><span className="dot" aria-hidden="true" /><span>{HEALTH_WORDS[health]}{last && <>, <Ago ms={last.madeMs} nowMs={nowMs} /></>}</span></p>
        {health === "failing" && last && <p className="panel-note">{last.answer}{last.nextTryMs !== null && <>; tried again <Ago ms={last.nextTryMs} nowMs={nowMs} /></>}</p>}
        {waiting > 0 && oldestWaitingMs !== null && <p className="panel-note">{exactNumber(waiting)} waiting, the oldest made <Ago ms={oldestWaitingMs} nowMs={nowMs} /></p>}
        <div role="status">{answer !== null && <p className="panel-note">It took the test: {answer}</p>}</div>
        <div role="alert">{work.error && <ErrorWords error={work.error} />}</div>
      </div>
      {mayChange && <button type="button" className="button" disabled={work.busy} aria-label={`Send a test to ${receiver.name}`} onClick={() => void test()}>Test</button>}
    </li>
  );
}
