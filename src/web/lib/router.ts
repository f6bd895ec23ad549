import { type ReadonlySignal, signal } from "@preact/signals";

/** Where one is in the page: the URL is the whole state. */
export interface Place {
  readonly path: string;
  readonly query: URLSearchParams;
}

/** Goes from place to place without loading the page anew. */
export interface Router {
  readonly place: ReadonlySignal<Place>;
  go(href: string, options?: { replace?: boolean }): void;
  /** The same place with other filters; undefined or empty takes one away. */
  setQuery(changes: Record<string, string | undefined>): void;
  stop(): void;
}

/** Makes the router of a window: links within /app go through it, and Back and Forward do. */
export function createRouter(window: Window): Router {
  const { history, location, document } = window;
  const place = signal<Place>(placeOf(location.href));

  function arrive(): void {
    place.value = placeOf(location.href);
  }

  function go(href: string, { replace = false } = {}): void {
    const url = new URL(href, location.href);
    if (url.href === location.href) return;
    if (replace) history.replaceState(history.state, "", url);
    else {
      history.replaceState({ scrollY: window.scrollY }, "");
      history.pushState(null, "", url);
      window.scrollTo(0, 0);
    }
    arrive();
  }

  function onClick(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0 || isModified(event)) return;
    const link = (event.target as Element | null)?.closest?.("a");
    if (link?.target !== "" || link.origin !== location.origin || !isOurs(link.pathname)) return;
    event.preventDefault();
    go(link.href);
  }

  window.addEventListener("popstate", arrive);
  document.addEventListener("click", onClick);
  return {
    place,
    go,
    setQuery(changes) {
      const query = new URLSearchParams(place.value.query);
      for (const [name, value] of Object.entries(changes)) {
        if (value === undefined || value === "") query.delete(name);
        else query.set(name, value);
      }
      const text = query.toString().replaceAll("%2C", ",");
      go(place.value.path + (text === "" ? "" : `?${text}`), { replace: true });
    },
    stop() {
      window.removeEventListener("popstate", arrive);
      document.removeEventListener("click", onClick);
    },
  };
}

function placeOf(href: string): Place {
  const url = new URL(href);
  return { path: url.pathname.replace(/(.)\/+$/, "$1"), query: url.searchParams };
}

const isModified = ({ altKey, ctrlKey, metaKey, shiftKey }: MouseEvent) => altKey || ctrlKey || metaKey || shiftKey;
const isOurs = (path: string) => path === "/app" || path.startsWith("/app/");
