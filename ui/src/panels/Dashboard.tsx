import type { ReactNode } from "react";
import type { Metric } from "../core/api";
import { planDimensions } from "../core/breakdown";
import { isAdditive } from "../core/series";
import { BarsPanel } from "./BarsPanel";
import { DeadLetterPanel } from "./DeadLetterPanel";
import { DonutPanel } from "./DonutPanel";
import { KeyNumbers } from "./KeyNumbers";
import { LiveFeedPanel } from "./LiveFeedPanel";
import { TimeSeriesPanel } from "./TimeSeriesPanel";

/** What is happening; then where; then what is arriving right now. */
export function Dashboard({ metric, metrics }: { readonly metric: Metric; readonly metrics: readonly Metric[] }): ReactNode {
  const plan = planDimensions(metric);
  // Parts of a whole can only be drawn where values add up.
  const round = plan.donut !== null && isAdditive(metric.measure);
  return (
    <>
      <KeyNumbers metric={metric} metrics={metrics} />
      <div className="grid">
        <TimeSeriesPanel key={metric.name} metric={metric} />
        {plan.donut !== null && (round ? <DonutPanel key={plan.donut} metric={metric} dimension={plan.donut} /> : <BarsPanel key={plan.donut} metric={metric} dimension={plan.donut} top={false} />)}
        {plan.table !== null && <BarsPanel key={`top-${plan.table}`} metric={metric} dimension={plan.table} top />}
        {plan.bars.map((dimension) => <BarsPanel key={dimension} metric={metric} dimension={dimension} top={false} />)}
        <LiveFeedPanel metric={metric} />
      </div>
      <DeadLetterPanel whenNone={<p className="letters-none" data-testid="dead-letter-none">No late or rejected events</p>} />
    </>
  );
}
