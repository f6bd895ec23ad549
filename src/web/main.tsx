import { effect, signal } from "@preact/signals";
import { render } from "preact";
import type { App } from "./app-context.ts";
import { createApi } from "./data/api.ts";
import { createPresses } from "./data/presses.ts";
import { createStore, type Store } from "./data/store.ts";
import { linkStream } from "./data/stream-link.ts";
import { createNotices } from "./lib/notices.ts";
import { createRouter } from "./lib/router.ts";
import { Root } from "./root.tsx";

/** Two columns fit from here. */
const WIDE = "(min-width: 64rem)";

function start(root: Element): void {
  const ask = (path: string, init: RequestInit) => fetch(path, init);
  let store: Store;
  const api = createApi({ fetch: ask, onSignedOut: () => store.setSignedOut() });
  store = createStore({ api });
  const notices = createNotices();
  const stream = linkStream({
    fetch: ask,
    workerUrl: STREAM_WORKER_URL,
    onNews: store.tell,
    onConnection: store.setConnection,
  });
  const media = matchMedia(WIDE);
  const isWide = signal(media.matches);
  media.addEventListener("change", () => {
    isWide.value = media.matches;
  });
  const router = createRouter(window);
  const app: App = { api, store, router, presses: createPresses({ api }), notices, isWide, reconnect: stream.retry };

  const load = () => void Promise.all([store.loadSession(), store.loadCounts()]);

  /** What failed while the server was away is asked for anew once it is back. */
  let wasLost = false;
  effect(() => {
    const { state, lostMs } = store.connection.value;
    if (state === "live" && wasLost) {
      load();
      store.tell({ kind: "back", data: null });
    }
    wasLost = lostMs !== null;
  });

  addEventListener("online", stream.retry);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") stream.retry();
  });
  window.addEventListener("pagehide", (event) => {
    if (!event.persisted) stream.stop();
  });
  store.start();
  render(
    <Root
      app={app}
      onSignedIn={() => {
        load();
        stream.retry();
        store.tell({ kind: "reset", data: null });
      }}
    />,
    root,
  );
  load();
}

const root = document.querySelector("#page");
if (root) start(root);
