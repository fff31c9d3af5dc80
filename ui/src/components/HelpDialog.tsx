import { type ReactNode, useEffect, useRef } from "react";

const SHORTCUTS: readonly (readonly [string, string])[] = [
  ["/", "filter"],
  ["1 – 5", "last 15 minutes, hour, 24 hours, 7 days, 30 days"],
  ["Esc", "step back: zoom, filter, range"],
  ["l", "live updates on or off"],
  ["c", "compare with the period before, a week earlier, nothing"],
  ["e", "explain an event by its id"],
  ["a", "alerts, and back"],
  ["m", "choose the metric"],
  ["t", "theme: system, light, dark"],
  ["← →", "on the chart: read the points; with Shift select, Enter zooms in"],
  ["?", "this list"],
];

interface HelpDialogProps {
  readonly open: boolean;
  readonly onClose: () => void;
  readonly onExplain: () => void;
}

export function HelpDialog({ open, onClose, onExplain }: HelpDialogProps): ReactNode {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  return (
    <dialog ref={dialog} className="help" aria-labelledby="help-title" data-testid="help" onClose={onClose} onClick={(event) => event.target === dialog.current && onClose()}>
      <h2 id="help-title">Keyboard shortcuts</h2>
      <dl>
        {SHORTCUTS.map(([key, what]) => (
          <div key={key}><dt><kbd>{key}</kbd></dt><dd>{what}</dd></div>
        ))}
      </dl>
      <p className="help-note">Drag across the chart to zoom in. Click a slice, a bar or a row to filter. The address of this page holds all of it: share it, and the back button is undo.</p>
      <p className="dialog-foot">
        <button type="button" className="button" onClick={onClose}>Close</button>
        <button type="button" className="button" onClick={() => { onClose(); onExplain(); }}>Explain an event</button>
      </p>
    </dialog>
  );
}
