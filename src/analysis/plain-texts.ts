import type { Category } from "./model.ts";

/** A cause and its fix. */
export interface PlainText {
  readonly cause: string;
  readonly fix: string;
}

/**
 * What is said of a category when no more is known than that: of codes, and in place of a text that speaks of a program which
 * the evidence does not name.
 */
export const PLAIN_TEXTS: Readonly<Record<Exclude<Category, "unknown">, PlainText>> = {
  port_conflict: {
    cause: "{source} could not listen: {port|its port} is already taken by another program.",
    fix: "Find who has {port|its port} with `{sockets}`. Stop that program, or give {source} another one in its configuration, then {restart}.",
  },
  permission_denied: {
    cause:
      "{source} was refused {path|something that it needs}: ownership, mode, a role or a privilege does not allow it.",
    fix: "See who owns {path|what it was refused} (`ls -lZ`) or which right the line names, and as whom {source} runs ({show}). Give it that one right, then {restart}.",
  },
  out_of_memory: {
    cause: "{source} ran out of memory.",
    fix: "See who uses the memory ({status}, `free -m`). Give {source} more memory or let it need less, find what grew, then {restart}.",
  },
  disk_full: {
    cause: "The place that {source} writes to ({path|see the line}) has no space left.",
    fix: "See what is full with `df -h` and `df -i`, and what fills it with `du -xsh` there. Free or add space, then {restart} ({source}).",
  },
  config_error: {
    cause: "{source} cannot use its settings: {said|see the line}.",
    fix: "Correct {setting|what the line names} in {file|the configuration} of {source}; if it worked before, compare with the last change. Then {restart}.",
  },
  missing_file: {
    cause: "{source} needs {path|a file}, and it does not exist.",
    fix: "Check whether {path|the file} exists for the user of {source} (`ls -l`), inside the container for a container. Restore it, create it, mount it or correct the path in the configuration, then {restart}.",
  },
  missing_dependency: {
    cause: "{source} cannot find or load {module|a module, library or package that it needs}.",
    fix: "Install {module|what the line names} where {source} runs (the host, the image), in the version it expects, then {restart}.",
  },
  connection_refused: {
    cause: "{source} cannot reach {host|a service that it needs}: it is down, or the way to it is cut.",
    fix: "Check whether the service behind {host|the address} is up and listens, and that no network or firewall rule is in the way. Start it, then {restart} ({source}).",
  },
  dns_failure: {
    cause: "The name {host|of a host that {source} needs} does not resolve.",
    fix: "Try the name where {source} runs: `getent hosts {host|<name>}` and `resolvectl status`. Correct the name in the configuration, or the name server, then {restart}.",
  },
  tls_certificate: {
    cause:
      "A certificate, its key or the TLS handshake between {source} and {host|the other side} is refused: {said|see the line}.",
    fix: "Look at the certificate that the line speaks of: dates, names, issuer, key. Renew it or give {source} the right authority and key, then {restart}.",
  },
  authentication: {
    cause:
      "{host|Something that {source} needs} does not accept its key, token or password: it is wrong, missing or expired.",
    fix: "Compare the credentials that {source} is given ({show}) with those that {host|the other side} knows; correct or renew them, then {restart}.",
  },
  timeout: {
    cause: "{host|Something that {source} waited for} did not answer or finish in time.",
    fix: "Find out what {source} waited for ({logs}): is {host|the other side} slow, overloaded or cut off? Cure that; raise the time limit only when the work really needs longer. Then {restart}.",
  },
  crash: {
    cause: "{source} ended on a fault of its own: {detail|{said|see the line}}.",
    fix: "This is a fault of {source} itself. Keep the lines ({logs}) and the core dump if there is one (`coredumpctl list`), {restart} to have it back, and go to the last version that worked or report the fault with its trace.",
  },
  resource_limit: {
    cause: "{source} ran into a limit: {said|see the line}.",
    fix: "See how near {source} is to its limit and why (a leak, a rush, too many clients). Cure that or raise the limit, then {restart}.",
  },
  data_corruption: {
    cause: "Data of {source} are damaged and cannot be read: {said|see the line}.",
    fix: "Stop {source} and copy its data before anything else. Check the disk (`smartctl -a`, `journalctl -k`), then restore what is damaged from the last good copy, or use the program's own repair on the copy.",
  },
  version_mismatch: {
    cause:
      "Versions do not go together: {said|{source}, its data, its runtime or its partner is of another version than the one that is expected}.",
    fix: "Put the versions together: run the release of {source} that fits its data or its partner, or upgrade the other side by its documented way (for data after a backup). Then {restart}.",
  },
  lock_conflict: {
    cause: "Something else holds what {source} needs for itself: {said|see the line}.",
    fix: "Find who holds it with `fuser -v` or `lsof`, and whether another instance of {source} runs (`pgrep -a`). Let that one end properly, then {restart}.",
  },
  image_pull: {
    cause:
      "The image {image|of {source}} cannot be pulled: it does not exist there, or the registry does not give it to this host.",
    fix: "Pull it by hand on the host of {source}. Correct name and tag, or log in to the registry, then create {source} again.",
  },
  hardware_io: {
    cause: "A device under {source} reports errors: {said|see the line}.",
    fix: "Save the data first. Look at the device with `smartctl -a` and `journalctl -k`, at cable, power and controller; replace what reports errors, then bring {source} back.",
  },
};
