import {
  assert,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreaterOrEqual,
  assertLess,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
} from "@std/assert";
import {
  assertSameBytes,
  CALL_WAV,
  hasStack,
  Program,
  TemporaryFolder,
  wavData,
} from "../helpers/program.ts";
import { run, SIGNED, UNSIGNED, WavOnDisk } from "./call_program.ts";
import { app, RecordingServer, SECRET, SIGNED_KEY, UNSIGNED_KEY } from "./recording_server.ts";
import { ScriptedServer } from "./scripted_server.ts";
import { mulawBytes, pcm8File, someMulaw, somePcm16, wavFile } from "./wav_files.ts";

/** Length of the calls that are just to be right, in samples; not a whole number of frames. */
const SAMPLES = 4001;

function to(server: { readonly url: URL }, wav: string, ...more: string[]): string[] {
  const speed = more.includes("--speed") ? [] : ["--speed", "100"];
  return ["--url", server.url.href, "--wav", wav, "--retries", "0", ...speed, ...more];
}

for (const channelCount of [1, 2]) {
  const what = channelCount === 1 ? "mono" : "stereo";
  const channels = ["external", "internal"].slice(0, channelCount);

  Deno.test(`call command: a ${what} µ-law file is recorded exactly`, async () => {
    await using server = await RecordingServer.start();
    const data = someMulaw(SAMPLES * channelCount);
    await using wav = await WavOnDisk.write(wavFile("PCMU", channelCount, data));
    const { code, output } = await run(to(server, wav.path, ...SIGNED));
    assertEquals(code, 0, output);
    const recorded = await server.recorded();
    assertSameBytes(recorded.data, data);
    assertEquals(recorded.metadata.media.channels, channels);
    assertEquals(recorded.metadata.closeReason, "end");
    assertEquals(recorded.metadata.isComplete, true);
  });

  Deno.test(`call command: a ${what} 16-bit PCM file is recorded as its µ-law encoding`, async () => {
    await using server = await RecordingServer.start();
    const data = somePcm16(SAMPLES * channelCount);
    await using wav = await WavOnDisk.write(wavFile("L16", channelCount, data));
    const { code, output } = await run(to(server, wav.path, ...SIGNED));
    assertEquals(code, 0, output);
    const recorded = await server.recorded();
    assertSameBytes(recorded.data, mulawBytes(data));
    assertEquals(recorded.wav?.get("fmt ")?.[0], 7);
  });

  Deno.test(`call command: a ${what} 16-bit PCM file is recorded as it is with --format L16`, async () => {
    await using server = await RecordingServer.start();
    const data = somePcm16(SAMPLES * channelCount);
    await using wav = await WavOnDisk.write(wavFile("L16", channelCount, data));
    const { code, output } = await run(to(server, wav.path, ...SIGNED, "--format", "L16"));
    assertEquals(code, 0, output);
    const recorded = await server.recorded();
    assertSameBytes(recorded.data, data);
    assertEquals(recorded.wav?.get("fmt ")?.[0], 1);
    assertEquals(recorded.metadata.media.channels, channels);
  });
}

