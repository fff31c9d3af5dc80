import type { ReactNode } from "react";
import { PanelError } from "../components/Panel";
import { LineSkeleton } from "../components/Skeletons";
import type { Rule } from "../core/alerts";
import { huesFor } from "../core/colours";
import { compactNumber, exactNumber } from "../core/numbers";
import { type Span, spanOf } from "../core/ranges";
import { type Curve, thresholdOf } from "../core/ruleText";
import { spanLabel } from "../core/times";
import { useCurves } from "../state/alerting";
import { useAddress } from "../state/hooks";

const CURVES_MAX = 7;

/** What a rule looks at, over the range of the page, with the line that it is held against. */
export function RulePreview({ rule }: { readonly rule: Rule }): ReactNode {
  const { range, zone } = useAddress();
  const { expr, limit } = thresholdOf(rule.expr);
  const query = useCurves(expr, range);
  const span = spanOf(range, query.dataUpdatedAt);
  return (
    <figure className="rule-preview" data-testid="rule-preview" data-limit={limit ?? ""}>
      <figcaption><code>{rule.expr}</code></figcaption>
      {query.data ? <Curves curves={query.data} limit={limit} span={span} /> : query.isError ? <PanelError query={query} /> : <LineSkeleton />}
      <p className="panel-note">{spanLabel(span.fromMs, span.toMs, zone)}{limit === null ? "; where there is a line, it fires" : `; the dashed line is ${exactNumber(limit)}`}</p>
    </figure>
  );
}

function Curves({ curves, limit, span }: { readonly curves: readonly Curve[]; readonly limit: number | null; readonly span: Span }): ReactNode {
  if (curves.length === 0) return <p className="quiet-state">Nothing in this time.</p>;
  const shown = curves.slice(0, CURVES_MAX).map(({ labels, points }) => ({ name: Object.values(labels).join(" ") || "value", points }));
  const hues = huesFor(shown.map(({ name }) => name));
  const values = shown.flatMap(({ points }) => points.map(({ value }) => value));
  const [low, high] = [Math.min(0, limit ?? 0, ...values), Math.max(0, limit ?? 0, ...values)];
  const x = (atMs: number): number => ((atMs - span.fromMs) / (span.toMs - span.fromMs)) * 1_000;
  const y = (value: number): number => 96 - ((value - low) / (high - low || 1)) * 92;
  return (
    <>
      <div className="rule-curves">
        <span className="panel-note" title={exactNumber(high)}>{compactNumber(high)}</span>
        <svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label={`${shown.length} series between ${exactNumber(low)} and ${exactNumber(high)}`}>
          {shown.map(({ name, points }) => <polyline key={name} style={{ stroke: `var(--hue-${hues.get(name) ?? "blue"})` }} points={points.map(({ atMs, value }) => `${x(atMs).toFixed(1)},${y(value).toFixed(2)}`).join(" ")} />)}
          {limit !== null && <line x1="0" x2="1000" y1={y(limit)} y2={y(limit)} />}
        </svg>
        <span className="panel-note" title={exactNumber(low)}>{compactNumber(low)}</span>
      </div>
      <ul className="curve-names">
        {shown.map(({ name }) => <li key={name}><span style={{ background: `var(--hue-${hues.get(name) ?? "blue"})` }} aria-hidden="true" />{name}</li>)}
        {curves.length > CURVES_MAX && <li className="panel-note">and {exactNumber(curves.length - CURVES_MAX)} more</li>}
      </ul>
    </>
  );
}
