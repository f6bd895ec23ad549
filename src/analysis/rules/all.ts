import { ERRNO_NETWORK } from "../codes/errno-network.ts";
import { ERRNO_SYSTEM } from "../codes/errno-system.ts";
import { ERLANG_REASONS, EXCEPTION_CLASSES, NODE_CODES, RUST_KINDS } from "../codes/languages.ts";
import {
  CONTAINER_REASONS,
  CURL_CODES,
  DBUS_ERRORS,
  DIRECTORY_CODES,
  GRPC_CODES,
  HTTP_CODES,
  MQTT_CODES,
  MYSQL_NUMBERS,
  OPENSSL_REASONS,
  OTHER_DATABASES,
  SQL_STATES,
  WINDOWS_CODES,
} from "../codes/services.ts";
import { SYSTEMD_CODES } from "../codes/systemd.ts";
import { MISSING, MISSING_PARTS } from "../kinds/absences.ts";
import { TOO_SLOW, UNREACHED, UNRESOLVED } from "../kinds/peers.ts";
import { CERTIFICATES, FORBIDDEN, UNBELIEVED } from "../kinds/refusals.ts";
import { NO_MEMORY, NO_ROOM, NO_SPACE, PORT_TAKEN } from "../kinds/resources.ts";
import { SETTINGS } from "../kinds/settings.ts";
import { DAMAGED, FAILING_DEVICES, HELD, OWN_FAULTS, UNFIT_NAMES, UNFIT_VERSIONS } from "../kinds/states.ts";
import { AUTHENTICATION } from "./authentication.ts";
import { CONFIG_ERROR } from "./config-error.ts";
import { CONFIG_PROGRAMS } from "./config-programs.ts";
import { CONNECTION_REFUSED } from "./connection-refused.ts";
import { CRASH } from "./crash.ts";
import { DATA_CORRUPTION } from "./data-corruption.ts";
import { DISK_FULL } from "./disk-full.ts";
import { DNS_FAILURE } from "./dns-failure.ts";
import { HARDWARE_IO } from "./hardware-io.ts";
import { IMAGE_PULL } from "./image-pull.ts";
import { LOCK_CONFLICT } from "./lock-conflict.ts";
import { MISSING_DEPENDENCY } from "./missing-dependency.ts";
import { MISSING_FILE } from "./missing-file.ts";
import { OUT_OF_MEMORY } from "./out-of-memory.ts";
import { PERMISSION_DENIED } from "./permission-denied.ts";
import { PERMISSION_SERVICES } from "./permission-services.ts";
import { PORT_CONFLICT } from "./port-conflict.ts";
import { RESOURCE_LIMIT } from "./resource-limit.ts";
import type { Rule } from "./rule.ts";
import { TIMEOUT } from "./timeout.ts";
import { TLS_CERTIFICATE } from "./tls-certificate.ts";
import { VERSION_MISMATCH } from "./version-mismatch.ts";

/** Kinds of failures in words that no program owns. */
const KINDS: readonly Rule[] = [
  ...NO_MEMORY,
  ...FAILING_DEVICES,
  ...NO_SPACE,
  ...PORT_TAKEN,
  ...NO_ROOM,
  ...DAMAGED,
  ...UNFIT_VERSIONS,
  ...UNFIT_NAMES,
  ...HELD,
  ...UNRESOLVED,
  ...CERTIFICATES,
  ...UNBELIEVED,
  ...FORBIDDEN,
  ...MISSING_PARTS,
  ...SETTINGS,
  ...MISSING,
  ...UNREACHED,
  ...OWN_FAULTS,
  ...TOO_SLOW,
];

/** Every rule. Their order decides only between two that fit one line equally well: the more exact kinds come first. */
export const RULES: readonly Rule[] = [
  ...OUT_OF_MEMORY,
  ...HARDWARE_IO,
  ...DISK_FULL,
  ...PORT_CONFLICT,
  ...RESOURCE_LIMIT,
  ...DATA_CORRUPTION,
  ...VERSION_MISMATCH,
  ...LOCK_CONFLICT,
  ...IMAGE_PULL,
  ...DNS_FAILURE,
  ...TLS_CERTIFICATE,
  ...AUTHENTICATION,
  ...PERMISSION_DENIED,
  ...PERMISSION_SERVICES,
  ...MISSING_DEPENDENCY,
  ...CONFIG_PROGRAMS,
  ...CONFIG_ERROR,
  ...MISSING_FILE,
  ...CONNECTION_REFUSED,
  ...CRASH,
  ...TIMEOUT,
  ...SYSTEMD_CODES,
  ...ERRNO_SYSTEM,
  ...ERRNO_NETWORK,
  ...NODE_CODES,
  ...RUST_KINDS,
  ...ERLANG_REASONS,
  ...EXCEPTION_CLASSES,
  ...SQL_STATES,
  ...MQTT_CODES,
  ...MYSQL_NUMBERS,
  ...OTHER_DATABASES,
  ...GRPC_CODES,
  ...HTTP_CODES,
  ...CURL_CODES,
  ...DBUS_ERRORS,
  ...WINDOWS_CODES,
  ...DIRECTORY_CODES,
  ...CONTAINER_REASONS,
  ...OPENSSL_REASONS,
  ...KINDS.map((rule) => ({ ...rule, isBroad: true })),
];
