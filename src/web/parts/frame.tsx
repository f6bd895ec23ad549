import type { ComponentChildren } from "preact";
import { useApp } from "../app-context.ts";
import { clockWords, durationWords } from "../lib/time.ts";
import { Brand, Icon, type IconName } from "./icons.tsx";

const PLACES: readonly { href: string; name: string; icon: IconName }[] = [
  { href: "/app", name: "Now", icon: "now" },
  { href: "/app/incidents", name: "Incidents", icon: "incidents" },
  { href: "/app/hosts", name: "Hosts", icon: "hosts" },
  { href: "/app/silences", name: "Silences", icon: "silences" },
];

/** What stands around every view: the places, how it stands with the server, words in passing. */
export function Frame({ children }: { children: ComponentChildren }) {
  const { router, store } = useApp();
  const { path } = router.place.value;
  const isAt = (href: string) => (href === "/app" ? path === href : path.startsWith(href));
  const isDetail = /^\/app\/incidents\/./.test(path);
  return (
    <div class={`frame${isDetail ? " is-detail" : ""}${store.isKnown.value ? "" : " is-unknown"}`}>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href="/app" aria-label="OpsPilot, what is going on now">
          <Brand />
          <span class="brand-name">OpsPilot</span>
        </a>
        <ConnectionWord />
        <a
          class="button is-quiet is-square"
          href="/app/settings"
          aria-label="Settings"
          aria-current={isAt("/app/settings") ? "page" : undefined}
        >
          <Icon name="settings" />
        </a>
      </header>
      <nav class="places" aria-label="Places">
        {PLACES.map(({ href, name, icon }) => (
          <a key={href} href={href} aria-current={isAt(href) ? "page" : undefined}>
            <Icon name={icon} />
            <span>{name}</span>
            {href === "/app" && <CriticalCount />}
          </a>
        ))}
      </nav>
      <Banner />
      <UpdateBanner />
      <main id="main">{children}</main>
      <NoticeList />
    </div>
  );
}

function CriticalCount() {
  const { counts, isOld } = useApp().store;
  const count = counts.value?.unacknowledged_critical ?? 0;
  if (count === 0 || isOld.value) return null;
  return (
    <span class="count-badge">
      {count > 99 ? "99+" : count}
      <span class="off-screen"> critical, not acknowledged</span>
    </span>
  );
}

/** Never green on what is old. */
function ConnectionWord() {
  const { store } = useApp();
  const { state, lostMs } = store.connection.value;
  const [kind, words] = store.isKnown.value
    ? ["live", "Live"]
    : state === "live"
      ? ["lost", "No news"]
      : state === "connecting" && lostMs === null
        ? ["quiet", "Connecting"]
        : ["lost", "Not connected"];
  return (
    <span class={`connection is-${kind}`}>
      <span class="dot" aria-hidden="true" />
      {words}
    </span>
  );
}

/** Says at once that what one sees is not the present, since when, and when it is tried again. */
function Banner() {
  const { store, reconnect } = useApp();
  const { state, lostMs, nextTryMs, why } = store.connection.value;
  if (state === "live") return <NoNewsBanner />;
  if (store.isSignedOut.value || (state === "connecting" && lostMs === null)) return null;
  return (
    <div class="banner" role="alert">
      <p>
        <b>Not connected{lostMs === null ? "" : ` since ${clockWords(new Date(lostMs).toISOString(), Date.now())}`}.</b>{" "}
        <span aria-live="off">
          <BannerDetails nextTryMs={nextTryMs} />
        </span>
        {why !== null && <span> ({why})</span>}
      </p>
      <button type="button" class="button" onClick={reconnect}>
        Try now
      </button>
    </div>
  );
}

/** It is there, and does not know how things are: its database is away. */
function NoNewsBanner() {
  const { isOld, oldS } = useApp().store;
  if (!isOld.value) return null;
  return (
    <div class="banner" role="alert">
      <p>
        <b>The server has no news.</b>{" "}
        <span aria-live="off">What you see is {durationWords(oldS.value ?? 0)} old: its database may not answer.</span>
      </p>
    </div>
  );
}

/** What is loaded later comes from the new release, and may not fit. */
function UpdateBanner() {
  const { version, isOutdated } = useApp().store;
  if (!isOutdated.value) return null;
  return (
    <div class="banner" role="status">
      <p>OpsPilot was updated to {version}.</p>
      <button type="button" class="button" onClick={() => location.reload()}>
        Reload
      </button>
    </div>
  );
}

function BannerDetails({ nextTryMs }: { nextTryMs: number | null }) {
  const { now, oldS } = useApp().store;
  // Reading the time draws this anew each second.
  const waitS = nextTryMs === null || now.value === 0 ? 0 : Math.max(0, Math.ceil((nextTryMs - Date.now()) / 1000));
  const old = oldS.value === null ? "" : `What you see is ${oldS.value} s old; `;
  return <>{`${old}${waitS > 0 ? `next try in ${waitS} s` : "trying"}.`}</>;
}

function NoticeList() {
  const { notices } = useApp();
  return (
    <div class="notices" role="status" aria-live="polite">
      {notices.shown.value.map(({ id, text, isBad }) => (
        <div key={id} class={isBad ? "notice is-bad" : "notice"}>
          <span>{text}</span>
          <button
            type="button"
            class="button is-quiet is-square"
            aria-label="Dismiss"
            onClick={() => notices.dismiss(id)}
          >
            <Icon name="close" size={16} />
          </button>
        </div>
      ))}
    </div>
  );
}
