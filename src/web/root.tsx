import { useEffect, useRef } from "preact/hooks";
import { type App, AppContext, useApp } from "./app-context.ts";
import { returnPath } from "./lib/single-sign-on.ts";
import { Frame } from "./parts/frame.tsx";
import { GlobalKeys } from "./parts/help.tsx";
import { lazyView } from "./parts/lazy.tsx";
import { PageTitle } from "./parts/page-title.tsx";
import { MissingState } from "./parts/states.tsx";
import { IncidentsView } from "./views/incidents.tsx";
import { NowView } from "./views/now.tsx";
import { SignIn } from "./views/sign-in.tsx";

const HostView = lazyView("the host", async () => (await import("./views/host.tsx")).HostView);
const HostsView = lazyView("hosts", async () => (await import("./views/hosts.tsx")).HostsView);
const SettingsView = lazyView("settings", async () => (await import("./views/settings.tsx")).SettingsView);
const SilencesView = lazyView("silences", async () => (await import("./views/silences.tsx")).SilencesView);

/** The whole page. `onSignedIn` loads what a stranger could not. */
export function Root({ app, onSignedIn }: { app: App; onSignedIn: () => void }) {
  const isSignedOut = app.store.isSignedOut.value;
  return (
    <AppContext.Provider value={app}>
      <PageTitle />
      {isSignedOut && <SignIn onSignedIn={onSignedIn} />}
      {/* Beneath the sign-in: what one was typing is still there afterwards. */}
      <Frame>
        <View />
      </Frame>
      <GlobalKeys />
    </AppContext.Provider>
  );
}

function View() {
  const { router } = useApp();
  const { path } = router.place.value;
  useFocusOnArrival(path);
  const found = /^\/app(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(path);
  if (found === null) return <MissingState what="There is no such page" />;
  const [, place = "", id] = found;
  if (place === "" && id === undefined) return <NowView />;
  if (place === "incidents" && (id === undefined || /^[1-9]\d{0,9}$/.test(id)))
    return <IncidentsView id={id === undefined ? null : Number(id)} />;
  if (place === "hosts") return id === undefined ? <HostsView /> : <HostView key={id} id={decodeURIComponent(id)} />;
  if (place === "silences" && id === undefined) return <SilencesView />;
  if (place === "settings" && id === undefined) return <SettingsView />;
  if (place === "sign-in" && id === undefined) return <SignedIn />;
  return <MissingState what="There is no such page" />;
}

/** Whoever comes here signed in has nothing to do here, and goes on to where it was to lead. */
function SignedIn() {
  const { router, store } = useApp();
  const isSignedIn = store.session.value !== null && !store.isSignedOut.value;
  useEffect(() => {
    if (isSignedIn) router.go(returnPath(router.place.value), { replace: true });
  }, [isSignedIn]);
  return null;
}

/** After a change of place the reading goes on at its heading, also for those who do not see it. */
function useFocusOnArrival(path: string): void {
  const isFirst = useRef(true);
  useEffect(() => {
    if (isFirst.current) {
      isFirst.current = false;
      return;
    }
    let tries = ARRIVAL_FRAMES;
    let frame = 0;
    // The heading comes with the view's data.
    const look = () => {
      const heading = document.querySelector<HTMLElement>(ARRIVED);
      if (heading) heading.focus({ preventScroll: true });
      else if (--tries > 0) frame = requestAnimationFrame(look);
    };
    frame = requestAnimationFrame(look);
    return () => cancelAnimationFrame(frame);
  }, [path]);
}

/** What stands there while it loads goes away again. */
const ARRIVED = ".pane-detail h1:not(.is-loading h1), main h1:not(.is-loading h1)";
/** A second; what comes later would take the focus from somebody who has gone on. */
const ARRIVAL_FRAMES = 60;
