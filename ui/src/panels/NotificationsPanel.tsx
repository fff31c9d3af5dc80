import type { ReactNode } from "react";
import { Ago, AskedPanel } from "../components/Asked";
import { NOTIFICATIONS_MAX, type Notification } from "../core/silences";
import { words } from "../core/names";
import { useNotifications } from "../state/alerting";

export function NotificationsPanel(): ReactNode {
  const query = useNotifications();
  return (
    <AskedPanel title="Notifications" note={`the newest ${NOTIFICATIONS_MAX}`} query={query} testId="notifications">
      {(notifications) => (notifications.length === 0 ? <p className="quiet-state">Nobody was told of anything yet.</p> : (
        <div className="letters-scroll">
          <table className="plain-table">
            <caption className="visually-hidden">Notifications, the newest first</caption>
            <thead><tr><th scope="col">Made</th><th scope="col">Receiver</th><th scope="col">Of</th><th scope="col">Alerts</th><th scope="col">Outcome</th><th scope="col" className="number">Tries</th><th scope="col">Answer</th></tr></thead>
            <tbody>{notifications.map((each) => <NotificationRow key={each.id} one={each} nowMs={query.dataUpdatedAt} />)}</tbody>
          </table>
        </div>
      ))}
    </AskedPanel>
  );
}

function NotificationRow({ one, nowMs }: { readonly one: Notification; readonly nowMs: number }): ReactNode {
  return (
    <tr data-testid="notification" data-outcome={one.outcome}>
      <th scope="row" className="alert-since"><Ago ms={one.madeMs} nowMs={nowMs} /></th>
      <td>{one.receiver}</td>
      <td className="letter-message">{one.group.slice(one.receiver.length + 1)}</td>
      <td className="alert-since">{[one.firing > 0 && `${one.firing} firing`, one.resolved > 0 && `${one.resolved} resolved`].filter(Boolean).join(", ")}</td>
      <td className="outcome">{words(one.outcome)}</td>
      <td className="number">{one.tries}</td>
      <td className="letter-message">{one.answer}</td>
    </tr>
  );
}
