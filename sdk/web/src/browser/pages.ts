import type { Properties } from "../core/seams";

/** Calls `report` for the page that is shown, and whenever its name changes without a load. */
export function watchPages(name: () => string, report: () => void): void {
  let last: string | undefined;

  function look(): void {
    // A page that is rendered ahead may never be seen.
    if ((document as { prerendering?: boolean }).prerendering) return;
    const page = name();
    if (page === last) return;
    last = page;
    report();
  }

  const navigation = (globalThis as { navigation?: EventTarget }).navigation;
  if (navigation) {
    navigation.addEventListener("currententrychange", look);
  } else {
    for (const method of ["pushState", "replaceState"] as const) {
      const original = history[method];
      history[method] = function changed(...given) {
        original.apply(this, given);
        look();
      };
    }
    addEventListener("popstate", look);
  }
  document.addEventListener("prerenderingchange", look);
  addEventListener("pageshow", (event) => {
    // Back from the cache of pages: shown anew without a load.
    if (event.persisted) report();
  });
  look();
}

/** Where the visitor came from, as far as the address and the referrer tell; never a whole query. */
export function origins(): Properties {
  const found: Properties = {};
  const query = new URLSearchParams(location.search);
  for (const name of ["campaign", "source", "medium", "term", "content"]) {
    const value = query.get(`utm_${name}`);
    if (value) found[name === "campaign" ? name : `campaign_${name}`] = value;
  }
  const [referrer] = document.referrer.split("?");
  if (referrer && !referrer.startsWith(`${location.origin}/`)) found["referrer"] = referrer;
  return found;
}
