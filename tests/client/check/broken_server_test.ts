/**
 * Whether the conformance checker finds what is wrong with a server, and nothing else: against
 * servers with one fault each, with none, and with ways of their own.
 */
import { assertEquals, assertGreater } from "@std/assert";
import type { CheckReport } from "../../../lib/client/check/check_report.ts";
import { runChecks } from "../../../lib/client/check/run_checks.ts";
import { within } from "../../helpers/deadline.ts";
import { API_KEY, BrokenServer, type Parts, SECRET } from "./broken_server.ts";
import { type Fault, type FaultName, FAULTS } from "./fault.ts";
import { SOUND_VARIANTS } from "./sound_variants.ts";

/** Longer than any run here takes, even if every case waits for its deadline. */
const HANG_MS = 120_000;
/** As many servers at a time as keep the whole short, without one slowing the other's answers. */
const SERVERS_AT_ONCE = 14;

/** Checks a server with one fault, or none. */
async function check(name: string, parts: Parts, only?: readonly string[]): Promise<CheckReport> {
  await using server = await BrokenServer.start(parts);
  const { isContagious = false }: Partial<Fault> = parts;
  const run = runChecks({
    url: server.url,
    apiKey: API_KEY,
    clientSecret: SECRET,
    only: only?.join(","),
    parallel: isContagious ? 1 : 24,
  });
  const report = await within(run, `run against ${name}`, HANG_MS);
  assertEquals(report.problem, undefined, name);
  return report;
}

const namesOf = ({ results }: CheckReport, verdict: string): string[] =>
  results.filter((result) => result.verdict === verdict).map(({ name }) => name);

/** A case that has nothing to do with a fault, and passes all the same. */
function bystanderOf(fault: Fault): string {
  return fault.session === undefined ? "open.supported-languages" : "auth.wrong-signature";
}

/** What the checker should have said of a fault, and did not. Never rejects. */
async function missed(name: FaultName): Promise<string[]> {
  try {
    return await missedOf(name, FAULTS[name]);
  } catch (error) {
    return [`${name}: the run itself failed: ${error}`];
  }
}

async function missedOf(name: FaultName, fault: Fault): Promise<string[]> {
  const bystander = bystanderOf(fault);
  const { results } = await check(name, fault, [...fault.cases, bystander]);
  const expected = new Map([
    ...fault.cases.map((one) => [one, fault.verdict ?? "fail"] as const),
    [bystander, "pass"] as const,
  ]);
  return [...expected].flatMap(([one, verdict]) => {
    const result = results.find((result) => result.name === one);
    if (result?.verdict === verdict) return [];
    return [`${name}: ${one}: ${result?.verdict ?? "no such case"}: ${result?.seen}`];
  });
}

Deno.test("check: a server without a fault passes, and is given no advice", async () => {
  const report = await check("a server without a fault", {});
  assertEquals(
    report.results.filter(({ verdict }) => verdict === "fail" || verdict === "advice"),
    [],
  );
  assertGreater(namesOf(report, "pass").length, 100);
});

Deno.test("check: no way of doing it that the protocol allows is a fault", async () => {
  const reports = await Promise.all(
    Object.entries(SOUND_VARIANTS)
      .map(async ([name, variant]) => [name, await check(name, variant)] as const),
  );
  const faults = reports.flatMap(([name, { results }]) =>
    results.filter(({ verdict }) => verdict === "fail")
      .map((result) => `${name}: ${result.name}: ${result.seen}`)
  );
  assertEquals(faults, []);
  for (const [name, { results }] of reports) assertGreater(results.length, 100, name);
});

Deno.test("check: every fault of a server is found, where it is looked for", async () => {
  const names = Object.keys(FAULTS) as FaultName[];
  assertGreater(names.length, 25);
  const problems = names.filter((name) => FAULTS[name].cases.length === 0)
    .map((name) => `${name}: there is no case for it`);
  const queue = [...names];
  await Promise.all(Array.from({ length: SERVERS_AT_ONCE }, async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      problems.push(...await missed(name));
    }
  }));
  assertEquals(problems, []);
});

/** Faults that show in these cases, of all that there are. */
const NARROW: Readonly<Record<string, string[]>> = {
  "languages-forgotten": ["open.supported-languages"],
  "part-of-sample-accepted": ["audio.part-of-a-sample"],
  "hangs-up-after-closed": ["close.hanging-up-is-the-clients"],
  "signature-prefix": ["auth.short-signature"],
} satisfies Partial<Record<FaultName, string[]>>;

Deno.test("check: a fault fails the cases that it is about, and no others", async () => {
  const reports = await Promise.all(
    Object.keys(NARROW)
      .map(async (name) => [name, await check(name, FAULTS[name as FaultName])] as const),
  );
  assertEquals(
    Object.fromEntries(reports.map(([name, report]) => [name, namesOf(report, "fail")])),
    NARROW,
  );
  for (const [name, report] of reports) {
    assertGreater(namesOf(report, "pass").length, 100, name);
  }
});

Deno.test("check: what a server says can neither end a run nor hold it up", async () => {
  const names: FaultName[] = ["values-of-other-types", "media-null", "event-too-large"];
  await Promise.all(names.map(async (name) => {
    const report = await check(name, FAULTS[name]);
    assertGreater(report.results.length, 100, name);
    assertGreater(namesOf(report, "fail").length, 0, name);
    // Who is refused never gets to see what is wrong with the sessions.
    const auth = report.results.find((result) => result.name === "auth.wrong-signature");
    assertEquals(auth?.verdict, "pass", name);
  }));
});
