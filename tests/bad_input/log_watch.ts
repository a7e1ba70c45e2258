/**
 * The log of one test, in memory, and what may be in it.
 */
import type { LogRecord } from "@logtape/logtape";
import { assert, assertEquals } from "@std/assert";
import { until } from "../helpers/deadline.ts";
import { LogRecords } from "../helpers/log_records.ts";
import type { LogLine } from "./table_line.ts";

/** What the log says of any session, however good. */
const NORMAL: readonly string[] = [
  "info: Connection for {sessionId}",
  "info: Session {sessionId} is open",
  "info: Session {sessionId} is closed: {reason}",
  "info: Recorded {sessionId}: {location}",
];

const GRAVE: readonly string[] = ["warning", "error", "fatal"];

/** Make it by `await using log = await LogWatch.start()`, before the server. */
export class LogWatch implements AsyncDisposable {
  readonly #logs: LogRecords;

  private constructor(logs: LogRecords) {
    this.#logs = logs;
  }

  static async start(): Promise<LogWatch> {
    return new LogWatch(await LogRecords.watch());
  }

  /** Whether such a line is in the log. */
  has(template: string): boolean {
    return this.#logs.records.some((record) => templateOf(record) === template);
  }

  /** Settles when such a line is in the log. */
  async said(template: string): Promise<void> {
    await until(() => this.has(template), `"${template}" in the log`);
  }

  /** The log has what it must have, and nothing else but details of level debug. */
  check(expected: readonly LogLine[], sessions: readonly string[], bystanderId: string): void {
    const lines = (
      records: readonly LogRecord[],
    ) => [...new Set(records.map((record) => `${record.level}: ${templateOf(record)}`))];
    const records = this.#logs.records.filter(({ level }) => level !== "debug");
    const ofBystander = records.filter((record) => sessionOf(record) === bystanderId);
    assertEquals(
      lines(ofBystander).filter((line) => !NORMAL.includes(line)),
      [],
      "the log of the bystander",
    );
    const others = records.filter((record) => !ofBystander.includes(record));
    const texts = expected.map(({ level, template }) => `${level}: ${template}`);
    const required = texts.filter((_, index) => expected[index]?.isSure !== false);
    const said = lines(others);
    const unexpected = others.filter((record) =>
      !lines([record]).every((line) => NORMAL.includes(line) || texts.includes(line))
    );
    assertEquals(
      unexpected.map(({ level, rawMessage, properties }) => ({ level, rawMessage, properties })),
      [],
      "what the log must not say",
    );
    for (const line of required) assert(said.includes(line), `the log does not say "${line}"`);
    for (const record of others) {
      const id = sessionOf(record);
      if (id === undefined || !GRAVE.includes(record.level)) continue;
      assert(sessions.includes(id), `${templateOf(record)} names another session`);
    }
  }

  /** Everything, with all properties: to be searched for what must not be in it. */
  get text(): string {
    return this.#logs.text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#logs[Symbol.asyncDispose]();
  }
}

function templateOf({ rawMessage }: LogRecord): string {
  return typeof rawMessage === "string" ? rawMessage : rawMessage.join("{}");
}

function sessionOf({ properties }: LogRecord): string | undefined {
  return typeof properties.sessionId === "string" ? properties.sessionId : undefined;
}
