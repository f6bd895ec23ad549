import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { useApp } from "../app-context.ts";
import { ApiProblem, SESSION_PATH, wordsOf } from "../data/api.ts";
import { Brand } from "../parts/icons.tsx";

/** Asks for a token; what one was at stays beneath, and is shown again. */
export function SignIn({ onSignedIn }: { onSignedIn: () => void }) {
  const { api, router } = useApp();
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
          With your token, or the server's <code>ADMIN_TOKEN</code>.
          {isElsewhere ? " You come back to where you were." : ""}
        </p>
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
        <button type="submit" class="button is-primary" disabled={isBusy.value}>
          {isBusy.value ? "Signing in…" : "Sign in"}
        </button>
      </form>
    </dialog>
  );
}

function inWords(error: ApiProblem): string {
  if (error.status === 401) return "That is not the token.";
  if (error.status !== 429) return wordsOf(error);
  return `Too many wrong tokens.${error.retryAfterS === null ? "" : ` Try again in ${error.retryAfterS} s.`}`;
}
