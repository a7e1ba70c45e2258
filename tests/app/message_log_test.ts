/**
 * One line of the message log.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { messageLogLine } from "../../lib/app/message_log.ts";

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
