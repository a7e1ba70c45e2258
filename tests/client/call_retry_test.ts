/** What the command tells of retries, lost time and audio from before the call was open. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { TemporaryFolder } from "../helpers/program.ts";
import { jsonLines, run, runIn, UNSIGNED } from "./call_program.ts";
import { RecordingServer } from "./recording_server.ts";
import { ScriptedServer } from "./scripted_server.ts";

function to(server: { readonly url: URL }, ...more: string[]): string[] {
  return ["--url", server.url.href, ...UNSIGNED, "--tone", ...more];
}

Deno.test("call command: a call that is tried again is told of, and is good in the end", async () => {
  await using scripted = new ScriptedServer((peer, message) => {
    if (scripted.peers.length > 1) return peer.answer(message);
    if (message.type === "open") peer.say("disconnect", { reason: "error", info: "Not yet" });
    if (message.type === "close") peer.say("closed");
  });
  const { code, stdout } = await run(to(scripted, "--duration", "3", "--retries", "1"));
  assertEquals(code, 0, stdout);
  assertMatch(stdout, /; retry 1 in \d\.\d s$/m);
  assertMatch(stdout, /^ {2}connected, retry 1$/m);
  assertMatch(stdout, /^2 attempts$/m);
  assertEquals(scripted.requests.map((headers) => headers.get("audiohook-retry-attempt")), [
    "0",
    "1",
  ]);
});

Deno.test("call command: a server that ends every attempt by disconnect with error fails the call", async () => {
  await using scripted = new ScriptedServer((peer, message) => {
    if (message.type === "open") peer.say("disconnect", { reason: "error", info: "Out of order" });
    if (message.type === "close") peer.say("closed");
  });
  const { code, stdout } = await run(to(scripted, "--duration", "3", "--retries", "1"));
  assertEquals(code, 1, stdout);
  assertMatch(stdout, /^Failed: The server ended the session by "disconnect" with "error"$/m);
  assertEquals(scripted.peers.length, 2);
});

Deno.test("call command: --retries 0 tries once", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = new URL(`ws://127.0.0.1:${listener.addr.port}/`);
  listener.close();
  const { code, stdout } = await run(to({ url }, "--retries", "0", "--json"));
  assertEquals(code, 1);
  const lines = jsonLines(stdout);
  assertEquals(lines.filter(({ type }) => type === "retry"), []);
  assertEquals(lines.at(-1).attempts, 1);
});

Deno.test("call command: a step that drops the connection is made good by a retry", async () => {
  await using server = await RecordingServer.start();
  await using folder = await TemporaryFolder.make();
  const steps = [{ at: 0.3, do: "drop" }, { at: 3.5, do: "update", language: "de-DE" }];
  await Deno.writeTextFile(folder.join("steps.json"), JSON.stringify({ steps }));
  const args = ["--duration", "4", "--scenario", "steps.json", "--json"];
  const { code, stdout } = await runIn(folder.path, to(server, ...args));
  assertEquals(code, 0, stdout);
  const { attempts, failures } = jsonLines(stdout).at(-1);
  assertEquals([attempts, failures], [2, []]);
});

Deno.test("call command: --history is sent at once, and the call is shorter by it", async () => {
  await using server = await RecordingServer.start();
  const { code, stdout, tookMs } = await run(to(server, "--history", "10", "--duration", "11"));
  assertEquals(code, 0, stdout);
  assertMatch(stdout, /catching up: 10\.0 s at once/);
  assert(tookMs < 9000, `${tookMs} ms`);
  assertEquals((await server.recorded()).data.length, 11 * 16_000);
});
