import { filterOf, onlyName, withFilter, withoutFilter } from "../core/filters";
import { useAddress, useApp } from "../state/hooks";

/** What is chosen of a dimension, and choosing it: a second click takes it back. */
export function useDimensionFilter(dimension: string): { readonly selected: string | null; readonly toggle: (value: string) => void } {
  const { filters } = useAddress();
  const { navigation } = useApp();
  const chosen = filters.find((filter) => filter.dimension === dimension);
  const selected = chosen ? onlyName(chosen) : null;
  const toggle = (value: string): void => {
    const filter = filterOf(dimension, value);
    navigation.go({ filters: selected === value ? withoutFilter(filters, filter) : withFilter(filters, filter) });
  };
  return { selected, toggle };
}
