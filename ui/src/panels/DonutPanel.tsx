import { type ReactNode, useRef, useState } from "react";
import { Bars } from "../components/Bars";
import { copyText, fileName, saveText, serverOrigin } from "../components/files";
import { Figure } from "../components/numbers";
import { Panel } from "../components/Panel";
import { imageOfSvg, savePicture, themeColour } from "../components/picture";
import { DonutSkeleton } from "../components/Skeletons";
import { type Breakdown, type Metric, questionPath } from "../core/api";
import { type Slice, foldSlices, sumOf } from "../core/breakdown";
import { huesFor } from "../core/colours";
import { csv } from "../core/csv";
import { curlQuestion } from "../core/curl";
import { arcsOf } from "../core/donut";
import { OTHER, UNKNOWN } from "../core/filters";
import { lowerWords, words } from "../core/names";
import { compactNumber, exactNumber, percentText } from "../core/numbers";
import { useAddress, useBreakdown } from "../state/hooks";
import { LimitNote } from "./LimitNote";
import { breakdownQuestion } from "./questions";
import { useDimensionFilter } from "./useDimensionFilter";
import { unitOf } from "./units";

const RING = { centre: 110, outer: 82, inner: 54, labelRadius: 96 };
/** Slices under this share have their name in the legend only. */
const LABELLED_SHARE_MIN = 0.045;

export function DonutPanel({ metric, dimension }: { readonly metric: Metric; readonly dimension: string }): ReactNode {
  const address = useAddress();
  const question = breakdownQuestion(metric, address, dimension);
  const query = useBreakdown(question);
  const filter = useDimensionFilter(dimension);
  const [asTable, setAsTable] = useState(false);
  const svg = useRef<SVGSVGElement>(null);
  const title = `${words(metric.name)} by ${lowerWords(dimension)}`;
  const name = fileName([metric.name, dimension], "");
  const rows = query.data?.rows ?? [];

  const savePng = async (): Promise<void> => {
    if (!svg.current) return;
    const slices = foldSlices(rows);
    const hues = huesFor(slices.map((slice) => slice.name));
    const lines = slices.map((slice) => ({
      text: `${slice.name}  ${exactNumber(slice.value)}  ${percentText(slice.share)}`,
      colour: themeColour(`--hue-${hues.get(slice.name) ?? "grey"}`),
    }));
    savePicture(`${name}png`, await imageOfSvg(svg.current), 300, 300, { title, lines });
  };
  return (
    <Panel
      testId="donut-panel"
      title={`By ${lowerWords(dimension)}`}
      menu={{
        label: `Menu of ${title}`,
        items: [
          { label: asTable ? "Show as chart" : "Show as table", run: () => setAsTable(!asTable) },
          { label: "Download CSV", run: () => saveText(`${name}csv`, csv([dimension, metric.name], rows.map((row) => [row.name, row.value]))) },
          ...(asTable ? [] : [{ label: "Save as PNG", run: savePng }]),
          { label: "Copy query as curl", run: () => copyText(curlQuestion(serverOrigin(), questionPath(question))), done: "Copied" },
        ],
      }}
      query={query}
      foot={query.data?.limited && <LimitNote />}
      skeleton={<DonutSkeleton />}
    >
      {(breakdown) =>
        breakdown.rows.length === 0 ? (
          <p className="panel-state">No {lowerWords(metric.name)} to divide here.</p>
        ) : asTable ? (
          <Bars breakdown={breakdown} additive unit={unitOf(metric)} selected={filter.selected} rowTestId="donut-row" onSelect={filter.toggle} />
        ) : (
          <Donut breakdown={breakdown} title={title} unit={lowerWords(unitOf(metric))} selected={filter.selected} onSelect={filter.toggle} svg={svg} />
        )
      }
    </Panel>
  );
}

interface DonutProps {
  readonly breakdown: Breakdown;
  readonly title: string;
  readonly unit: string;
  readonly selected: string | null;
  readonly onSelect: (value: string) => void;
  readonly svg: React.RefObject<SVGSVGElement | null>;
}