Deno.test("call command: the real call, signed, prints what it got and how far it is", async () => {
  await using server = await RecordingServer.start();
  const { code, stdout, stderr } = await run(to(server, CALL_WAV, ...SIGNED));
  assertEquals(code, 0, stderr);
  assertEquals(stderr, "");
  assertMatch(stdout, /opened/);
  assertMatch(stdout, /closed/i);
  // A progress bar, which where there is no terminal is some lines.
  assertMatch(stdout, /\[#+\.*\].*43\.0/);
  assertSameBytes((await server.recorded()).data, await wavData(CALL_WAV));
});

Deno.test("call command: a key that needs no signature is not signed", async () => {
  await using server = await RecordingServer.start();
  await using wav = await WavOnDisk.write(wavFile("PCMU", 2, someMulaw(2 * SAMPLES)));
  const { code, output } = await run(to(server, wav.path, ...UNSIGNED));
  assertEquals(code, 0, output);
  await using scripted = new ScriptedServer();
  assertEquals((await run(to(scripted, wav.path, ...UNSIGNED))).code, 0);
  const [headers] = scripted.requests;
  assertEquals(headers?.get("x-api-key"), UNSIGNED_KEY);
  assertEquals(headers?.has("signature"), false);
  assertEquals(await server.count(), 1);
});

Deno.test("call command: AUDIOHOOK_KEYS has the secret of a key that is named without one", async () => {
  await using server = await RecordingServer.start();
  await using wav = await WavOnDisk.write(wavFile("PCMU", 2, someMulaw(2 * SAMPLES)));
  const AUDIOHOOK_KEYS = JSON.stringify({ other: "", [SIGNED_KEY]: SECRET });
  const ended = await run(to(server, wav.path, "--key", SIGNED_KEY), { AUDIOHOOK_KEYS });
  assertEquals(ended.code, 0, ended.output);
});

Deno.test("call command: a wrong secret, and no secret where one is needed, fail with the reason", async () => {
  await using server = await RecordingServer.start();
  await using wav = await WavOnDisk.write(wavFile("PCMU", 2, someMulaw(2 * SAMPLES)));
  for (const secret of [["--secret", "d3JvbmctYnV0LWJhc2U2NA=="], []]) {
    const { code, output } = await run(to(server, wav.path, "--key", SIGNED_KEY, ...secret));
    assertEquals(code, 1, output);
    assertMatch(output, /401|unauthorized|refused|secret/i);
  }
  assertEquals(await server.count(), 0);
});

Deno.test("call command: a file of another kind gets told what was expected", async () => {
  await using server = await RecordingServer.start();
  for (
    const file of [
      wavFile("L16", 2, somePcm16(2000), 44_100),
      pcm8File(someMulaw(1000)),
      wavFile("PCMU", 3, someMulaw(3000)),
      new TextEncoder().encode("ID3 this is no WAV file"),
      new Uint8Array(),
    ]
  ) {
    await using wav = await WavOnDisk.write(file);
    const { code, output } = await run(to(server, wav.path, ...SIGNED));
    assertNotEquals(code, 0);
    for (const part of ["8 kHz", "µ-law", "16-bit PCM", "mono", "stereo"]) {
      assertStringIncludes(output, part);
    }
  }
  assertEquals(await server.count(), 0);
});

Deno.test("call command: a server that is not there fails, and is named", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const url = new URL(`ws://127.0.0.1:${port}/hook`);
  const { code, output } = await run(to({ url }, CALL_WAV, ...UNSIGNED));
  assertEquals(code, 1);
  assertStringIncludes(output, `127.0.0.1:${port}`);
});

Deno.test("call command: a server that is killed during the call fails it, without a hang", async () => {
  await using folder = await TemporaryFolder.make();
  await using server = Program.server(folder.path, {
    AUDIOHOOK_KEYS: JSON.stringify({ [UNSIGNED_KEY]: "" }),
  });
  const url = await server.url();
  await using client = Program.call(
    folder.path,
    to({ url }, CALL_WAV, ...UNSIGNED, "--speed", "2"),
  );
  await client.waitFor(/opened/);
  server.kill("SIGKILL");
  const { code, output } = await client.ended(15_000);
  assertEquals(code, 1, output);
  assertMatch(output, /connection/i);
  assertFalse(hasStack(output), output);
});

Deno.test("call command: a server that never answers open is given up after 5 s", async () => {
  await using server = new ScriptedServer(() => {});
  const { code, output, tookMs } = await run(to(server, CALL_WAV, ...UNSIGNED));
  assertEquals(code, 1, output);
  assertMatch(output, /opened/);
  assertGreaterOrEqual(tookMs, 4990);
  assertLess(tookMs, 20_000);
});

Deno.test("call command: a server that closes the connection in place of an answer fails it", async () => {
  await using server = new ScriptedServer((peer) => peer.socket.close());
  const { code, output } = await run(to(server, CALL_WAV, ...UNSIGNED));
  assertEquals(code, 1, output);
});

Deno.test("call command: a server that breaks the protocol fails it, with the reason", async () => {
  await using server = new ScriptedServer((peer, message) => {
    peer.answer(message);
    if (message.type === "open") peer.raw(peer.envelope("updated", {}));
  });
  const { code, output } = await run(to(server, CALL_WAV, ...UNSIGNED));
  assertEquals(code, 1, output);
  assertMatch(output, /violation: .*parameters.*\(protocol section [\d.]+\)/);
  assertMatch(output, /^Violations of the protocol by the server: 1$/m);
});

Deno.test("call command: disconnect is told with its reason, and is a good end", async () => {
  const quitter = app("quitter", (call) => ({
    opened: () => call.disconnect("completed", { info: "That was all" }),
  }));
  await using server = await RecordingServer.start(quitter);
  const { code, output } = await run(to(server, CALL_WAV, ...SIGNED, "--speed", "2"));
  assertEquals(code, 0, output);
  assertMatch(output, /disconnect/);
  assertStringIncludes(output, "completed");
  assertStringIncludes(output, "That was all");
  const { metadata } = await server.recorded();
  assertEquals(metadata.closeReason, "disconnect");
  assertEquals(metadata.isComplete, true);
});

Deno.test("call command: events are printed, also those that come before closed", async () => {
  const talker = app("talker", (call) => ({
    opened: () => call.sendEvent({ type: "greeting", data: { marker: "at-the-beginning" } }),
    close: () => call.sendEvent({ type: "summary", data: { marker: "at-the-end" } }),
  }));
  await using server = await RecordingServer.start(talker);
  await using wav = await WavOnDisk.write(wavFile("PCMU", 2, someMulaw(2 * SAMPLES)));
  const { code, stdout } = await run(to(server, wav.path, ...SIGNED));
  assertEquals(code, 0);
  for (const text of ["greeting", "at-the-beginning", "summary", "at-the-end"]) {
    assertStringIncludes(stdout, text);
  }
  assertLess(stdout.indexOf("at-the-beginning"), stdout.indexOf("at-the-end"));
});

Deno.test("call command: a server's text cannot steer the terminal", async () => {
  const nasty = app("nasty", (call) => ({
    opened: () => call.sendEvent({ type: "x", data: { text: "\u001b[2J\u001b]0;owned\u0007" } }),
    close() {},
  }));
  await using server = await RecordingServer.start(nasty);
  await using wav = await WavOnDisk.write(wavFile("PCMU", 2, someMulaw(2 * SAMPLES)));
  const { code, output } = await run(to(server, wav.path, ...SIGNED));
  assertEquals(code, 0, output);
  assertFalse(output.includes("\u001b"), JSON.stringify(output));

  await using scripted = new ScriptedServer((peer, message) => {
    peer.answer(message);
    if (message.type === "open") {
      peer.say("event", { entities: [{ type: "\u001b[31mtype", data: {} }] });
      peer.say("reconnect", { info: "\u001b[2Jinfo" });
      peer.say("\u001b[2Junknown");
    }
  });
  const second = await run(to(scripted, wav.path, ...UNSIGNED));
  assertFalse(second.output.includes("\u001b"), JSON.stringify(second.output));
});

Deno.test("call command: the bot's audio is received and counted", async () => {
  const bot = app("bot", (call) => ({ opened: () => call.play(someMulaw(1234)) }));
  await using server = await RecordingServer.start(bot);
  await using wav = await WavOnDisk.write(wavFile("PCMU", 1, someMulaw(8000)));
  const { code, stdout } = await run(to(server, wav.path, ...SIGNED, "--speed", "2"));
  assertEquals(code, 0);
  assertStringIncludes(stdout, "1234");
});

Deno.test("call command: a server that pauses and resumes is answered, and records silence there", async () => {
  const pauser = app("pauser", (call) => {
    let isWanted = true;
    let isPaused = false;
    return {
      audio() {
        if (!isWanted || call.positionSamples < 8000) return;
        isWanted = false;
        call.pause();
      },
      paused: () => {
        isPaused = true;
      },
      tick() {
        if (isPaused) call.resume();
        isPaused = false;
      },
    };
  });
  await using server = await RecordingServer.start(pauser);
  const data = someMulaw(2 * 8000 * 8);
  await using wav = await WavOnDisk.write(wavFile("PCMU", 2, data));
  const { code, stdout } = await run(to(server, wav.path, ...SIGNED, "--speed", "4"));
  assertEquals(code, 0);
  assertMatch(stdout, /pause/);
  assertMatch(stdout, /resume/);
  const { data: recorded, messages, metadata } = await server.recorded();
  const types = messages.map(({ type }) => type).filter((type) => !/^p[io]ng$/.test(type));
  assertEquals(types, [
    "open",
    "opened",
    "pause",
    "paused",
    "resume",
    "resumed",
    "close",
    "closed",
  ]);
  const resumed = messages.find(({ type }) => type === "resumed");
  const [start, discarded] = ["start", "discarded"].map((name) =>
    Number(/^PT([\d.]+)S$/.exec(String(resumed?.parameters[name]))?.[1]) * 8000
  );
  assertExists(start);
  assertExists(discarded);
  assertGreaterOrEqual(start, 8000);
  assert(discarded > 0);
  const expected = new Uint8Array(data);
  expected.fill(0xff, start * 2, (start + discarded) * 2);
  assertSameBytes(recorded, expected);
  assertEquals(metadata.gaps.length, 1);
});

Deno.test("call command: Ctrl-C closes the call properly", async () => {
  await using server = await RecordingServer.start();
  await using folder = await TemporaryFolder.make();
  await using client = Program.call(folder.path, to(server, CALL_WAV, ...SIGNED, "--speed", "1"));
  await client.waitFor(/opened/);
  const { code, output } = await client.stop("SIGINT");
  assertEquals(code, 0, output);
  const { metadata } = await server.recorded();
  assertEquals(metadata.closeReason, "end");
  assertEquals(metadata.isComplete, true);
});
