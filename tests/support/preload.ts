import { afterAll } from "bun:test";
import { stopSharedPostgres } from "./postgres.ts";

// After the last test of the last file.
afterAll(stopSharedPostgres);
