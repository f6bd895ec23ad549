import { useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { LoadingState } from "./states.tsx";

/** A view whose code is loaded when somebody goes there: the first load is for what one needs in the night. */
export function lazyView<P extends object>(what: string, load: () => Promise<ComponentType<P>>): ComponentType<P> {
  const known: { view?: ComponentType<P> } = {};

  return function LazyView(props: P) {
    const attempt = useSignal<"loading" | "ready" | "failed">(known.view ? "ready" : "loading");

    async function tryLoading(): Promise<void> {
      attempt.value = "loading";
      try {
        known.view = await load();
        attempt.value = "ready";
      } catch {
        // The server is away, or has another release by now; the person decides.
        attempt.value = "failed";
      }
    }

    useEffect(() => {
      if (known.view === undefined) void tryLoading();
    }, []);

    if (attempt.value === "failed")
      return (
        <div class="state is-failed" role="alert">
          <p class="state-title">Could not load this part of the page</p>
          <p>
            <button type="button" class="button" onClick={() => void tryLoading()}>
              Retry
            </button>
          </p>
        </div>
      );
    const View = known.view;
    return attempt.value === "ready" && View ? <View {...props} /> : <LoadingState what={what} heading={what} />;
  };
}
