import { readlinkSync } from "node:fs";
import { errorCode, errorMessage, OpsPilotError } from "../lib/errors.ts";
import { fieldsOf, jsonOf } from "../lib/json.ts";

/**
 * Why Docker gave no answer: `absent` (no daemon at the socket), `forbidden` (this user may not use the socket),
 * `not_found` (no such container), `timeout`, `aborted` (by whoever asked), `refused` (Docker said no), `broken` (the answer
 * ended early, or is none of Docker's).
 */
type DockerErrorReason = "absent" | "forbidden" | "not_found" | "timeout" | "aborted" | "refused" | "broken";

/** An expected failure of a call to Docker. */
export class DockerError extends OpsPilotError<DockerErrorReason> {}

/** What to do about a socket that may not be used: the group is as good as root, so nobody is added to it silently. */
const FORBIDDEN_HINT =
  "this user may not use it; `opspilot agent install --docker` adds the agent to the group docker, which is as good as root";

const PODMAN_HINT =
  "this user may not use Podman's socket: it is root's alone until SocketGroup= and SocketMode= of podman.socket, and the " +
  "mode of its directory, give it to a group of the agent, which is as good as root";

/** What a failed call means. */
export function dockerErrorOf(error: unknown, socketPath: string, isAborted: boolean): DockerError {
  if (error instanceof DockerError) return error;
  const options = { cause: error };
  if (isAborted) return new DockerError("aborted", "the call to Docker was given up", options);
  switch (errorCode(error)) {
    case "ENOENT":
      return new DockerError("absent", `there is no Docker at ${socketPath}`, options);
    case "ECONNREFUSED":
      return new DockerError("absent", `nothing listens at ${socketPath}: Docker is not running`, options);
    case "EACCES":
    case "EPERM":
      return new DockerError(
        "forbidden",
        `${socketPath}: ${isPodmans(socketPath) ? PODMAN_HINT : FORBIDDEN_HINT}`,
        options,
      );
    default:
      return new DockerError("broken", `Docker's answer broke off: ${errorMessage(error)}`, options);
  }
}

/** Red Hat's systems have a link to it where Docker's would be. */
function isPodmans(socketPath: string): boolean {
  try {
    return `${socketPath} ${readlinkSync(socketPath)}`.includes("podman");
  } catch (error) {
    if (error instanceof Error) return socketPath.includes("podman");
    throw error;
  }
}

/** What an answer that is no success means: Docker explains it as {"message": …}. */
export function dockerRefusal(status: number, body: string): DockerError {
  const said = fieldsOf(jsonOf(body)).message;
  const message = typeof said === "string" && said !== "" ? said : `HTTP ${status}`;
  // Podman answers 500 about one that is being removed.
  const isGone = status === 404 || /no such container$/.test(message);
  return new DockerError(isGone ? "not_found" : "refused", message);
}
