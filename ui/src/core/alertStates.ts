/** As the page sorts them; the server has no `silenced`: an alert fires on while it is. */
export const SHOWN_STATES = ["firing", "held", "pending", "silenced", "resolved"] as const;
export type ShownState = (typeof SHOWN_STATES)[number];
