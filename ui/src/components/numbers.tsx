import type { ReactNode } from "react";
import { type Change, compactNumber, exactNumber } from "../core/numbers";
import { Icon } from "./icons";

interface FigureProps {
  readonly value: number | null;
  /** What is said instead of the bare number: `2 m 14 s`. */
  readonly as?: { readonly short: string; readonly exact: string };
  readonly className?: string;
  readonly testId?: string;
}

/** A number short enough to read, with the exact one on hover and for screen readers. */
export function Figure({ value, as, className = "", testId }: FigureProps): ReactNode {
  const { short, exact } = as ?? { short: compactNumber(value), exact: exactNumber(value) };
  return (
    <span className={`figure ${className}`} title={exact} data-exact={value ?? ""} data-testid={testId}>
      {short === exact ? short : <><span aria-hidden="true">{short}</span><span className="visually-hidden">{exact}</span></>}
    </span>
  );
}

const ICONS = { up: "up", down: "down", same: "same", new: "up" } as const;

export function ChangeMark({ change, against }: { readonly change: Change; readonly against: string }): ReactNode {
  return (
    <span className={`change change-${change.direction}`} title={against} data-testid="change">
      <Icon name={ICONS[change.direction]} size={12} />
      <span aria-hidden="true">{change.text}</span>
      <span className="visually-hidden">{change.words}, {against}</span>
    </span>
  );
}
