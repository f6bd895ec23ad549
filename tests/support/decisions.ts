import type { Sql, TransactionSql } from "postgres";
import type { ServerFrame } from "../../src/protocol/frames.ts";
import type { TestAgent } from "./agent.ts";
import { alertFrame, type TestServer } from "./server.ts";
import { until } from "./until.ts";

type CommandFrame = Extract<ServerFrame, { type: "command" }>;

/** A host whose agent does what a test says. */
export class DecidedHost {
  #frames = 0;

  private constructor(
    readonly id: string,
    readonly token: string,
    readonly socket: TestAgent,
  ) {}

  /** Enrolled and connected. */
  static async start(server: TestServer): Promise<DecidedHost> {
    const made = await server.api("/v1/agents", { method: "POST", body: {} });
    const socket = await connectAs(server, made.body.token);
    return new DecidedHost(made.body.id, made.body.token, socket);
  }

  /** The same host on another socket, of this server or one after it. */
  async back(server: TestServer): Promise<DecidedHost> {
    return new DecidedHost(this.id, this.token, await connectAs(server, this.token));
  }

  /** Resolves once the alert is durable. */
  async alert(alert: Record<string, unknown> = {}): Promise<void> {
    await this.#send(alertFrame(this.#next(), this.token, alert));
  }

  /** Alerts, and gives the number of the incident that it opened. */
  async incident(server: TestServer, alert: Record<string, unknown> = {}): Promise<number> {
    await this.alert(alert);
    const incidents = await server.api(`/v1/agents/${this.id}/incidents`);
    return incidents.body[0].id;
  }

  /** All commands of this name that came. */
  commands(name: string): CommandFrame[] {
    return this.socket.frames.filter(
      (frame): frame is CommandFrame => frame.type === "command" && frame.command === name,
    );
  }

  /** The n-th command of this name, from 0. */
  async command(name: string, n = 0): Promise<CommandFrame> {
    return until(() => this.commands(name)[n], { ms: 10_000, what: `command ${name} ${n}` });
  }

  /** Resolves once the result is durable. */
  async answer({ id }: CommandFrame, result: Record<string, unknown> = {}): Promise<void> {
    const finished = { status: "done", exit_code: 0, duration_ms: 5, finished_at: Date.now() / 1000 };
    const data = JSON.stringify({ command_id: id, ...finished, ...result });
    const frame = { ver: "1.1", ts: Date.now() / 1000, id: this.#next(), token: this.token, type: "result", data };
    await this.#send({ ...frame, compression: "none" });
  }

  async #send(frame: Record<string, unknown>): Promise<void> {
    this.socket.send(frame);
    await until(() => this.socket.frames.some((one) => one.type === "ack" && one.id === frame.id), {
      what: `an ack of ${frame.id}`,
    });
  }

  #next(): string {
    return `${this.id}-${Date.now()}-${++this.#frames}`.slice(-64);
  }
}

async function connectAs(server: TestServer, token: string): Promise<TestAgent> {
  const socket = await server.connect();
  socket.send({ ver: "1.1", token, ts: Date.now() / 1000 });
  await socket.frame(0);
  return socket;
}

/** Decides as curl would. */
export function decide(server: TestServer, incident: number, action: string, more: Record<string, unknown> = {}) {
  return server.api(`/v1/incidents/${incident}/decisions`, { method: "POST", body: { action, ...more } });
}

/** The incident's decision, once it is in this state. */
export function decided(server: TestServer, incident: number, state: string, n = 0) {
  return until(
    async () => {
      const story = await server.api(`/v1/incidents/${incident}`);
      const decision = story.body.decisions[n];
      return decision?.state === state && decision;
    },
    { ms: 12_000, what: `decision ${n} of incident ${incident} is ${state}` },
  );
}

/** As if so many seconds more had passed since it was carried out: all that happened by now lies further back. */
export async function passed(sql: Sql, decision: string, seconds: number): Promise<void> {
  await sql.begin(async (tx) => {
    await shift(tx, decision, seconds);
    await tx`select pg_notify('opspilot_incidents', '')`;
  });
}

async function shift(sql: Sql | TransactionSql, decision: string, seconds: number): Promise<void> {
  await sql`
    update alerts set occurred_at = occurred_at - make_interval(secs => ${seconds})
    where agent_id = (select agent_id from incidents where id = (select incident_id from decisions where id = ${decision}))`;
  await sql`
    update incidents set last_seen_at = last_seen_at - make_interval(secs => ${seconds})
    where agent_id = (select agent_id from incidents where id = (select incident_id from decisions where id = ${decision}))`;
  await sql`
    update commands set sent_at = sent_at - make_interval(secs => ${seconds})
    where id = (select command_id from decisions where id = ${decision})`;
  await sql`
    update decisions set carried_out_at = carried_out_at - make_interval(secs => ${seconds}),
      requested_at = requested_at - make_interval(secs => ${seconds}), due_at = due_at - make_interval(secs => ${seconds})
    where id = ${decision}`;
}
