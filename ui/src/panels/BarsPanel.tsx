import type { ReactNode } from "react";
import { Bars } from "../components/Bars";
import { copyText, fileName, saveText, serverOrigin } from "../components/files";
import { Panel } from "../components/Panel";
import { BarSkeleton } from "../components/Skeletons";
import { type Metric, questionPath } from "../core/api";
import { csv } from "../core/csv";
import { curlQuestion } from "../core/curl";
import { lowerWords, plural, words } from "../core/names";
import { isAdditive } from "../core/series";
import { useAddress, useBreakdown } from "../state/hooks";
import { breakdownQuestion } from "./questions";
import { useDimensionFilter } from "./useDimensionFilter";
import { LimitNote } from "./LimitNote";
import { unitOf } from "./units";

interface BarsPanelProps {
  readonly metric: Metric;
  readonly dimension: string;
  /** The table of the top pages has its own name and hook. */
  readonly top: boolean;
}

export function BarsPanel({ metric, dimension, top }: BarsPanelProps): ReactNode {
  const address = useAddress();
  const question = breakdownQuestion(metric, address, dimension);
  const query = useBreakdown(question);
  const filter = useDimensionFilter(dimension);
  const name = fileName([metric.name, dimension], "csv");
  const rows = query.data?.rows ?? [];
  return (
    <Panel
      testId={top ? "top-table" : "bars-panel"}
      title={top ? `Top ${plural(dimension)}` : `By ${lowerWords(dimension)}`}
      menu={{
        label: `Menu of ${words(metric.name)} by ${lowerWords(dimension)}`,
        items: [
          { label: "Download CSV", run: () => saveText(name, csv([dimension, metric.name], rows.map((row) => [row.name, row.value]))) },
          { label: "Copy query as curl", run: () => copyText(curlQuestion(serverOrigin(), questionPath(question))), done: "Copied" },
        ],
      }}
      query={query}
      foot={query.data?.limited && <LimitNote />}
      skeleton={<BarSkeleton />}
    >
      {(breakdown) =>
        breakdown.rows.length === 0
          ? <p className="panel-state">No {lowerWords(metric.name)} to divide here.</p>
          : <Bars breakdown={breakdown} additive={isAdditive(metric.measure)} unit={unitOf(metric)} selected={filter.selected} rowTestId={top ? "top-row" : "bar-row"} onSelect={filter.toggle} />
      }
    </Panel>
  );
}
