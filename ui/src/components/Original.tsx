import { type ReactNode, useId, useState } from "react";
import { prettyJson } from "../core/json";

/** A piece of JSON that is only shown, and made pretty, when it is asked for. */
export function Original({ label, text }: { readonly label: string; readonly text: string }): ReactNode {
  const [open, setOpen] = useState(false);
  const id = useId();
  return (
    <>
      <button type="button" className="quiet-button" aria-expanded={open} aria-controls={id} onClick={() => setOpen(!open)} data-testid="original-toggle">
        {open ? `Hide ${label}` : `Show ${label}`}
      </button>
      {open && <pre className="original" id={id} tabIndex={0} aria-label={label} data-testid="original">{prettyJson(text) || "(empty)"}</pre>}
    </>
  );
}
