import type { MouseEvent, ReactNode } from "react";
import { countStates } from "../core/alerts";
import { type Page, formatAddress } from "../core/address";
import { useAlerts } from "../state/alerting";
import { useAddress, useApp } from "../state/hooks";

/** What the page is about: what is counted, or what is wrong with it. */
export function Pages(): ReactNode {
  const firing = countStates(useAlerts().data?.alerts ?? []).firing;
  return (
    <nav className="pages" aria-label="Pages">
      <PageLink page="metrics">Metrics</PageLink>
      <PageLink page="alerts">
        Alerts
        {firing > 0 && <span className="badge" data-testid="firing-count" title={`${firing} firing, not silenced`}>{firing}<span className="visually-hidden"> firing</span></span>}
      </PageLink>
    </nav>
  );
}

/** A link, so that it can be opened in another tab; a click stays in this one. */
function PageLink({ page, children }: { readonly page: Page; readonly children: ReactNode }): ReactNode {
  const address = useAddress();
  const { navigation } = useApp();
  const change = { page, state: null, rule: null, edit: null };
  const follow = (event: MouseEvent): void => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    navigation.go(change);
  };
  return (
    <a href={formatAddress({ ...address, ...change }) || "?"} aria-current={address.page === page ? "page" : undefined} data-testid={`page-${page}`} onClick={follow}>
      {children}
    </a>
  );
}
