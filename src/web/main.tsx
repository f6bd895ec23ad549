import { signal } from "@preact/signals";
import { render } from "preact";

const session = signal("…");

/** What is asked for, and whether who asks is signed in. */
function Hello() {
  return (
    <main>
      <h1>OpsPilot</h1>
      <p id="route">{location.pathname}</p>
      <p id="session">{session}</p>
    </main>
  );
}

async function askForSession(): Promise<void> {
  const answer = await fetch("/v1/session");
  session.value = await answer.text();
}

const policy = window.trustedTypes?.createPolicy("opspilot", { createScriptURL: () => STREAM_WORKER_URL });
const workerUrl = policy?.createScriptURL("") ?? STREAM_WORKER_URL;
new SharedWorker(workerUrl, { name: "opspilot-stream" }).port.start();

const root = document.querySelector("#page");
if (root) render(<Hello />, root);
askForSession().catch((error) => {
  session.value = String(error);
});
