import type { ReadonlySignal } from "@preact/signals";
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Api } from "./data/api.ts";
import type { Presses } from "./data/presses.ts";
import type { Store } from "./data/store.ts";
import type { Notices } from "./lib/notices.ts";
import type { Router } from "./lib/router.ts";

/** What every view may use. */
export interface App {
  readonly api: Api;
  readonly store: Store;
  readonly router: Router;
  readonly presses: Presses;
  readonly notices: Notices;
  /** Room for two columns. */
  readonly isWide: ReadonlySignal<boolean>;
  /** Tries the stream again now. */
  readonly reconnect: () => void;
}

/** Where views find it. */
export const AppContext = createContext<App | null>(null);

/** The app that a view is part of. */
export function useApp(): App {
  const app = useContext(AppContext);
  if (app === null) throw new Error("a view stands outside of the app");
  return app;
}
