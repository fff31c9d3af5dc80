import { useQueryClient } from "@tanstack/react-query";
import { type KeyboardEvent, type ReactNode, useId, useRef, useState } from "react";
import { Icon } from "../components/icons";
import type { Breakdown, Metric } from "../core/api";
import { type Filter, OTHER, filterOf, filterWords, formatFilter, parseFilter, withFilter, withoutFilter } from "../core/filters";
import { words } from "../core/names";
import { compactNumber, exactNumber } from "../core/numbers";
import { suggestFilters, suggestionWords, typingOf } from "../core/suggestions";
import { useAddress, useApp, useValues } from "../state/hooks";
import { valuesQuestion } from "./questions";

/** Filters as chips, and a field that adds one: `country:US`, or any value that is on the page. */
export function FilterBox({ metric }: { readonly metric: Metric }): ReactNode {
  const { filters } = useAddress();
  return (
    <div className="filters">
      <FilterField metric={metric} />
      {filters.length > 0 && (
        <ul className="chips" aria-label="Filters">
          {filters.map((filter) => <Chip key={formatFilter(filter)} filter={filter} />)}
        </ul>
      )}
    </div>
  );
}

function Chip({ filter }: { readonly filter: Filter }): ReactNode {
  const { filters } = useAddress();
  const { navigation } = useApp();
  return (
    <li className="chip" data-testid="chip" data-dimension={filter.dimension} data-value={filter.value}>
      <span className="chip-words" title={formatFilter(filter)}><i>{words(filter.dimension)}</i> {filterWords(filter)}</span>
      <button type="button" aria-label={`Remove the filter ${filter.dimension} ${filterWords(filter)}`} data-testid="chip-remove" onClick={() => navigation.go({ filters: withoutFilter(filters, filter) })}>
        <Icon name="close" size={12} />
      </button>
    </li>
  );
}

function FilterField({ metric }: { readonly metric: Metric }): ReactNode {
  const address = useAddress();
  const { filters } = address;
  const { navigation } = useApp();
  const known = useKnownValues(metric);
  const [text, setText] = useState("");
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(0);
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const typing = open ? typingOf(text, metric.dimensions) : null;
  const asked = useValues(valuesQuestion(metric, address, typing?.dimension ?? ""), typing?.dimension ?? null, typing?.part ?? "");
  const suggestions = open ? suggestFilters(text, metric.dimensions, known(), asked) : [];
  const active = Math.min(at, suggestions.length - 1);

  const reset = (): void => {
    setText("");
    setOpen(false);
    setAt(0);
  };
  const take = (suggestion: { readonly text: string; readonly filter: Filter | null }): void => {
    if (suggestion.filter) {
      navigation.go({ filters: withFilter(filters, suggestion.filter) });
      reset();
      return;
    }
    setText(suggestion.text);
    setAt(0);
    input.current?.focus();
  };
  const enter = (): void => {
    const typed = parseFilter(text);
    const suggestion = suggestions[active];
    // A prefix is what was typed, not the first of those that begin with it.
    if (suggestion && !text.endsWith("*")) take(suggestion);
    else if (typed && metric.dimensions.includes(typed.dimension)) take({ text, filter: typed });
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setOpen(true);
      const step = event.key === "ArrowDown" ? 1 : -1;
      if (suggestions.length > 0) setAt((active + step + suggestions.length) % suggestions.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      enter();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      if (text || open) reset();
      else input.current?.blur();
    } else if (event.key === "Backspace" && text === "" && filters.length > 0) {
      navigation.go({ filters: filters.slice(0, -1) });
    }
  };
  return (
    <div className="filter-field">
      <Icon name="search" />
      <input
        ref={input}
        id="filter-input"
        data-testid="filter-input"
        type="text"
        role="combobox"
        aria-label="Add a filter"
        aria-expanded={suggestions.length > 0}
        aria-controls={`${id}-list`}
        aria-autocomplete="list"
        aria-activedescendant={suggestions.length > 0 ? `${id}-${active}` : undefined}
        placeholder="Filter"
        autoComplete="off"
        spellCheck={false}
        value={text}
        onChange={(event) => { setText(event.target.value); setOpen(true); setAt(0); }}
        onFocus={() => setOpen(true)}
        onBlur={() => setOpen(false)}
        onKeyDown={onKeyDown}
      />
      {text === "" && <kbd aria-hidden="true">/</kbd>}
      {suggestions.length > 0 && (
        <ul className="popover suggestions" role="listbox" id={`${id}-list`} aria-label="Filters to add">
          {suggestions.map((suggestion, index) => (
            <li
              key={suggestion.text}
              id={`${id}-${index}`}
              role="option"
              aria-selected={index === active}
              // Pressing must not take the focus from the field, which would close the list before the click.
              onPointerDown={(event) => { event.preventDefault(); take(suggestion); }}
            >
              {suggestion.filter ? <span className="suggestion-words"><i>{words(suggestion.filter.dimension)}</i> {suggestionWords(suggestion)}</span> : <span><i>{words(suggestionWords(suggestion))}</i> …</span>}
              {suggestion.count !== null && <span className="suggestion-count" title={exactNumber(suggestion.count)}>{compactNumber(suggestion.count)}</span>}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

/** The values that the breakdowns of this metric on the page have shown. */
function useKnownValues(metric: Metric): () => readonly Filter[] {
  const queries = useQueryClient();
  return () => {
    const found = new Map<string, Filter>();
    for (const [, data] of queries.getQueriesData<Breakdown>({ queryKey: ["ask", metric.name] })) {
      if (!data || !("rows" in data)) continue;
      for (const row of data.rows) {
        const filter = filterOf(data.dimension, row.name);
        if (row.name !== OTHER) found.set(formatFilter(filter), filter);
      }
    }
    return [...found.values()];
  };
}
