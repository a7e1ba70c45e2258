/**
 * What the server logs, for one test.
 */
import { configure, type LogRecord, reset } from "@logtape/logtape";

/** Make it by `await using logs = await LogRecords.watch()`, before the server. */
export class LogRecords implements AsyncDisposable {
  /** All of them, in order, of every level. */
  readonly records: LogRecord[] = [];

  static async watch(): Promise<LogRecords> {
    const logs = new LogRecords();
    await configure({
      sinks: { memory: (record) => void logs.records.push(record) },
      loggers: [
        { category: ["logtape"], lowestLevel: "error" },
        { category: ["audiohook"], lowestLevel: "trace", sinks: ["memory"] },
      ],
    });
    return logs;
  }

  /** Records whose message, with its placeholders unfilled, begins so. */
  of(beginning: string): LogRecord[] {
    return this.records.filter(({ rawMessage }) => String(rawMessage).startsWith(beginning));
  }

  /** All that could get into a log file, in whatever form. */
  get text(): string {
    return this.records
      .map(({ message, rawMessage, properties }) => Deno.inspect([message, rawMessage, properties]))
      .join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await reset();
  }
}
