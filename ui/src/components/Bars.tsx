import { type ReactNode, useState } from "react";
import type { Breakdown } from "../core/api";
import { barsOf } from "../core/breakdown";
import { UNKNOWN } from "../core/filters";
import { percentText } from "../core/numbers";
import { words } from "../core/names";
import { Figure } from "./numbers";

interface BarsProps {
  readonly breakdown: Breakdown;
  readonly additive: boolean;
  readonly unit: string;
  readonly selected: string | null;
  readonly rowTestId: string;
  readonly onSelect: (value: string) => void;
}

const ROWS_FIRST = 8;

/** A table whose rows are bars from zero; a row is a button that filters the page. */
export function Bars({ breakdown, additive, unit, selected, rowTestId, onSelect }: BarsProps): ReactNode {
  const [all, setAll] = useState(false);
  const bars = barsOf(breakdown, all ? Infinity : ROWS_FIRST, additive);
  const hidden = breakdown.rows.length - bars.length;
  return (
    <>
      <table className="bars">
        <thead>
          <tr>
            <th scope="col">{words(breakdown.dimension)}</th>
            <th scope="col" className="number">{unit}</th>
            {additive && <th scope="col" className="number share">Share</th>}
          </tr>
        </thead>
        <tbody>
          {bars.map((bar) => (
            <tr key={bar.name} data-testid={rowTestId} data-value={bar.name} data-exact={bar.value ?? ""} className={bar.selectable ? "selectable" : ""} onClick={() => bar.selectable && onSelect(bar.name)}>
              <th scope="row">
                <span className="bar" style={{ width: `${(bar.length * 100).toFixed(2)}%` }} aria-hidden="true" />
                {bar.selectable ? (
                  <button type="button" className="bar-name" aria-pressed={bar.name === selected} title={bar.name} onClick={(event) => { event.stopPropagation(); onSelect(bar.name); }}>
                    <span className={bar.name === UNKNOWN ? "nameless" : ""}>{bar.name}</span>
                  </button>
                ) : (
                  <span className="bar-name nameless" title="everything beyond the largest">{bar.name}</span>
                )}
              </th>
              <td className="number"><Figure value={bar.value} /></td>
              {additive && <td className="number share">{bar.share === null ? "–" : percentText(bar.share)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
      {(hidden > 0 || all) && breakdown.rows.length > ROWS_FIRST && (
        <button type="button" className="quiet-button" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? "Show fewer" : `Show ${hidden} more`}
        </button>
      )}
    </>
  );
}
