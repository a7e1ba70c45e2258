/**
 * The list of cases, and the watch over what every server message has to keep.
 */
import { assert, assertEquals, assertGreater, assertMatch } from "@std/assert";
import { ALL_CASES } from "../../../lib/client/check/all_cases.ts";
import { usualOpen } from "../../../lib/client/check/open_parameters.ts";
import { selectCases } from "../../../lib/client/check/run_checks.ts";
import { ServerRules } from "../../../lib/client/check/server_rules.ts";
import { Transcript } from "../../../lib/client/check/transcript.ts";
import { ROOT } from "../../helpers/program.ts";

Deno.test("check: every case has a name of its own, a title, and sections that exist", async () => {
  const protocol = await Deno.readTextFile(`${ROOT}/docs/protocol.md`);
  const sections = new Set(protocol.matchAll(/^## (\d+)\./gm).map(([, number]) => Number(number)));
  assertGreater(ALL_CASES.length, 100);
  assertEquals(new Set(ALL_CASES.map(({ name }) => name)).size, ALL_CASES.length);
  assertEquals(new Set(ALL_CASES.map(({ title }) => title)).size, ALL_CASES.length);
  for (const { name, title, sections: named } of ALL_CASES) {
    assertMatch(name, /^[a-z]+\.[a-z0-9-]+$/);
    assertGreater(title.length, 15);
    assert(named.length > 0 && named.every((section) => sections.has(section)), name);
  }
});

Deno.test("check: cases are chosen by the beginning of their names, or by a pattern", () => {
  const names = (only: string) => selectCases(only).map(({ name }) => name);
  assertEquals(selectCases(undefined), ALL_CASES);
  assertEquals(names("open.probe , close.before-open"), ["open.probe", "close.before-open"]);
  assert(names("auth").every((name) => name.startsWith("auth.")));
  assert(names("*close").includes("audio.after-close"));
  assertEquals(names("open.prob?"), []);
  assertEquals(names(""), []);
});

const ID = "30b0e395-84d3-4570-ac13-9a62d8f514c0";

/** A session in which `open` and `ping` were sent, and `opened` came. */
function watched(): { rules: ServerRules; say: (fields: object, nowMs?: number) => void } {
  const rules = new ServerRules(ID);
  const open = usualOpen(ID);
  rules.sent("open", 1, open);
  let seq = 0;
  const say = (fields: object, nowMs = 0) => {
    const message = { version: "2", id: ID, seq: ++seq, clientseq: 1, parameters: {}, ...fields };
    rules.text(JSON.stringify(message), nowMs);
  };
  const [media] = open.media as readonly unknown[];
  say({ type: "opened", parameters: { media: [media] } });
  rules.sent("ping", 2, {});
  return { rules, say };
}

/** What is wrong with the second message of a server, and the words for it. */
const FAULTS: readonly [fields: object, fault: RegExp][] = [
  [{ type: "pong", clientseq: 2, version: 2 }, /version 2; expected the text/],
  [{ type: "pong", clientseq: 2, id: crypto.randomUUID() }, /id .*; expected that of the session/],
  [{ type: "pong", clientseq: 2, id: undefined }, /id undefined/],
  [{ type: "pong", clientseq: 2, seq: 1 }, /seq 1; expected 2/],
  [{ type: "pong", clientseq: 2, seq: 3 }, /seq 3; expected 2/],
  [{ type: "pong", clientseq: 2, seq: "2" }, /seq "2"; expected 2/],
  [{ type: "pong", clientseq: undefined }, /clientseq undefined/],
  [{ type: "pong", clientseq: 3 }, /only 2 were sent/],
  [{ type: "pong", clientseq: 1 }, /expected the seq of the "ping", 2/],
  [{ type: "pong", clientseq: 0 }, /clientseq 0, after 1/],
  [{ type: "pong", clientseq: 2, parameters: undefined }, /no parameters; expected an object/],
  [{ type: "pong", clientseq: 2, parameters: [] }, /parameters \[\]; expected an object/],
  [{ type: "opened", parameters: { media: [] } }, /a second "opened"/],
  [{ type: "updated" }, /"updated" without an "update"/],
  [{ type: "closed" }, /"closed" without "close"/],
  [{ type: "event", parameters: { entities: [] } }, /"event" with bad parameters: entities/],
  [{ type: "disconnect", parameters: { reason: "tired" } }, /"disconnect" with bad parameters/],
  [
    { type: "disconnect", parameters: { reason: "error", info: "+15550100 hung up" } },
    /personal data/,
  ],
  [{ type: "" }, /without a type/],
  [{ type: "event", parameters: { entities: "x".repeat(64_000) } }, /text frame of 64\d+ bytes/],
];

for (const [fields, fault] of FAULTS) {
  Deno.test(`check: a watch over every message finds: ${fault.source}`, () => {
    const { rules, say } = watched();
    assertEquals(rules.faults, []);
    say(fields);
    assertMatch(rules.faults.join("\n"), fault);
  });
}

Deno.test("check: a watch over every message finds what comes in no message", () => {
  const { rules } = watched();
  rules.audio(160);
  rules.text("no JSON", 0);
  rules.text("[]", 0);
  assertMatch(rules.faults.join("\n"), /not a voice bot's\na text frame that is no JSON object$/);
});

Deno.test("check: a watch over every message finds media that was not offered", () => {
  for (const change of [{ rate: 16_000 }, { channels: ["internal", "external"] }, { extra: 1 }]) {
    const rules = new ServerRules(ID);
    const open = usualOpen(ID);
    rules.sent("open", 1, open);
    const [offer] = open.media as readonly object[];
    const parameters = { media: [{ ...offer, ...change }] };
    const message = { version: "2", id: ID, seq: 1, clientseq: 1, type: "opened", parameters };
    rules.text(JSON.stringify(message), 0);
    assertMatch(rules.faults.join("\n"), /was not offered/);
  }
});

Deno.test("check: a watch over every message finds what comes after the end", () => {
  const { rules, say } = watched();
  say({ type: "disconnect", parameters: { reason: "completed" } });
  say({ type: "pong", clientseq: 2 });
  assertEquals(rules.faults, []);
  say({ type: "pause" });
  assertMatch(rules.faults.join("\n"), /"pause" after "disconnect"/);
  rules.sent("close", 3, {});
  say({ type: "closed", clientseq: 3 });
  say({ type: "event", clientseq: 3, parameters: { entities: [{ type: "x", data: {} }] } });
  assertMatch(rules.faults.join("\n"), /"event" after "closed"/);
});

Deno.test("check: many messages within a second, and unknown ones, are worth an advice", () => {
  const event = { type: "event", parameters: { entities: [{ type: "x", data: {} }] } };
  const slow = watched();
  for (let count = 0; count < 100; count++) slow.say(event, count * 40);
  assertEquals([slow.rules.faults, slow.rules.advice], [[], []]);
  const fast = watched();
  for (let count = 0; count < 100; count++) fast.say(event, count);
  assertMatch(fast.rules.advice.join("\n"), /more than 30 messages within a second/);
  fast.say({ type: "hello" });
  assertMatch(fast.rules.advice.join("\n"), /unknown type "hello"/);
  assertEquals(fast.rules.faults, []);
});

Deno.test("check: a transcript is bounded, and has no secrets", () => {
  const transcript = new Transcript(["the-api-key"]);
  transcript.add(1, "sent", `keyid="the-api-key" ${"x".repeat(10_000)}`);
  for (let count = 0; count < 10_000; count++) transcript.addAudio(1, "sent", 160);
  for (let count = 0; count < 1000; count++) transcript.add(1, "received", "text");
  const { lines } = transcript;
  assertEquals(lines.length, 301);
  assertEquals(lines[1]?.text, "10000 frames of audio, 1600000 bytes");
  assertMatch(lines[0]?.text ?? "", /^keyid="\[API key\]" x+… \(\d+ characters\)$/);
  assertMatch(lines[300]?.text ?? "", /^702 more lines/);
});
