import { afterAll } from "bun:test";
import { runAtEnd } from "./at-end.ts";

/** PostgreSQL writes what it has, and ends. */
const LIMIT_MS = 60_000;

afterAll(runAtEnd, LIMIT_MS);
