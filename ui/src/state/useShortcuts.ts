import { useEffect } from "react";
import { COMPARISONS, PRESETS } from "../core/ranges";
import { useApp } from "./hooks";

/** Keys that work wherever nothing is being typed. Escape reaches here only when nothing nearer took it. */
export function useShortcuts(onHelp: () => void): void {
  const { navigation, theme } = useApp();
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (document.querySelector("dialog[open]")) return;
      if (event.target instanceof HTMLElement && event.target.matches("input, textarea, select")) return;
      const address = navigation.current();
      const preset = PRESETS[Number(event.key) - 1];
      if (preset) navigation.go({ range: { kind: "last", last: preset } });
      else if (event.key === "Escape") navigation.stepBack();
      else if (event.key === "/") focus(event, "filter-input");
      else if (event.key === "m") focus(event, "metric-picker");
      else if (event.key === "a") navigation.go({ page: address.page === "alerts" ? "metrics" : "alerts" });
      else if (event.key === "l") navigation.adjust({ live: !address.live });
      else if (event.key === "c") navigation.adjust({ compare: COMPARISONS[address.compare === null ? 0 : COMPARISONS.indexOf(address.compare) + 1] ?? null });
      else if (event.key === "t") theme.next();
      else if (event.key === "?") onHelp();
      else if (event.key === "e") {
        event.preventDefault(); // the field that appears would get the letter
        navigation.explain("");
      }
    };
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, [navigation, theme, onHelp]);
}

function focus(event: KeyboardEvent, id: string): void {
  event.preventDefault();
  document.getElementById(id)?.focus();
}
