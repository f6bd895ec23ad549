import type { ComponentChildren } from "preact";
import type { Role } from "../../protocol/roles.ts";
import { useApp } from "../app-context.ts";

/** What only who has a role may press: for others it is off, and says why. */
export function ForRole({ needs, children }: { needs: Role; children: ComponentChildren }) {
  const { store } = useApp();
  const isOff = !store.may(needs);
  return (
    <fieldset class="for-role" disabled={isOff}>
      {isOff && (
        <p class="role-reason">
          You are signed in as {store.session.value?.role}: this needs the role {needs}.
        </p>
      )}
      {children}
    </fieldset>
  );
}
