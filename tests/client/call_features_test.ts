/** What the command can do besides saying a file: probe, tone, scenario, saving, JSON. */
import {
  assert,
  assertEquals,
  assertExists,
  assertFalse,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { join } from "node:path";
import { parseWav } from "../../lib/audio/mod.ts";
import {
  assertSameBytes,
  CALL_WAV,
  filesBelow,
  Program,
  ROOT,
  taskFlags,
  TemporaryFolder,
  wavData,
} from "../helpers/program.ts";
import { jsonLines, run, runIn, SIGNED, UNSIGNED } from "./call_program.ts";
import { app, RecordingServer, UNSIGNED_KEY } from "./recording_server.ts";
import { ScriptedServer } from "./scripted_server.ts";
import { someMulaw } from "./wav_files.ts";

function to(server: { readonly url: URL }, ...more: string[]): string[] {
  const key = more.includes("--key") ? [] : UNSIGNED;
  return ["--url", server.url.href, ...key, "--retries", "0", ...more];
}

const COMMAND = join(ROOT, "lib/client/call_command.ts");

/** Whether a text has what steers a terminal: ESC, or CSI. */
function steers(text: string): boolean {
  return text.includes("\u001b") || text.includes("\u009b");
}

/** Says so much when the call is open. */
function talker(voice: Uint8Array) {
  return app("talker", (call) => ({ opened: () => call.play(voice) }));
}

Deno.test("call command: --probe opens and closes with nil UUIDs, and leaves no recording", async () => {
  await using scripted = new ScriptedServer();
  const { code, stdout } = await run(to(scripted, "--probe"));
  assertEquals(code, 0, stdout);
  assertMatch(stdout, /^Probing ws:/);
  assertFalse(stdout.includes("["), "it has a progress bar");
  assertEquals(scripted.peer.types, ["open", "close"]);
  assertEquals(scripted.peer.frames, []);
  const { conversationId, participant } = scripted.peer.message("open")?.parameters ?? {};
  const NIL = "00000000-0000-0000-0000-000000000000";
  assertEquals([conversationId, participant], [NIL, { id: NIL, ani: "", aniName: "", dnis: "" }]);
  await using server = await RecordingServer.start();
  assertEquals((await run(to(server, "--probe", ...SIGNED))).code, 0);
  assertEquals(await server.count(), 0);
});

Deno.test("call command: --tone is a tone on each channel, and not the same", async () => {
  await using server = await RecordingServer.start();
  const args = to(server, "--tone", "1000", "--duration", "0.5", "--format", "L16", "--speed", "5");
  const { code, output } = await run(args);
  assertEquals(code, 0, output);
  const { data, metadata } = await server.recorded();
  assertEquals(metadata.media.channels, ["external", "internal"]);
  assertEquals(data.length, 0.5 * 8000 * 4);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  for (const [channel, frequency] of [1000, 1250].entries()) {
    let crossings = 0;
    let [previous, peak] = [0, 0];
    for (let i = channel; i < data.length / 2; i += 2) {
      const sample = view.getInt16(2 * i, true);
      if (previous < 0 && sample >= 0) crossings++;
      previous = sample;
      peak = Math.max(peak, Math.abs(sample));
    }
    assert(Math.abs(crossings - frequency / 2) <= 1, `${crossings} for ${frequency} Hz`);
    assert(peak > 15_000 && peak <= 16_000, String(peak));
  }
});

Deno.test("call command: --channels offers no other, --frame-ms is the length of a frame", async () => {
  await using scripted = new ScriptedServer();
  const args = ["--tone", "--duration", "1", "--channels", "internal", "--frame-ms", "20"];
  const { code, stdout } = await run(to(scripted, ...args, "--speed", "10"));
  assertEquals(code, 0, stdout);
  const { media } = scripted.peer.message("open")?.parameters ?? {};
  assertEquals(media, [{ type: "audio", format: "PCMU", channels: ["internal"], rate: 8000 }]);
  assertEquals(new Set(scripted.peer.frames.map(({ length }) => length)), new Set([160]));
  assertEquals(scripted.peer.frames.length, 50);
  assertMatch(stdout, /Sent 50 frames, 8000 bytes/);
});

Deno.test("call command: --supported-languages prints the list, or that there is none", async () => {
  for (const list of [["en-US", "es-419"], undefined]) {
    await using scripted = new ScriptedServer((peer, message) => {
      if (message.type !== "open") return peer.answer(message);
      peer.say("opened", { media: [], ...list && { supportedLanguages: list } });
    });
    const { stdout } = await run(to(scripted, "--probe", "--supported-languages"));
    assertEquals(scripted.peer.message("open")?.parameters.supportedLanguages, true);
    const said = list === undefined ? "not told by the server" : "en-US, es-419";
    assertStringIncludes(stdout, `supported languages: ${said}`);
  }
});

Deno.test("call command: what open says is what was asked for, and is not printed", async () => {
  await using scripted = new ScriptedServer();
  const { code, output } = await run(to(
    scripted,
    ...["--tone", "--duration", "0.1", "--ani", "+15550100", "--dnis", "+15550199"],
    ...["--custom-config", `{"mine": "private-1"}`, "--input-variables", `{"x": "private-2"}`],
  ));
  assertEquals(code, 0, output);
  const { participant, customConfig, inputVariables } = scripted.peer.message("open")?.parameters;
  assertEquals([participant.ani, participant.dnis], ["+15550100", "+15550199"]);
  assertEquals([customConfig, inputVariables], [{ mine: "private-1" }, { x: "private-2" }]);
  for (const hidden of ["+1555", "private", UNSIGNED_KEY]) assertFalse(output.includes(hidden));
});

Deno.test("call command: --messages prints what goes over the wire, and nothing steers the terminal", async () => {
  await using scripted = new ScriptedServer((peer, message) => {
    peer.answer(message);
    if (message.type === "open") peer.say("\u009b2J\u001b[2Jnews");
  });
  const { stdout } = await run(to(scripted, "--probe", "--messages"));
  assertMatch(stdout, /^ {2}> \{"version":"2",.*"type":"open"/m);
  assertMatch(stdout, /^ {2}< \{"version":"2",.*"type":"opened"/m);
  assertFalse(steers(stdout), JSON.stringify(stdout));
});

Deno.test("call command: --json prints events and the outcome, and nothing else", async () => {
  const pauser = app("pauser", (call) => ({
    opened() {
      call.sendEvent({ type: "greeting", data: { text: "\u001b[2J\u009bHello" } });
    },
    close() {},
  }));
  await using server = await RecordingServer.start(pauser);
  const args = ["--tone", "--duration", "12", "--speed", "10", "--json", "--messages"];
  const { code, stdout, stderr } = await run(to(server, ...args));
  assertEquals([code, stderr], [0, ""]);
  assertFalse(steers(stdout), JSON.stringify(stdout));
  const lines = jsonLines(stdout);
  const of = (type: string) => lines.filter((line) => line.type === type);
  assertEquals(lines[0].type, "calling");
  const [opened] = of("opened");
  assertEquals(opened.parameters.media[0].channels, ["external", "internal"]);
  assertEquals(of("event")[0].entities[0].data.text, "\u001b[2J\u009bHello");
  assertEquals(of("closed").length, 1);
  const messages = of("message").map(({ from, message }) => `${from} ${message.type}`);
  assertEquals(messages.slice(0, 2), ["client open", "server opened"]);
  assertEquals(of("message")[0].message.id, lines[0].sessionId);
  const outcome = lines.at(-1);
  assertEquals(outcome.type, "outcome");
  assertEquals([outcome.isGood, outcome.failures, outcome.violations], [true, [], []]);
  assertEquals([outcome.audioSeconds, outcome.sentAudioBytes, outcome.attempts], [12, 192_000, 1]);
  assert(outcome.openedMs >= 0 && outcome.closedMs >= 0, stdout);
  assertEquals(outcome.pings, of("pong").length);
  const { min, median, max } = outcome.roundTripMs;
  assert(min <= median && median <= max, stdout);
});

Deno.test("call command: --json tells a violation and a failure, too", async () => {
  await using scripted = new ScriptedServer((peer, message) => {
    if (message.type === "open") peer.raw(peer.envelope("opened", {}));
    else peer.answer(message);
  });
  const { code, stdout, stderr } = await run(to(scripted, "--tone", "--json"));
  assertEquals([code, stderr], [1, ""]);
  const lines = jsonLines(stdout);
  const violation = lines.find(({ type }) => type === "violation");
  assertExists(violation, stdout);
  const { isGood, failures, violations } = lines.at(-1);
  assertEquals(isGood, false);
  assertEquals(failures.length, 1);
  assertEquals(violations[0].info, violation.info);
});

const STEPS = [
  { at: 0.2, do: "dtmf", digits: "1#" },
  { at: 0.4, do: "pause" },
  { at: 0.8, do: "resume" },
  { at: 1, do: "update", language: "de-DE" },
  { at: 1.2, do: "discard", seconds: 0.3 },
  { at: 1.8, do: "error", code: 503, message: "Busy" },
  { at: 2, do: "close", reason: "error" },
];

/** Runs with a scenario; the call is 5 s long, in real time. */
async function play(server: { readonly url: URL }, steps: unknown[], ...more: string[]) {
  await using folder = await TemporaryFolder.make();
  await Deno.writeTextFile(folder.join("steps.json"), JSON.stringify({ steps }));
  const channels = more.includes("--channels") ? [] : ["--channels", "external"];
  const args = ["--tone", "--duration", "5", ...channels, ...more];
  return await runIn(folder.path, to(server, ...args, "--scenario", "steps.json"));
}

Deno.test("call command: digits that nobody takes fail the call, and say what would help", async () => {
  await using server = await RecordingServer.start();
  const { code, output } = await play(
    server,
    [{ at: 0.2, do: "dtmf", digits: "1" }, { at: 0.4, do: "close" }],
    ...["--channels", "both"],
  );
  assertEquals(code, 1, output);
  assertMatch(output, /Failed: Step 1 .*dtmf 1.*voice bot.*external channel/);
});

Deno.test("call command: a scenario does all that it says, in order", async () => {
  await using scripted = new ScriptedServer((peer, message) => {
    peer.answer(message);
    if (message.type === "update") peer.say("updated");
  });
  const { code, output } = await play(scripted, STEPS);
  assertEquals(code, 0, output);
  const { received, faults } = scripted.peer;
  assertEquals(faults, []);
  const others = received.filter(({ type }) => type !== "ping");
  assertEquals(
    others.map(({ type, parameters: { digit, language, code, reason } }) =>
      [type, digit, language, code, reason].filter((part) => part !== undefined).join(" ")
    ),
    [
      "open en-US",
      "dtmf 1",
      "dtmf #",
      "paused",
      "resumed",
      "update de-DE",
      "discarded",
      "error 503",
      "close error",
    ],
  );
  for (const [index, step] of STEPS.entries()) {
    assertMatch(output, new RegExp(`step ${index + 1}: ${step.do}`));
  }
});

Deno.test("call command: a step of a faster call has its time in the call", async () => {
  await using server = await RecordingServer.start();
  const { code, output } = await play(server, [{ at: 3, do: "dtmf", digits: "5" }], "--speed", "5");
  assertEquals(code, 0, output);
  const { messages } = await server.recorded();
  const dtmf = messages.find(({ type }) => type === "dtmf");
  const position = Number(/^PT([\d.]+)S$/.exec(dtmf?.position ?? "")?.[1]);
  // Never before; how much later is a matter of the machine's load.
  assert(position >= 2.9 && position < 5, dtmf?.position);
});

Deno.test("call command: a step that is not possible, or never comes, fails the call", async () => {
  await using server = await RecordingServer.start();
  const steps = [
    { at: 0.5, do: "close" },
    { at: 0.5, do: "pause" },
    { at: 4, do: "resume" },
    { at: 4.5, do: "drop" },
  ];
  const { code, output } = await play(server, steps, "--json");
  assertEquals(code, 1, output);
  const { failures } = jsonLines(output).at(-1);
  assertMatch(failures[0], /^Step 2 of the scenario \(pause\) was not possible$/);
  assertMatch(failures[1], /^The call ended before steps 3 to 4 of the scenario$/);
  assertEquals(failures.length, 2);
  // The session itself was closed well.
  assertEquals((await server.recorded()).metadata.closeReason, "end");
});

Deno.test("call command: a connection that the scenario drops or resets fails the call", async () => {
  for (const action of ["drop", "reset"]) {
    await using server = await RecordingServer.start();
    const { code, output } = await play(server, [{ at: 0.3, do: action }]);
    assertEquals(code, 1, output);
    assertMatch(output, new RegExp(`step 1: ${action}`));
    assertEquals((await server.recorded()).metadata.isComplete, false);
  }
});

Deno.test("call command: --save-audio has all that the bot said, in the selected format", async () => {
  for (const format of ["PCMU", "L16"]) {
    const voice = someMulaw(6002);
    await using server = await RecordingServer.start(talker(voice));
    await using folder = await TemporaryFolder.make();
    const { code, output } = await runIn(folder.path, [
      ...to(server, "--tone", "--duration", "2", "--format", format),
      ...["--save-audio", "bot.wav", "--json"],
    ]);
    assertEquals(code, 0, output);
    assertEquals(await filesBelow(folder.path), ["bot.wav"]);
    assertSameBytes(await wavData(folder.join("bot.wav")), voice);
    const { encoding, channelCount } = parseWav(await Deno.readFile(folder.join("bot.wav"))).format;
    assertEquals([encoding, channelCount], [format, 1]);
    const { savedAudioBytes, receivedAudioBytes } = jsonLines(output).at(-1);
    assertEquals([savedAudioBytes, receivedAudioBytes], [6002, 6002]);
  }
});

Deno.test("call command: --save-audio says so if the server sent none, and leaves no file", async () => {
  await using server = await RecordingServer.start();
  await using folder = await TemporaryFolder.make();
  const args = to(server, "--tone", "--duration", "0.2", "--save-audio", "bot.wav");
  const nobody = ["--url", "ws://127.0.0.1:1/", "--key", "a-key", "--retries", "0"];
  const dead = await runIn(folder.path, [...nobody, "--tone", "--save-audio", "bot.wav"]);
  assertEquals(dead.code, 1);
  assertStringIncludes(dead.stdout, "No audio was saved: the server sent none");
  assertStringIncludes(dead.stdout, "nobody listens at this address");
  // The next one may have the name.
  const { code, stdout } = await runIn(folder.path, args);
  assertEquals(code, 0);
  assertStringIncludes(stdout, "No audio was saved: the server sent none");
  assertEquals([...Deno.readDirSync(folder.path)].map(({ name }) => name), []);
});

/** Starts a call that saves audio, and waits until some has come. */
async function startSaving(server: { readonly url: URL }, folder: TemporaryFolder) {
  const args = to(server, "--wav", CALL_WAV, "--save-audio", "bot.wav");
  const call = Program.call(folder.path, args);
  await call.waitFor(/\[##/);
  return call;
}

Deno.test("call command: --save-audio finishes the file when the connection is lost", async () => {
  await using folder = await TemporaryFolder.make();
  await using scripted = new ScriptedServer((peer, message) => {
    peer.answer(message);
    if (message.type !== "open") return;
    peer.raw(someMulaw(1001));
    setTimeout(() => peer.socket.close(), 300);
  });
  const args = to(scripted, "--wav", CALL_WAV, "--save-audio", "bot.wav");
  const { code, output } = await runIn(folder.path, args);
  assertEquals(code, 1, output);
  assertSameBytes(await wavData(folder.join("bot.wav")), someMulaw(1001));
});

Deno.test("call command: --save-audio finishes the file on Ctrl-C, and on the second one", async () => {
  await using folder = await TemporaryFolder.make();
  await using scripted = new ScriptedServer((peer, message) => {
    if (message.type === "close") return;
    peer.answer(message);
    if (message.type === "open") peer.raw(someMulaw(1001));
  });
  await using call = await startSaving(scripted, folder);
  call.kill("SIGINT");
  await call.waitFor(/Closing the call/);
  // Within a second, it could be the same Ctrl-C, passed on by `deno task`.
  await new Promise((resolve) => setTimeout(resolve, 1100));
  assertEquals((await call.stop("SIGINT")).code, 130, call.output);
  assertSameBytes(await wavData(folder.join("bot.wav")), someMulaw(1001));
});

Deno.test("call command: a disk that is full is told, and the call goes on", {
  ignore: Deno.build.os === "windows",
}, async () => {
  await using server = await RecordingServer.start(talker(someMulaw(32_000)));
  await using folder = await TemporaryFolder.make();
  const command = [Deno.execPath(), "run", ...taskFlags("call"), COMMAND];
  const args = ["--tone", "--duration", "6", "--save-audio", "bot.wav"];
  // A file that may not grow does what a full disk does; the shell keeps the signal away.
  await using program = new Program({
    executable: "sh",
    args: ["-c", `trap '' XFSZ; ulimit -f 16; exec "$@"`, "sh", ...command, ...to(server, ...args)],
    cwd: folder.path,
  });
  const { code, output } = await program.ended(30_000);
  assertEquals(code, 1, output);
  assertMatch(output, /Failed: The audio could not be saved beyond \d+ bytes: File too large/);
  assertMatch(output, /Received 32000 bytes/);
  const { metadata } = await server.recorded();
  assertEquals([metadata.closeReason, metadata.isComplete], ["end", true]);
  const saved = await wavData(folder.join("bot.wav"));
  assert(saved.length > 4000 && saved.length < 17_000, String(saved.length));
  assertSameBytes(saved, someMulaw(32_000).subarray(0, saved.length));
});
