import { useEffect } from "preact/hooks";
import { useApp } from "../app-context.ts";
import { ApiProblem, SESSION_PATH, wordsOf } from "../data/api.ts";
import type { SetupPart } from "../data/model.ts";
import { Icon, SeverityShape } from "../parts/icons.tsx";
import { Integrations } from "../parts/integrations.tsx";
import { FailedState, LoadingState, OffReason } from "../parts/states.tsx";
import { useRemote } from "../parts/use-remote.ts";
import { Clock } from "../parts/words.tsx";

const STATE_WORDS = { ok: "set up", off: "not set up", warn: "look at it", fail: "does not work" } as const;
/** By shape as well as by word and colour. */
const SHAPES = { off: null, warn: "warning", fail: "critical" } as const;
const STATE_ORDER = ["fail", "warn", "ok", "off"] as const;

/** What is set up and what is missing, as `opspilot doctor` says it; who is signed in. */
export function SettingsView() {
  const { store } = useApp();
  const { state, reload } = useRemote<SetupPart[]>("/v1/setup");
  // What is set up now may fail in a minute.
  useEffect(
    () =>
      store.listen(({ kind }) => {
        if (kind === "alive") reload();
      }),
    [reload],
  );
  const { value, problem } = state.value;
  const parts = value?.toSorted((a, b) => STATE_ORDER.indexOf(a.state) - STATE_ORDER.indexOf(b.state));
  return (
    <section class="settings">
      <h1 class="view-title" tabIndex={-1}>
        Settings
      </h1>
      <p class="muted">
        OpsPilot {store.version.value ?? ""}. What is set up is decided where the server runs, by its environment or{" "}
        <code>.env</code>; <code>opspilot doctor</code> tries all of it.
      </p>
      {problem !== null && <FailedState problem={problem} what="what is set up" onRetry={reload} />}
      {value === null && problem === null && <LoadingState what="what is set up" />}
      <ul class={problem === null ? "setup" : "setup is-unknown"}>
        {parts?.map(({ part, state: one, text, todo }) => (
          <li key={part} class={`setup-part is-${one}`}>
            <span class="setup-state">
              {one === "ok" ? <Icon name="check" /> : <SeverityShape severity={SHAPES[one]} />}
              {STATE_WORDS[one]}
            </span>
            <b>{part}</b>
            <span>{todo === null ? text : `${text}. ${todo}`}</span>
          </li>
        ))}
      </ul>
      <Integrations />
      <SessionPart />
    </section>
  );
}

function SessionPart() {
  const { api, store, notices } = useApp();
  const session = store.session.value;
  if (session === null) return null;

  async function signOut(): Promise<void> {
    try {
      await api.send("DELETE", SESSION_PATH);
      await store.loadSession();
    } catch (error) {
      if (!(error instanceof ApiProblem)) throw error;
      notices.warn(wordsOf(error));
    }
  }

  return (
    <section class="section" aria-labelledby="session-title">
      <h2 id="session-title">This browser</h2>
      {session.access === "open" ? (
        <p>The server asks nobody for a credential: it is open to this machine alone, or was set so.</p>
      ) : (
        <>
          <p>
            Signed in{session.name === null ? "" : ` as ${session.name}`}
            {session.role === null ? "" : ` (${session.role})`}
            {session.expires_at === null ? "" : " until "}
            {session.expires_at !== null && <Clock at={session.expires_at} />}.
            {session.signed_in_by === "oidc" && " Signing out here does not sign you out at the provider."}
          </p>
          <OffReason />
          <button type="button" class="button" disabled={!store.isLive.value} onClick={() => void signOut()}>
            Sign out
          </button>
        </>
      )}
    </section>
  );
}
