/**
 * Our own server passes; what it is built to refuse makes cases skipped, not passed.
 */
import { assert, assertEquals, assertFalse, assertGreater, assertMatch } from "@std/assert";
import type { App } from "../../../lib/app/app.ts";
import type { CheckReport, CheckVerdict } from "../../../lib/client/check/check_report.ts";
import { runChecks } from "../../../lib/client/check/run_checks.ts";
import { Program, TemporaryFolder } from "../../helpers/program.ts";
import { TestApp } from "../../helpers/test_app.ts";
import { TestServer } from "../../helpers/test_server.ts";
import { API_KEY, SECRET, UNSIGNED_KEY } from "../../helpers/wire_client.ts";

function named(report: CheckReport, verdict: CheckVerdict): string[] {
  return report.results.filter((result) => result.verdict === verdict).map(({ name }) => name);
}

/** What went wrong, for a person to read. */
function complaints({ problem, results }: CheckReport): string[] {
  const bad = results.filter(({ verdict }) => verdict === "fail" || verdict === "advice");
  return [...(problem === undefined ? [] : [problem]), ...bad.map((one) => JSON.stringify(one))];
}

function urlOf(server: TestServer): URL {
  return new URL(`ws://${server.authority}/api/v1/audiohook/ws`);
}

/** Only a server that pauses by itself can be tried. */
const OF_A_PAUSING_SERVER = "pause.client-pause-outlives-server-resume";

Deno.test("check: the program as it is started by default passes every case", async () => {
  await using folder = await TemporaryFolder.make();
  await using server = Program.server(folder.path);
  const url = await server.url();
  const { apiKey, clientSecret } = JSON.parse(
    await Deno.readTextFile(folder.join("data", "credentials.json")),
  );
  const done: string[] = [];
  const report = await runChecks({
    url,
    apiKey,
    clientSecret: Uint8Array.fromBase64(clientSecret),
    onResult: ({ name }) => done.push(name),
  });
  assertEquals(complaints(report), []);
  assertEquals(named(report, "skip"), [OF_A_PAUSING_SERVER]);
  assertGreater(named(report, "pass").length, 100);
  assertEquals(done.toSorted(), report.results.map(({ name }) => name).toSorted());

  const text = JSON.stringify(report);
  assertFalse(text.includes(apiKey) || text.includes(clientSecret));
  assertMatch(text, /Signature: \[signature\]/);
  const { code, output } = await server.stop();
  assertEquals(code, 0, output);
  assertFalse(output.includes("defect"), output);
});

Deno.test("check: of a key without a secret, what concerns signatures is skipped", async () => {
  await using server = await TestServer.start();
  const report = await runChecks({
    url: urlOf(server),
    apiKey: UNSIGNED_KEY,
    only: "auth,request",
  });
  assertEquals(complaints(report), []);
  assertEquals(named(report, "pass").filter((name) => name.startsWith("auth")), [
    "auth.unknown-key",
    "auth.organization-mismatch",
    "auth.session-id-mismatch",
  ]);
  for (const { verdict, seen } of report.results) {
    if (verdict === "skip") assertMatch(seen, /no client secret/);
  }
});

Deno.test("check: of a server that wants no audio, what concerns audio is skipped", async () => {
  const app = new TestApp({ preferences: { media: null } });
  await using server = await TestServer.start({ apps: [app], record: false });
  const only = "audio,pause,open,discarded,lost,bot";
  const report = await runChecks({
    url: urlOf(server),
    apiKey: API_KEY,
    clientSecret: SECRET,
    only,
  });
  assertEquals(complaints(report), []);
  const skipped = named(report, "skip");
  assert(skipped.every((name) => /^(audio|pause|discarded)\./.test(name)), skipped.join());
  assert(skipped.includes("audio.odd-frames") && skipped.includes(OF_A_PAUSING_SERVER));
  assertEquals(named(report, "pass").filter((name) => name.startsWith("audio.")), []);
});

Deno.test("check: a server that pauses and resumes is tried with the client's own pause", async () => {
  const app: App = {
    name: "pausing",
    open(call) {
      let ticks = 0;
      return {
        preferences: { startPaused: true },
        tick() {
          // The first one may come at once.
          if (++ticks === 2) call.resume();
        },
      };
    },
  };
  await using server = await TestServer.start({ apps: [app] });
  const report = await runChecks({
    url: urlOf(server),
    apiKey: API_KEY,
    clientSecret: SECRET,
    only: "pause.client",
  });
  assertEquals(complaints(report), []);
  assertEquals(named(report, "pass"), ["pause.client-pause", OF_A_PAUSING_SERVER]);
});

Deno.test("check: a server that refuses many is left alone, and what was not tried is skipped", async () => {
  await using server = await TestServer.start({ maxAuthFailuresPerMinute: 1 });
  const only = "auth.wrong,auth.unsigned,auth.unknown-key,open.probe";
  const report = await runChecks({
    url: urlOf(server),
    apiKey: API_KEY,
    clientSecret: SECRET,
    only,
  });
  assertEquals(complaints(report), []);
  assertEquals(named(report, "pass").length, 2);
  const skipped = report.results.filter(({ verdict }) => verdict === "skip");
  assertEquals(skipped.length, 2);
  for (const { seen } of skipped) assertMatch(seen, /busy: HTTP 429/);
});

Deno.test("check: a server with another secret is reported at once, not case by case", async () => {
  await using server = await TestServer.start();
  const report = await runChecks({
    url: urlOf(server),
    apiKey: API_KEY,
    clientSecret: new TextEncoder().encode("another secret"),
  });
  assertMatch(report.problem ?? "", /HTTP 401 .*secret/);
  assertEquals(report.results, []);
});

Deno.test("check: a wrong path is reported at once", async () => {
  await using server = await TestServer.start();
  const url = new URL("/elsewhere", urlOf(server));
  const report = await runChecks({ url, apiKey: API_KEY, clientSecret: SECRET });
  assertMatch(report.problem ?? "", /HTTP 404/);
});

Deno.test("check: a run that is ended early reports what was checked", async () => {
  await using server = await TestServer.start();
  const controller = new AbortController();
  const report = await runChecks({
    url: urlOf(server),
    apiKey: API_KEY,
    clientSecret: SECRET,
    only: "open",
    parallel: 2,
    signal: controller.signal,
    onResult: (_result, done) => done === 3 && controller.abort(),
  });
  assertEquals(named(report, "pass").length + named(report, "skip").length, report.results.length);
  assertGreater(named(report, "skip").length, 3);
  assertGreater(named(report, "pass").length, 2);
});
