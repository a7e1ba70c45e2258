/**
 * A server in a process of its own, which tells how much memory it uses. The only argument is the
 * folder for its recordings; run it with `--v8-flags=--expose-gc`.
 *
 * Prints a line with its port, the port where it answers every HTTP request by its
 * {@link MemoryReport}, and the id of the process.
 */
import { Recorder } from "../../lib/app/recorder.ts";
import { Keyring } from "../../lib/protocol/keyring.ts";
import { startServer } from "../../lib/server/mod.ts";
import { FileRecordingStore } from "../../lib/storage/mod.ts";
import { API_KEY, SECRET } from "./wire_client.ts";

/** What is left of the sessions that have been. */
export interface MemoryReport {
  readonly connectionCount: number;
  readonly socketCount: number;
  /** Bytes of live objects. */
  readonly heapUsed: number;
  /** Bytes of the process. */
  readonly rss: number;
}

/** Limits that a test reaches soon. */
export const PINGS_AT_ONCE = 30;

/** Frees all that nobody holds. What is freed may let go of more, so once is not enough. */
async function collectGarbage(): Promise<void> {
  const { gc } = globalThis as { gc?: (options: Record<string, string>) => void };
  if (gc === undefined) throw new Error("Run it with --v8-flags=--expose-gc");
  for (let i = 0; i < 5; i++) {
    gc({ type: "major", execution: "sync", flavor: "last-resort" });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

if (import.meta.main) {
  const recorder = new Recorder(new FileRecordingStore(Deno.args[0] ?? "."));
  const server = startServer({
    keyring: await Keyring.create(new Map([[API_KEY, SECRET]])),
    apps: [recorder],
    authFailureDelayMs: 20,
    maxAuthFailuresPerMinute: 2,
    clientAddressHeader: "X-Forwarded-For",
    sessionLimits: {
      hangupTimeoutMs: 100,
      receivedTextRate: { perSecond: 1, burst: PINGS_AT_ONCE },
    },
  });
  const control = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async () => {
    await recorder.finished();
    await collectGarbage();
    const { connectionCount, socketCount } = server;
    const { heapUsed, rss } = Deno.memoryUsage();
    const report: MemoryReport = { connectionCount, socketCount, heapUsed, rss };
    return Response.json(report);
  });
  const line = `${server.addr.port} ${control.addr.port} ${Deno.pid}\n`;
  await Deno.stdout.write(new TextEncoder().encode(line));
}
