import { type FakeSlack, startFakeSlack } from "./fake-slack.ts";
import { APP_TOKEN, BOT_TOKEN, CHANNEL } from "./fake-slack-api.ts";
import { createTestDatabase, type TestDatabase } from "./postgres.ts";
import { startTestServer, type TestServer } from "./server.ts";

/** A server on a database of its own that announces, and takes presses, by a Slack of its own. */
export interface SlackServer {
  readonly database: TestDatabase;
  readonly slack: FakeSlack;
  readonly server: TestServer;
  stop(): Promise<void>;
}

export async function startSlackServer(): Promise<SlackServer> {
  const database = await createTestDatabase();
  const slack = await startFakeSlack();
  const server = await startTestServer(database.url, {
    SLACK_API_URL: slack.apiUrl,
    SLACK_TOKEN: BOT_TOKEN,
    SLACK_CHANNEL: CHANNEL,
    SLACK_APP_TOKEN: APP_TOKEN,
  });
  return {
    database,
    slack,
    server,
    async stop() {
      await server.stop();
      await slack.stop();
      await database.close();
    },
  };
}
