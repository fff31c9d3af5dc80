import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef, useState } from "react";
import { Icon } from "./icons";

export interface MenuItem {
  readonly label: string;
  readonly run: () => void | Promise<void>;
  /** Shown for a moment in place of the label, e.g. "Copied". */
  readonly done?: string;
}

export function Menu({ label, items }: { readonly label: string; readonly items: readonly MenuItem[] }): ReactNode {
  const [open, setOpen] = useState(false);
  const [done, setDone] = useState<string | null>(null);
  const root = useRef<HTMLDivElement>(null);
  const id = useId();

  useEffect(() => {
    if (!open) return;
    root.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus();
    const close = (event: Event): void => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", close);
    return () => document.removeEventListener("pointerdown", close);
  }, [open]);

  const shut = (): void => {
    setOpen(false);
    setDone(null);
    root.current?.querySelector("button")?.focus();
  };
  const choose = async (item: MenuItem): Promise<void> => {
    await item.run();
    if (!item.done) return shut();
    setDone(item.label);
    setTimeout(shut, 900);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (!open) return;
    const entries = [...(root.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
    const at = entries.indexOf(document.activeElement as HTMLElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") {
      event.stopPropagation();
      shut();
    } else if (event.key === "Tab") {
      setOpen(false);
    } else if (step !== undefined) {
      event.preventDefault();
      entries[(at + step + entries.length) % entries.length]?.focus();
    }
  };

  return (
    <div className="menu" ref={root} onKeyDown={onKeyDown}>
      <button type="button" className="icon-button" aria-label={label} aria-haspopup="menu" aria-expanded={open} aria-controls={id} onClick={() => setOpen(!open)}>
        <Icon name="more" />
      </button>
      {open && (
        <div className="popover menu-list" role="menu" id={id} aria-label={label}>
          {items.map((item) => (
            <button type="button" role="menuitem" key={item.label} onClick={() => void choose(item)}>
              {done === item.label ? item.done : item.label}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
