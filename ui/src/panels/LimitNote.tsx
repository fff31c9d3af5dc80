import type { ReactNode } from "react";

/** The server counts a dimension's values beyond its limit together. */
export function LimitNote(): ReactNode {
  return <span data-testid="limit-note">more than 10,000 values a day: the rest is (other)</span>;
}
