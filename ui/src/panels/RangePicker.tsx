import { type FormEvent, type KeyboardEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { PRESETS, durationWords, spanOf } from "../core/ranges";
import { fromLocalInput, spanLabel, toLocalInput, zoneLabel } from "../core/times";
import { useAddress, useApp } from "../state/hooks";

export function RangePicker(): ReactNode {
  const { range, zone } = useAddress();
  const { navigation } = useApp();
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const custom = range.kind === "between";
  const unusual = range.kind === "last" && !PRESETS.some((preset) => preset === range.last);

  useEffect(() => {
    if (!open) return;
    root.current?.querySelector("input")?.focus();
    const close = (event: Event): void => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", close);
    return () => document.removeEventListener("pointerdown", close);
  }, [open]);

  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== "Escape" || !open) return;
    event.stopPropagation();
    setOpen(false);
  };
  const customText = custom ? spanLabel(range.fromMs, range.toMs, zone) : unusual ? `Last ${range.last}` : "Custom";
  return (
    <div className="range-picker" data-testid="range-picker" role="group" aria-label="Time range" ref={root} onKeyDown={onKeyDown}>
      {PRESETS.map((preset) => (
        <button
          type="button"
          key={preset}
          data-range={preset}
          aria-pressed={range.kind === "last" && range.last === preset}
          aria-label={`Last ${durationWords(preset)}`}
          onClick={() => navigation.go({ range: { kind: "last", last: preset } })}
        >
          {preset}
        </button>
      ))}
      <button type="button" data-range="custom" aria-pressed={custom || unusual} aria-expanded={open} onClick={() => setOpen(!open)}>{customText}</button>
      {open && <CustomRange onDone={() => setOpen(false)} />}
    </div>
  );
}

function CustomRange({ onDone }: { readonly onDone: () => void }): ReactNode {
  const { range, zone } = useAddress();
  const { navigation } = useApp();
  const [now] = useState(Date.now);
  const span = spanOf(range, now);
  const [from, setFrom] = useState(toLocalInput(span.fromMs, zone));
  const [to, setTo] = useState(toLocalInput(span.toMs, zone));
  const [fromMs, toMs] = [fromLocalInput(from, zone), fromLocalInput(to, zone)];
  const problem = fromMs === null || toMs === null ? "Both times are needed." : fromMs >= toMs ? "The end must be after the start." : null;

  const apply = (event: FormEvent): void => {
    event.preventDefault();
    if (fromMs === null || toMs === null || problem) return;
    navigation.go({ range: { kind: "between", fromMs, toMs } });
    onDone();
  };
  return (
    <form className="popover custom-range" onSubmit={apply}>
      <label>From<input type="datetime-local" required value={from} onChange={(event) => setFrom(event.target.value)} data-testid="range-from" /></label>
      <label>To<input type="datetime-local" required value={to} onChange={(event) => setTo(event.target.value)} data-testid="range-to" /></label>
      <p className="custom-note" role={problem ? "alert" : undefined}>{problem ?? zoneLabel(zone, now)}</p>
      <button type="submit" className="button primary" disabled={problem !== null} data-testid="range-apply">Show</button>
    </form>
  );
}
