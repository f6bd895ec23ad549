import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { useApp } from "../app-context.ts";
import { ApiProblem, SESSION_PATH, wordsOf } from "../data/api.ts";
import { signInHref, signInProblem } from "../lib/single-sign-on.ts";
import { Brand } from "../parts/icons.tsx";

/** Asks for a token, or leads to the provider where there is one; what one was at stays beneath, and is shown again. */
export function SignIn({ onSignedIn }: { onSignedIn: () => void }) {
  const { api, router, store } = useApp();
  const oidc = store.session.value?.oidc ?? null;
  const token = useSignal("");
  const problem = useSignal<string | null>(null);
  const isBusy = useSignal(false);
  const field = useRef<HTMLInputElement>(null);
  const dialog = useRef<HTMLDialogElement>(null);
  const isElsewhere = router.place.value.path !== "/app" && router.place.value.path !== "/app/sign-in";

  // Above everything, open sheets too, which would else keep the keyboard for themselves.
  const show = () => {
    if (dialog.current?.open === false) dialog.current.showModal();
  };
  useEffect(() => {
    show();
    field.current?.focus();
  }, []);

  async function signIn(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (isBusy.value) return;
    isBusy.value = true;
    problem.value = null;
    try {
      await api.send("POST", SESSION_PATH, { token: token.value.trim() });
      token.value = "";
      onSignedIn();
    } catch (error) {
      if (!(error instanceof ApiProblem)) throw error;
      problem.value = inWords(error);
      field.current?.focus();
      field.current?.select();
    } finally {
      isBusy.value = false;
    }
  }

  return (
    <dialog
      ref={dialog}
      class="sign-in"
      aria-labelledby="sign-in-title"
      onCancel={(event) => event.preventDefault()}
      onClose={show}
    >
      <form class="form" onSubmit={(event) => void signIn(event)}>
        <h1 id="sign-in-title">
          <Brand /> Sign in
        </h1>
        <p class="muted">
          {oidc === null ? "With" : `With ${oidc.name}, with`} your token, or the server's <code>ADMIN_TOKEN</code>.
          {isElsewhere ? " You come back to where you were." : ""}
        </p>
        {oidc !== null && <SingleSignOn name={oidc.name} url={oidc.url} />}
        {/* For password managers, which keep a name with what they keep. */}
        <input
          class="off-screen"
          type="text"
          name="username"
          value="opspilot"
          autocomplete="username"
          tabIndex={-1}
          aria-hidden="true"
          readOnly
        />
        <label class="field">
          <span>Token</span>
          <input
            ref={field}
            type="password"
            name="password"
            autocomplete="current-password"
            value={token.value}
            required
            aria-invalid={problem.value !== null}
            onInput={(event) => {
              token.value = event.currentTarget.value;
            }}
          />
        </label>
        {problem.value !== null && (
          <p class="field-problem" role="alert">
            {problem.value}
          </p>
        )}
        <button type="submit" class={oidc === null ? "button is-primary" : "button"} disabled={isBusy.value}>
          {isBusy.value ? "Signing in…" : oidc === null ? "Sign in" : "Sign in with the token"}
        </button>
      </form>
    </dialog>
  );
}

function SingleSignOn({ name, url }: { name: string; url: string }) {
  const { router } = useApp();
  const place = router.place.value;
  const problem = signInProblem(place, name);
  const isHere = new URL(url).origin === location.origin;
  return (
    <>
      {problem !== null && (
        <p class="field-problem" role="alert">
          {problem}
        </p>
      )}
      <a class="button is-primary" href={signInHref(url, place, location.origin)}>
        Sign in with {name}
        {isHere ? "" : ` at ${new URL(url).host}`}
      </a>
    </>
  );
}

function inWords(error: ApiProblem): string {
  if (error.status === 401) return "That is not the token.";
  if (error.status !== 429) return wordsOf(error);
  return `Too many wrong tokens.${error.retryAfterS === null ? "" : ` Try again in ${error.retryAfterS} s.`}`;
}
