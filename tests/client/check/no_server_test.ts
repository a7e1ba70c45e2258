/**
 * What the conformance checker makes of servers that are none: it tells so, and ends.
 */
import { assert, assertEquals, assertGreater, assertLess, assertStringIncludes } from "@std/assert";
import type { CheckReport } from "../../../lib/client/check/check_report.ts";
import { runChecks } from "../../../lib/client/check/run_checks.ts";
import { within } from "../../helpers/deadline.ts";
import { frameBytes } from "../../helpers/frame_bytes.ts";
import { type Answer, ByteServer, saying, served } from "../byte_server.ts";

/** Longer than any run here takes, even if every wait takes all of its time. */
const HANG_MS = 90_000;
const CASES = ["open.answered-in-time", "close.answered-in-time"];

async function check(url: URL): Promise<CheckReport> {
  const clientSecret = new TextEncoder().encode("what both sides know");
  const run = runChecks({ url, apiKey: "a-key", clientSecret, only: CASES.join(",") });
  return await within(run, `run against ${url}`, HANG_MS);
}

async function checkWith(answer: Answer): Promise<CheckReport> {
  await using server = new ByteServer(answer);
  return await check(server.url);
}

/** Writes the same again and again, until the client goes away. */
const flooding = (frame: Uint8Array): Answer => async (line) => {
  await line.upgrade();
  try {
    while (true) await line.write(frame);
  } catch (error) {
    const isGone = error instanceof Deno.errors.BrokenPipe ||
      error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BadResource;
    assert(isGone, String(error));
  }
};

Deno.test("check: where no server is, the report says so, and what to do", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = new URL(`ws://127.0.0.1:${listener.addr.port}/`);
  listener.close();
  const reports: [report: CheckReport, says: string][] = [
    [await check(url), "nobody listens"],
    [await checkWith(saying("HTTP/1.1 404 Not Found", "Content-Length: 0")), "HTTP 404"],
    [await checkWith(saying("HTTP/1.1 401 Unauthorized", "Content-Length: 0")), "API key"],
    [await checkWith(saying("HTTP/1.1 200 OK", "Content-Length: 2", "", "hi")), "HTTP 200"],
    [await checkWith((line) => line.write("220 mail.example.com ESMTP\r\n")), "No connection"],
    [await checkWith((line) => line.end()), "No connection"],
  ];
  for (const [{ problem, results }, says] of reports) {
    assertStringIncludes(problem ?? "", says);
    assertEquals(results, []);
  }
});

Deno.test("check: whatever a server does on its connections, the run ends, and its cases fail", async () => {
  const answers: Record<string, Answer> = {
    "says nothing": (line) => line.upgrade(),
    "hangs up": (line) => line.upgrade().then(() => line.end()),
    "floods with text": flooding(served('{"type":"pong"}')),
    "floods with audio": flooding(served(new Uint8Array(60_000), 2)),
    "floods with pings of WebSocket": flooding(served("ping", 9)),
    "floods with large texts": flooding(served("[".repeat(1_000_000))),
    "sends no frames": flooding(new Uint8Array(1000).fill(0x55)),
    "never ends a message": flooding(
      frameBytes({ opcode: 2, payload: new Uint8Array(60_000), fin: false, masked: false }),
    ),
  };
  const reports = await Promise.all(
    Object.entries(answers).map(async ([name, answer]) => [name, await checkWith(answer)] as const),
  );
  for (const [name, { results }] of reports) {
    assertEquals(results.map((result) => result.name), CASES, name);
    for (const { verdict, seen, transcript } of results) {
      assertEquals(verdict, "fail", `${name}: ${seen}`);
      assertGreater(seen.length, 10, name);
      // However much the server sent.
      assertLess(transcript.length, 1000, name);
    }
  }
});
