import type { ReactNode } from "react";
import { exactNumber } from "../core/numbers";
import type { Firing } from "../core/timeline";
import { durationText } from "../core/times";
import { useApp } from "../state/hooks";

const RULES_MAX = 3;

/** What the marks of a chart are, in words, and the way to more. */
export function FiringsNote({ firings }: { readonly firings: readonly Firing[] }): ReactNode {
  const { navigation } = useApp();
  const rules = [...new Set(firings.map(({ rule }) => rule))];
  if (rules.length === 0) return null;
  return (
    <span className="firings-note" data-testid="firings">
      {rules.slice(0, RULES_MAX).map((rule) => (
        <button type="button" className="link-button" key={rule} data-rule={rule} title="Show its timeline" onClick={() => navigation.go({ page: "alerts", rule })}>
          <span className="key-firing" aria-hidden="true" />{rule} fired {durationText(lengthOf(firings, rule))}
        </button>
      ))}
      {rules.length > RULES_MAX && <span>and {exactNumber(rules.length - RULES_MAX)} more</span>}
    </span>
  );
}

function lengthOf(firings: readonly Firing[], rule: string): number {
  return firings.reduce((sum, one) => (one.rule === rule ? sum + one.toMs - one.fromMs : sum), 0);
}
