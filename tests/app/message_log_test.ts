/**
 * One line of the message log.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { callLogLine, gapLogLine, messageLogLine } from "../../lib/app/message_log.ts";
import { logLineSchema, type RecordedCall } from "../../lib/storage/mod.ts";

function line(from: "client" | "server", text: string): Record<string, unknown> {
  const written = messageLogLine({
    from,
    text,
    timeMs: 1_700_000_000_000,
    positionSamples: 12_001,
  });
  assertMatch(written, /^[^\r\n]+\n$/);
  return JSON.parse(written);
}

const HEAD = { time: "2023-11-14T22:13:20.000Z", position: "PT1.500125S" };

Deno.test("message log line: a message of each side is there as it was sent", () => {
  for (const from of ["client", "server"] as const) {
    const message = { type: "ping", parameters: { note: 'a "quoted" ÿ\n' } };
    assertEquals(line(from, JSON.stringify(message)), { ...HEAD, from, message });
  }
});

Deno.test("message log line: what is no JSON, or was shortened, is a text", () => {
  for (const from of ["client", "server"] as const) {
    const text = '{"type":"event","parameters":{"entities":[{"type":"tran…';
    assertEquals(line(from, text), { ...HEAD, from, text });
  }
});

Deno.test("message log line: what the call is, and a gap, have the schema of the log", () => {
  const call: RecordedCall = {
    version: 1,
    sessionId: "30b0e395-84d3-4570-ac13-9a62d8f514c0",
    organizationId: "d7934305-0972-4844-938e-9060eef73d05",
    conversationId: "090eaa2f-72fa-480a-83e0-8667ff89c0ec",
    correlationId: undefined,
    participant: {
      id: "883efee8-3d6c-4537-b500-6d7ca4b92fa0",
      ani: 'a "caller"\n',
      aniName: "\u2028",
      dnis: "",
    },
    language: undefined,
    media: { format: "PCMU", channels: ["external"], rate: 8000 },
    startedAt: "2023-11-14T22:13:20.000Z",
  };
  const gap = { startSamples: 1, samples: 2, silenceSamples: 2, cause: "storage" as const };
  const lines = [callLogLine(call), gapLogLine(gap, 1_700_000_000_000, 12_001)];
  for (const line of lines) assertMatch(line, /^[^\r\n]+\n$/);
  const read = lines.map((line) => logLineSchema.parse(JSON.parse(line)));
  assertEquals(read, [
    { ...HEAD, position: "PT0S", call: JSON.parse(JSON.stringify(call)) },
    { ...HEAD, gap },
  ]);
});
