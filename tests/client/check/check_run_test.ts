/**
 * How a case ends: what had less time than it may take has not failed, and what falls over is the
 * checker's own fault.
 */
import { assertEquals, assertInstanceOf, assertMatch, assertRejects } from "@std/assert";
import { CaseEnd, type CheckCase } from "../../../lib/client/check/check_case.ts";
import { CheckClock } from "../../../lib/client/check/check_clock.ts";
import { CheckRun } from "../../../lib/client/check/check_run.ts";
import { runCase } from "../../../lib/client/check/run_case.ts";
import { Transcript } from "../../../lib/client/check/transcript.ts";
import { API_KEY, BrokenServer, SECRET } from "./broken_server.ts";
import { FAULTS } from "./fault.ts";

/** A case as it runs against a server. */
function runAgainst(url: URL): CheckRun {
  return new CheckRun({
    target: {
      url,
      apiKey: API_KEY,
      clientSecret: SECRET,
      organizationId: crypto.randomUUID(),
    },
    clock: new CheckClock(10_000, 1),
    transcript: new Transcript([API_KEY]),
  });
}

Deno.test("check: a connection for which a case has no time left is no failure", async () => {
  // Takes connections, and never answers.
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const target = {
    url: new URL(`ws://127.0.0.1:${listener.addr.port}/`),
    apiKey: "some-key",
    clientSecret: new Uint8Array(),
    organizationId: crypto.randomUUID(),
  };
  const run = new CheckRun({
    target,
    clock: new CheckClock(50, 1),
    transcript: new Transcript([]),
  });
  for (const attempt of [() => run.connect(), () => run.knock({})]) {
    const error = await assertRejects(attempt);
    assertInstanceOf(error, CaseEnd);
    assertEquals(error.verdict, "skip");
    assertMatch(error.seen, /time was over.*--timeout-scale/);
  }
  await run.end();
});

/** A case that opens a session, and then falls over. */
const FALLS_OVER: CheckCase = {
  name: "check.falls-over",
  title: "A case may have a mistake in it",
  sections: [4],
  strength: "should",
  async run(check) {
    await check.open();
    throw new TypeError(`The key is ${API_KEY}`);
  },
};

Deno.test("check: a case that falls over is a defect of the checker, whatever the server does", async () => {
  for (const parts of [{}, FAULTS["version-number"]]) {
    await using server = await BrokenServer.start(parts);
    const { verdict, seen, transcript } = await runCase(FALLS_OVER, runAgainst(server.url));
    assertEquals(verdict, "defect");
    assertMatch(seen, /The checker itself failed: TypeError: The key is \[API key\]$/);
    assertEquals(transcript.some(({ text }) => text.includes('"opened"')), true);
  }
});
