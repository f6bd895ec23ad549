import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "postgresql",
  schema: [
    "./src/db/schema.ts",
    "./src/db/fleet-schema.ts",
    "./src/db/session-schema.ts",
    "./src/db/access-schema.ts",
    "./src/db/cron-schema.ts",
    "./src/db/figures-schema.ts",
    "./src/db/feedback-schema.ts",
    "./src/db/investigation-schema.ts",
    "./src/db/slack-schema.ts",
  ],
  out: "./drizzle",
});