function Donut({ breakdown, title, unit, selected, onSelect, svg }: DonutProps): ReactNode {
  const [hovered, setHovered] = useState<string | null>(null);
  const slices = foldSlices(breakdown.rows);
  const hues = huesFor(slices.map((slice) => slice.name));
  const arcs = arcsOf(slices.map((slice) => slice.share), RING);
  const shown = slices.find((slice) => slice.name === hovered);
  const whole = sumOf(breakdown.rows);
  return (
    <div className="donut" data-testid="donut" onMouseLeave={() => setHovered(null)}>
      {/* The legend beside it is the same in words, and has the buttons. */}
      <svg viewBox="0 0 220 220" ref={svg} role="img" aria-label={`Donut: ${title}, ${slices.map((slice) => `${slice.name} ${percentText(slice.share)}`).join(", ")}`}>
        {slices.map((slice, index) => (
          <path
            key={slice.name}
            d={arcs[index]?.path}
            className={`slice ${slices.length === 1 ? "whole" : ""} ${slice.selectable ? "selectable" : ""} ${hovered !== null && hovered !== slice.name ? "receded" : ""}`}
            style={{ fill: `var(--hue-${hues.get(slice.name) ?? "grey"})` }}
            data-testid="donut-slice"
            data-value={slice.name}
            onMouseEnter={() => setHovered(slice.name)}
            onClick={() => slice.selectable && onSelect(slice.name)}
          >
            <title>{`${slice.name}: ${exactNumber(slice.value)} (${percentText(slice.share)})`}</title>
          </path>
        ))}
        {slices.map((slice, index) => slice.share >= LABELLED_SHARE_MIN && slices.length > 1 && slice.name.length <= 6 && (
          <text key={slice.name} className="slice-label" x={arcs[index]?.x} y={(arcs[index]?.y ?? 0) + 4}>{slice.name}</text>
        ))}
        <text className="donut-value" x="110" y="112" data-testid="donut-total" data-exact={whole}>{compactNumber(shown ? shown.value : whole)}<title>{exactNumber(shown ? shown.value : whole)}</title></text>
        <text className="donut-unit" x="110" y="130">{shown ? shorten(shown.name) : shorten(unit)}</text>
      </svg>
      <ol className="legend">
        {slices.map((slice) => (
          <LegendEntry
            key={slice.name}
            slice={slice}
            hue={hues.get(slice.name) ?? "grey"}
            selected={slice.name === selected}
            receded={hovered !== null && hovered !== slice.name}
            onSelect={() => onSelect(slice.name)}
            onHover={() => setHovered(slice.name)}
          />
        ))}
      </ol>
    </div>
  );
}

interface LegendEntryProps {
  readonly slice: Slice;
  readonly hue: string;
  readonly selected: boolean;
  readonly receded: boolean;
  readonly onSelect: () => void;
  readonly onHover: () => void;
}

function LegendEntry({ slice, hue, selected, receded, onSelect, onHover }: LegendEntryProps): ReactNode {
  const nameless = slice.name === OTHER || slice.name === UNKNOWN;
  const content = (
    <>
      <span className="swatch" style={{ background: `var(--hue-${hue})` }} aria-hidden="true" />
      <span className={`legend-name ${nameless ? "nameless" : ""}`}>{slice.name}{slice.names !== null && slice.names > 1 ? ` ${slice.names} more` : ""}</span>
      <Figure value={slice.value} className="legend-value" />
      <span className="legend-share">{percentText(slice.share)}</span>
    </>
  );
  const hooks = { "data-testid": "donut-legend", "data-value": slice.name, "data-exact": slice.value, className: `legend-entry ${receded ? "receded" : ""}` };
  return (
    <li onMouseEnter={onHover}>
      {slice.selectable
        ? <button type="button" aria-pressed={selected} onClick={onSelect} onFocus={onHover} {...hooks}>{content}</button>
        : <span {...hooks}>{content}</span>}
    </li>
  );
}

function shorten(text: string): string {
  return text.length > 14 ? `${text.slice(0, 13)}…` : text;
}
