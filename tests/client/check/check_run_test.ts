/**
 * The time of a case: what had less of it than it may take has not failed.
 */
import { assertEquals, assertInstanceOf, assertMatch, assertRejects } from "@std/assert";
import { CaseEnd } from "../../../lib/client/check/check_case.ts";
import { CheckClock } from "../../../lib/client/check/check_clock.ts";
import { CheckRun } from "../../../lib/client/check/check_run.ts";
import { Transcript } from "../../../lib/client/check/transcript.ts";

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
