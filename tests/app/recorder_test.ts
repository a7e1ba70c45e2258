/**
 * The recorder, from the wire to the files: exact to the byte, whatever happens to the call or to
 * the storage (issue "A call comes in", point 5; protocol sections 7 to 9).
 */
import {
  assert,
  assertEquals,
  assertGreater,
  assertGreaterOrEqual,
  assertLess,
  assertMatch,
} from "@std/assert";
import fc from "fast-check";
import { parseWav } from "../../lib/audio/mod.ts";
import { watchDefects } from "../helpers/defects.ts";
import { until } from "../helpers/deadline.ts";
import { FaultyStore, type StoreMode } from "../helpers/faulty_store.ts";
import { readIfExists } from "../helpers/temp_dir.ts";
import { TestApp } from "../helpers/test_app.ts";
import { TestServer } from "../helpers/test_server.ts";
import { assertSameBytes, assertWav, concat, noise, silence } from "../helpers/wav_check.ts";
import {
  API_KEY,
  CONVERSATION_ID,
  CORRELATION_ID,
  duration,
  EXTERNAL,
  INTERNAL,
  INVERTED,
  type Json,
  L16_EXTERNAL,
  L16_STEREO,
  NIL,
  openParameters,
  ORGANIZATION_ID,
  PARTICIPANT_ID,
  probeParameters,
  requestHeaders,
  SECRET,
  STEREO,
  UNSIGNED_KEY,
  type WireClient,
} from "../helpers/wire_client.ts";

const MEDIA = {
  "mono external": EXTERNAL,
  "mono internal": INTERNAL,
  "stereo": STEREO,
  "stereo, inverted": INVERTED,
  "L16 mono": L16_EXTERNAL,
  "L16 stereo": L16_STEREO,
} as const;

const formatOf = (media: { format: string }) => media.format as "PCMU" | "L16";
const channelsOf = (media: { channels: string[] }) => media.channels.length as 1 | 2;
const sampleFrameBytes = (media: { format: string; channels: string[] }) =>
  media.channels.length * (media.format === "L16" ? 2 : 1);
const silenceByte = (media: { format: string }) => media.format === "L16" ? 0 : 0xFF;

/** Files of one session, by their extension. */
async function extensions(server: TestServer, id: string): Promise<string[]> {
  const files = await server.files();
  return files.filter((name) => name.startsWith(id)).map((name) => name.slice(id.length));
}

/** Audio lost on the client's side. */
function discard(client: WireClient, samples: number): void {
  client.send("discarded", { start: duration(client.samples), discarded: duration(samples) });
  client.samples += samples;
}

/** A pause of the client's own. */
function pauseFor(client: WireClient, samples: number): void {
  const start = duration(client.samples);
  client.send("paused");
  client.send("resumed", { start, discarded: duration(samples) });
  client.samples += samples;
}

// ——— exact ———

for (const [name, media] of Object.entries(MEDIA)) {
  Deno.test(`exact: frames of any whole number of samples, ${name}`, async () => {
    await using server = await TestServer.start();
    const unit = sampleFrameBytes(media);
    const sizes = fc.oneof(
      fc.integer({ min: 1, max: 400 }),
      fc.integer({ min: 1, max: 64_000 / unit }),
      fc.constantFrom(1, 2, 3, 800, 64_000 / unit - 1, 64_000 / unit),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(sizes, { minLength: 1, maxLength: 30 }),
        fc.nat(),
        async (frames, seed) => {
          await using client = await server.connect();
          await client.open({ media: [media] });
          const sent = frames.map((samples, index) => noise(samples * unit, seed + index));
          for (const frame of sent) client.sendAudio(frame);
          await client.close();
          const { wav, metadata } = await server.recording(client.id);
          const data = concat(...sent);
          assertWav(wav, { format: formatOf(media), channels: channelsOf(media), data });
          assertEquals(metadata.durationSamples, data.length / unit);
          assertEquals(metadata.recordedSamples, data.length / unit);
          assertEquals(metadata.gaps, []);
          assertEquals(metadata.isComplete, true);
        },
      ),
      { numRuns: 12 },
    );
  });
}

for (const bytes of [0, 1, 3, 7999, 8000, 8001, 16_001]) {
  Deno.test(`exact: mono of ${bytes} bytes, padded to an even number`, async () => {
    await using server = await TestServer.start();
    await using client = await server.connect();
    await client.open({ media: [EXTERNAL] });
    const audio = noise(bytes);
    for (let at = 0; at < bytes; at += 777) client.sendAudio(audio.slice(at, at + 777));
    await client.close();
    const { wav } = await server.recording(client.id);
    assertWav(wav, { format: "PCMU", channels: 1, data: audio });
  });
}

Deno.test("exact: call.wav at full speed, alone in its frames of 100 ms", async () => {
  const file = await Deno.readFile(new URL("../testdata/call.wav", import.meta.url));
  const { data, format } = parseWav(file);
  assertEquals(format, { encoding: "PCMU", channelCount: 2, rate: 8000 });
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open();
  for (let at = 0; at < data.length; at += 1600) {
    client.sendAudio(new Uint8Array(data.subarray(at, at + 1600)));
    if (at % 80_000 === 0) await client.ping();
  }
  await client.close();
  const { wav, metadata } = await server.recording(client.id);
  assertWav(wav, { format: "PCMU", channels: 2, data });
  assertEquals(metadata.duration, `PT${data.length / 2 / 8000}S`);
});

Deno.test("exact: every byte value survives, silence and full scale included", async () => {
  await using server = await TestServer.start();
  for (const media of [EXTERNAL, L16_EXTERNAL]) {
    await using client = await server.connect();
    await client.open({ media: [media] });
    const audio = Uint8Array.from({ length: 512 }, (_, index) => index);
    client.sendAudio(audio);
    await client.close();
    const { wav } = await server.recording(client.id);
    assertWav(wav, { format: formatOf(media), channels: 1, data: audio });
  }
});

Deno.test("exact: frames that come with client and server both busy", async () => {
  const app = new TestApp({ audio: () => void calls[0]?.sendEvent({ type: "n", data: {} }) });
  const calls: { sendEvent: (entity: { type: string; data: object }) => void }[] = [];
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open();
  calls.push(await app.nextCall());
  const audio = noise(320_000);
  for (let at = 0; at < audio.length; at += 320) {
    client.sendAudio(audio.slice(at, at + 320));
    if (at % 3200 === 0) client.send("hologram", { at });
  }
  client.send("close", { reason: "end" });
  while ((await client.next()).type !== "closed");
  await client.hangUp();
  await server.idle();
  const { wav, metadata } = await server.recording(client.id);
  assertWav(wav, { format: "PCMU", channels: 2, data: audio });
  assertEquals(metadata.unloggedMessages, 0);
});

// ——— gaps ———

type Step =
  | { readonly do: "audio"; readonly samples: number }
  | { readonly do: "discarded"; readonly samples: number }
  | { readonly do: "paused"; readonly samples: number };

for (const [name, media] of Object.entries(MEDIA)) {
  Deno.test(`gaps: silence of exactly the lost samples, where they were lost, ${name}`, async () => {
    await using server = await TestServer.start();
    const unit = sampleFrameBytes(media);
    const step = fc.record({
      do: fc.constantFrom(
        "audio" as const,
        "audio" as const,
        "discarded" as const,
        "paused" as const,
      ),
      samples: fc.oneof(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 1, max: 16_000 })),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps: Step[]) => {
        await using client = await server.connect();
        await client.open({ media: [media] });
        const expected: Uint8Array[] = [];
        const gaps: Json[] = [];
        let at = 0;
        for (const [index, { do: what, samples }] of steps.entries()) {
          const part = what === "audio"
            ? noise(samples * unit, index)
            : silence(samples * unit, silenceByte(media));
          expected.push(part);
          if (what === "audio") client.sendAudio(part as Uint8Array<ArrayBuffer>);
          else (what === "discarded" ? discard : pauseFor)(client, samples);
          if (what !== "audio" && samples > 0) {
            gaps.push({ startSamples: at, samples, silenceSamples: samples, cause: what });
          }
          at += samples;
        }
        await client.close();
        const { wav, metadata } = await server.recording(client.id);
        const data = concat(...expected);
        assertWav(wav, { format: formatOf(media), channels: channelsOf(media), data });
        assertEquals(metadata.gaps, gaps);
        assertEquals(metadata.durationSamples, at);
        assertEquals(metadata.recordedSamples, at);
        assertEquals(metadata.isComplete, true);
      }),
      { numRuns: 12 },
    );
  });
}

Deno.test("gaps: audio that the client lost before opened comes first", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open({ media: [EXTERNAL] });
  discard(client, 8000);
  client.sendAudio(noise(100));
  await client.close();
  const { wav } = await server.recording(client.id);
  assertWav(wav, {
    format: "PCMU",
    channels: 1,
    data: concat(silence(8000), noise(100)),
  });
});

Deno.test("gaps: a pause of the server, and of both", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open({ media: [EXTERNAL] });
  const call = await app.nextCall();
  client.sendAudio(noise(400, 1));
  call.pause();
  await client.expect("pause");
  client.sendAudio(noise(80, 2)); // it was on its way
  client.send("paused");
  await client.ping();
  call.resume();
  await client.expect("resume");
  client.send("paused"); // the client's own pause holds
  await client.ping();
  client.send("resumed", { start: duration(480), discarded: duration(12_345) });
  client.samples += 12_345;
  client.sendAudio(noise(400, 3));
  await client.close();
  const { wav, metadata } = await server.recording(client.id);
  assertWav(wav, {
    format: "PCMU",
    channels: 1,
    data: concat(noise(400, 1), noise(80, 2), silence(12_345), noise(400, 3)),
  });
  assertEquals(metadata.gaps, [
    { startSamples: 480, samples: 12_345, silenceSamples: 12_345, cause: "paused" },
  ]);
});

const MINUTE = 60 * 8000;

Deno.test("gaps: at most 10 minutes of silence for one, the rest is in the metadata", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open({ media: [EXTERNAL] });
  client.sendAudio(noise(160, 1));
  discard(client, 10 * MINUTE + 1);
  client.sendAudio(noise(160, 2));
  pauseFor(client, 24 * 60 * MINUTE);
  client.sendAudio(noise(160, 3));
  discard(client, 10 * MINUTE);
  await client.close();
  const { wav, metadata } = await server.recording(client.id);
  const most = silence(10 * MINUTE);
  assertWav(wav, {
    format: "PCMU",
    channels: 1,
    data: concat(noise(160, 1), most, noise(160, 2), most, noise(160, 3), most),
  });
  const second = 160 + 10 * MINUTE + 1 + 160;
  const third = second + 24 * 60 * MINUTE + 160;
  assertEquals(metadata.gaps, [
    {
      startSamples: 160,
      samples: 10 * MINUTE + 1,
      silenceSamples: 10 * MINUTE,
      cause: "discarded",
    },
    {
      startSamples: second,
      samples: 24 * 60 * MINUTE,
      silenceSamples: 10 * MINUTE,
      cause: "paused",
    },
    {
      startSamples: third,
      samples: 10 * MINUTE,
      silenceSamples: 10 * MINUTE,
      cause: "discarded",
    },
  ]);
  assertEquals(metadata.durationSamples, third + 10 * MINUTE);
  assertEquals(metadata.recordedSamples, 480 + 30 * MINUTE);
});

Deno.test("gaps: at most 60 minutes of silence in one call", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open({ media: [EXTERNAL] });
  const expected: Uint8Array[] = [];
  for (let n = 0; n < 8; n++) {
    discard(client, 9 * MINUTE);
    client.sendAudio(noise(16, n));
    const rest = Math.max(0, Math.min(9, 60 - 9 * n));
    expected.push(silence(rest * MINUTE), noise(16, n));
  }
  await client.close();
  const { wav, metadata } = await server.recording(client.id);
  assertWav(wav, { format: "PCMU", channels: 1, data: concat(...expected) });
  assertEquals(metadata.gaps.map(({ silenceSamples }) => silenceSamples / MINUTE), [
    9,
    9,
    9,
    9,
    9,
    9,
    6,
    0,
  ]);
  assertEquals(metadata.gaps.map(({ samples }) => samples / MINUTE), new Array(8).fill(9));
  assertEquals(metadata.durationSamples, 72 * MINUTE + 8 * 16);
});

Deno.test("gaps: silence does not run ahead of the call by more than is allowed", async () => {
  await using server = await TestServer.start({ maxSilenceAheadSeconds: 60 });
  await using client = await server.connect();
  await client.open({ media: [EXTERNAL] });
  client.sendAudio(noise(8000));
  discard(client, 10 * MINUTE);
  discard(client, 10 * MINUTE);
  client.sendAudio(noise(8000, 2));
  await client.close();
  const { wav, metadata } = await server.recording(client.id);
  const [first, second] = metadata.gaps.map(({ silenceSamples }) => silenceSamples);
  assert(first !== undefined && second !== undefined);
  // One second was recorded; the call itself took less than a minute.
  assert(first >= 59 * 8000 && first < 2 * MINUTE, String(first));
  assert(first + second < 2 * MINUTE, String(second));
  assertEquals(metadata.gaps.map(({ samples }) => samples), [10 * MINUTE, 10 * MINUTE]);
  assertEquals(metadata.durationSamples, 20 * MINUTE + 16_000);
  assertEquals(metadata.recordedSamples, 16_000 + first + second);
  assertEquals(parseWav(wav ?? new Uint8Array()).data.length, metadata.recordedSamples);
});

Deno.test("gaps: thousands of hostile ones fill no disk", async () => {
  using _defects = watchDefects();
  await using server = await TestServer.start({
    sessionLimits: {
      receivedTextRate: { perSecond: 20, burst: 4000 },
      receivedCharacterRate: { perSecond: 1, burst: 1e6 },
    },
  });
  await using client = await server.connect();
  await client.open({ media: [L16_STEREO] });
  for (let n = 0; n < 3000; n++) discard(client, 10 * MINUTE / 50);
  await client.close();
  const { wav, metadata } = await server.recording(client.id);
  assertWav(wav, { format: "L16", channels: 2, data: new Uint8Array(60 * MINUTE * 4) });
  assertEquals(metadata.durationSamples, 3000 * 10 * MINUTE / 50);
  assertEquals(metadata.gaps.length + metadata.unlistedGaps, 3000);
});

// ——— the three files ———

Deno.test("files: the audio is in .wav.part while the call runs", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open({ media: [EXTERNAL] });
  const audio = noise(20_000);
  client.sendAudio(audio.slice(0, 12_000));
  await client.ping();
  const path = await until(async () => {
    const name = (await server.data.files()).find((file) => file.endsWith(".wav.part"));
    if (name === undefined) return undefined;
    const file = await readIfExists(`${server.data.path}/${name}`);
    return file !== undefined && file.length >= 58 + 12_000 && name;
  }, "audio in .wav.part");
  assertMatch(path, new RegExp(`^recordings/\\d{4}-\\d\\d-\\d\\d/${client.id}\\.wav\\.part$`));
  assertEquals(await extensions(server, client.id), [".jsonl", ".wav.part"]);
  // Even what a crash leaves can be read.
  const { data } = parseWav(await Deno.readFile(`${server.data.path}/${path}`));
  assertSameBytes(data, audio.slice(0, 12_000));
  client.sendAudio(audio.slice(12_000));
  await client.close();
  const { wav } = await server.recording(client.id);
  assertWav(wav, { format: "PCMU", channels: 1, data: audio });
  assertEquals(await extensions(server, client.id), [".json", ".jsonl", ".wav"]);
});

Deno.test("files: the message log grows while the call runs", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open();
  await until(async () => {
    const name = (await server.data.files()).find((file) => file.endsWith(".jsonl"));
    if (name === undefined) return false;
    const log = await Deno.readTextFile(`${server.data.path}/${name}`);
    return log.includes('"opened"');
  }, "opened in the message log");
  await client.close();
});

Deno.test("files: all is there when closed arrives", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open();
  client.sendAudio(noise(1600));
  client.send("close", { reason: "end" });
  await client.expect("closed");
  const files = await extensions(server, client.id);
  assert(files.includes(".wav") && files.includes(".json"), String(files));
  assert(!files.includes(".wav.part"), String(files));
  await client.hangUp();
});

Deno.test("metadata: field by field", async () => {
  await using server = await TestServer.start();
  const before = Date.now();
  await using client = await server.connect();
  await client.open({ media: [INVERTED], language: "en-us" });
  client.sendAudio(noise(3202));
  discard(client, 3);
  client.sendAudio(noise(2));
  await client.close("end");
  const { metadata } = await server.recording(client.id);
  const { startedAt, endedAt, ...rest } = metadata;
  assertEquals(rest, {
    version: 1,
    sessionId: client.id,
    organizationId: ORGANIZATION_ID,
    conversationId: CONVERSATION_ID,
    correlationId: CORRELATION_ID,
    participant: {
      id: PARTICIPANT_ID,
      ani: "tel:+15551234567",
      aniName: "Jordan Example",
      dnis: "tel:+18005550100",
    },
    language: "en-us",
    media: { format: "PCMU", channels: ["internal", "external"], rate: 8000 },
    durationSamples: 1605,
    duration: "PT0.200625S",
    recordedSamples: 1605,
    gaps: [{ startSamples: 1601, samples: 3, silenceSamples: 3, cause: "discarded" }],
    unlistedGaps: 0,
    closeReason: "end",
    isComplete: true,
    recovered: false,
    unloggedMessages: 0,
  });
  const started = Date.parse(startedAt);
  const ended = Date.parse(endedAt);
  assert(before <= started && started <= ended && ended <= Date.now(), `${startedAt} ${endedAt}`);
});

Deno.test("metadata: without what the client did not say", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect({
    apiKey: UNSIGNED_KEY,
    secret: new Uint8Array(),
    headers: { "Audiohook-Correlation-Id": undefined },
  });
  await client.open({ language: undefined });
  await client.close();
  const { metadata } = await server.recording(client.id);
  assertEquals(metadata.language, undefined);
  assertEquals(metadata.correlationId, undefined);
  assertEquals(metadata.durationSamples, 0);
  assertEquals(metadata.duration, "PT0S");
});

Deno.test("message log: every text message of both sides, in order, with time and position", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  const before = Date.now();
  await using client = await server.connect();
  await client.open({
    media: [EXTERNAL],
    supportedLanguages: true,
    customConfig: { "ä": "\n\u2028" },
  });
  const call = await app.nextCall();
  await client.ping();
  client.sendAudio(noise(8001));
  await client.ping();
  discard(client, 1);
  await client.ping();
  call.sendEvent({ type: "note", data: { text: "two\nlines" } });
  await client.expect("event");
  call.pause();
  await client.expect("pause");
  client.send("paused");
  await client.ping();
  call.resume();
  await client.expect("resume");
  client.send("resumed", { start: duration(8002), discarded: duration(8) });
  client.samples += 8;
  client.send("hologram", { of: "unknown" });
  client.send("update", { language: "de" });
  await client.expect("updated");
  client.send("error", { code: 500, message: "Something" });
  client.send("dtmf", { digit: "#" });
  client.send("playback_started");
  await client.ping();
  await client.close();
  const { lines } = await server.recording(client.id);

  assertEquals(lines.map(({ from }) => from), client.transcript.map(({ from }) => from));
  assertEquals(
    lines.map(({ message }) => message),
    client.transcript.map(({ text }) => JSON.parse(text)),
  );
  assertEquals(lines[0]?.message.type, "open");
  assertEquals(lines.at(-1)?.message.type, "closed");
  let last = before;
  for (const { time } of lines) {
    assertMatch(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/);
    assertGreaterOrEqual(Date.parse(time), last);
    last = Date.parse(time);
  }
  assertGreaterOrEqual(Date.now(), last);
  const positions = lines.map(({ message, position }) => `${message.type} ${position}`);
  assertEquals(positions.slice(0, 6), [
    "open PT0S",
    "opened PT0S",
    "ping PT0S",
    "pong PT0S",
    "ping PT1.000125S",
    "pong PT1.000125S",
  ]);
  assertEquals(positions.filter((line) => line.startsWith("p")).slice(-2), [
    "ping PT1.00125S",
    "pong PT1.00125S",
  ]);
  assertEquals(positions.at(-1), "closed PT1.00125S");
});

Deno.test("message log: a message of several lines is one line of the log", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open();
  const message = {
    version: "2",
    id: client.id,
    type: "ping",
    seq: ++client.seq,
    serverseq: 1,
    position: "PT0S",
    parameters: {},
    note: "a\u2028b",
  };
  client.sendText(JSON.stringify(message, null, 2).replaceAll("\n", "\r\n"));
  await client.expect("pong");
  await client.close();
  const { lines } = await server.recording(client.id);
  assertEquals(lines.map(({ message }) => message.type), [
    "open",
    "opened",
    "ping",
    "pong",
    "close",
    "closed",
  ]);
  assertEquals(lines[2]?.message, message);
});

Deno.test("files: none has anything of the authentication", async () => {
  await using server = await TestServer.start();
  const nonce = crypto.getRandomValues(new Uint8Array(18)).toBase64();
  const created = Math.floor(Date.now() / 1000);
  const id = crypto.randomUUID();
  const headers = await requestHeaders(server.authority, { id, nonce, created });
  await using client = await server.connect({ id, nonce, created });
  await client.open();
  client.sendAudio(noise(160));
  await client.ping();
  await client.close();
  await server.recording(id);
  const secrets = [
    API_KEY,
    nonce,
    SECRET.toBase64(),
    SECRET.toHex(),
    new TextDecoder().decode(SECRET),
    headers["Signature"]?.slice(6, -1) ?? "",
    "hmac-sha256",
    "X-API-KEY",
    "x-api-key",
    "ignature",
  ];
  const files = await server.data.files();
  assertEquals(files.length, 3);
  for (const name of files) {
    const bytes = await Deno.readFile(`${server.data.path}/${name}`);
    const text = new TextDecoder("latin1").decode(bytes);
    for (const secret of secrets) {
      assertGreater(secret.length, 5);
      assert(!text.includes(secret), `${name} has ${secret}`);
    }
  }
});

// ——— ways to end, and not to begin ———

Deno.test("ends: a connection that breaks is finished, and not complete", async () => {
  await using server = await TestServer.start();
  const id = crypto.randomUUID();
  await using socket = await server.connectRaw(id);
  const text = (type: string, seq: number, serverseq: number, parameters: Json) =>
    JSON.stringify({ version: "2", id, type, seq, serverseq, position: "PT0S", parameters });
  await socket.sendText(text("open", 1, 0, openParameters({ media: [EXTERNAL] })));
  await socket.message("opened");
  const audio = noise(20_001);
  await socket.sendFrame(2, audio);
  await socket.sendText(text("ping", 2, 1, {}));
  await socket.message("pong");
  socket.drop();
  await server.idle();
  const { wav, metadata, lines } = await server.recording(id);
  assertWav(wav, { format: "PCMU", channels: 1, data: audio });
  assertEquals(metadata.isComplete, false);
  assertEquals(metadata.closeReason, null);
  assertEquals(metadata.durationSamples, 20_001);
  assertEquals(lines.map(({ message }) => message.type), ["open", "opened", "ping", "pong"]);
  assertEquals(await extensions(server, id), [".json", ".jsonl", ".wav"]);
});

Deno.test("ends: the app disconnects, the client closes: complete", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open();
  client.sendAudio(noise(160));
  await client.ping();
  (await app.nextCall()).disconnect("completed");
  await client.expect("disconnect");
  client.sendAudio(noise(160, 2)); // it was on its way
  await client.close("disconnect");
  const { wav, metadata } = await server.recording(client.id);
  assertWav(wav, {
    format: "PCMU",
    channels: 2,
    data: concat(noise(160), noise(160, 2)),
  });
  assertEquals(metadata.closeReason, "disconnect");
  assertEquals(metadata.isComplete, true);
});

Deno.test("media []: the two JSON files only", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open({ media: [] });
  await client.ping();
  discard(client, 8000);
  await client.close();
  const { wav, metadata } = await server.recording(client.id);
  assertEquals(wav, undefined);
  assertEquals(metadata.media, null);
  assertEquals(await extensions(server, client.id), [".json", ".jsonl"]);
});

Deno.test("probe: nothing", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  client.send("open", probeParameters());
  await client.expect("opened");
  await client.close();
  await server.idle();
  assertEquals(await server.data.files(), []);
});

Deno.test("withdrawn before opened: nothing", async () => {
  const gate = Promise.withResolvers<void>();
  const app = new TestApp({ open: () => gate.promise });
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  client.send("open", openParameters());
  await app.nextCall();
  await client.close("end");
  gate.resolve();
  await app.told("close");
  await server.idle();
  assertEquals(await server.data.files(), []);
});

Deno.test("same id: a second session one after the other is named .2, then .3", async () => {
  await using server = await TestServer.start();
  const id = crypto.randomUUID();
  for (const seed of [1, 2, 3]) {
    await using client = await server.connect({ id });
    await client.open();
    client.sendAudio(noise(160 * seed, seed));
    await client.close();
    await server.idle();
  }
  const first = await server.recording(id);
  assertWav(first.wav, { format: "PCMU", channels: 2, data: noise(160, 1) });
  assertEquals(first.metadata.sessionId, id);
  const second = await server.recording(`${id}.2`);
  assertWav(second.wav, { format: "PCMU", channels: 2, data: noise(320, 2) });
  assertEquals(second.metadata.sessionId, id);
  const third = await server.recording(`${id}.3`);
  assertWav(third.wav, { format: "PCMU", channels: 2, data: noise(480, 3) });
  assertEquals((await server.data.files()).length, 9);
});

Deno.test("same id: ten sessions at once, none overwritten or mixed", async () => {
  await using server = await TestServer.start();
  const id = crypto.randomUUID();
  const count = 10;
  await Promise.all(Array.from({ length: count }, async (_, n) => {
    await using client = await server.connect({ id });
    await client.open();
    for (let part = 0; part < 5; part++) {
      client.sendAudio(noise(160, n));
      await client.ping();
    }
    client.sendAudio(noise(2 * (n + 1), n));
    await client.close();
  }));
  await server.idle();
  const names = [id, ...Array.from({ length: count - 1 }, (_, n) => `${id}.${n + 2}`)];
  const seen = new Set<number>();
  for (const name of names) {
    const { wav, metadata, lines } = await server.recording(name);
    const n = metadata.durationSamples - 5 * 80 - 1;
    seen.add(n);
    const part = noise(160, n);
    assertWav(wav, {
      format: "PCMU",
      channels: 2,
      data: concat(part, part, part, part, part, noise(2 * (n + 1), n)),
    });
    assertEquals(lines.map(({ message }) => message.type), [
      "open",
      "opened",
      ...["ping", "pong", "ping", "pong", "ping", "pong", "ping", "pong", "ping", "pong"],
      "close",
      "closed",
    ]);
  }
  assertEquals(seen.size, count);
});

Deno.test("the nil session id is an id like any other", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect({ id: NIL });
  await client.open();
  await client.close();
  assertEquals((await server.recording(NIL)).metadata.sessionId, NIL);
});

// ——— storage that fails ———

interface Troubled extends AsyncDisposable {
  readonly server: TestServer;
  readonly store: FaultyStore;
}

/** Longer than a test waits for anything: so what has to wait for none of that comes, or is late. */
const HOUR_MS = 3_600_000;

async function troubled(mode: StoreMode, closeMs?: number): Promise<Troubled> {
  let store: FaultyStore | undefined;
  const server = await TestServer.start({
    store: (files) => store = new FaultyStore(files, mode),
    appTimeouts: { openMs: HOUR_MS, ...(closeMs === undefined ? {} : { closeMs }) },
    sessionLimits: {
      maxAudioAheadMs: HOUR_MS,
      openedTimeoutMs: HOUR_MS,
      closedTimeoutMs: HOUR_MS,
    },
  });
  assert(store !== undefined);
  const faulty = store;
  return {
    server,
    store: faulty,
    async [Symbol.asyncDispose]() {
      // Whatever happened: else nothing that waits for it would end.
      faulty.become("works");
      await server[Symbol.asyncDispose]();
    },
  };
}

for (const mode of ["is full", "writes halves", "hangs"] as const) {
  Deno.test(`storage ${mode} from the beginning: opened and pong do not wait, all is written`, async () => {
    using _defects = watchDefects();
    await using trouble = await troubled(mode);
    const { server, store } = trouble;
    await using client = await server.connect();
    await client.open();
    const audio = noise(100_000);
    for (let at = 0; at < audio.length; at += 1600) client.sendAudio(audio.slice(at, at + 1600));
    await client.ping();
    await until(() => store.faults > 0, "a fault of the storage");
    store.become("works");
    discard(client, 77);
    client.sendAudio(audio.slice(0, 3200));
    await client.close();
    await server.idle();
    const { wav, metadata, lines } = await server.recording(client.id);
    assertWav(wav, {
      format: "PCMU",
      channels: 2,
      data: concat(audio, silence(154), audio.slice(0, 3200)),
    });
    assertEquals(metadata.isComplete, true);
    assertEquals(metadata.unloggedMessages, 0);
    assertEquals(
      lines.map(({ message }) => message),
      client.transcript.map(({ text }) => JSON.parse(text)),
    );
  });

  Deno.test(`storage ${mode} for a while in the middle: all is written, in order`, async () => {
    using _defects = watchDefects();
    await using trouble = await troubled("works");
    const { server, store } = trouble;
    await using client = await server.connect();
    await client.open();
    const parts = [noise(50_000, 1), noise(50_000, 2), noise(50_000, 3), noise(2, 4)];
    client.sendAudio(parts[0] as Uint8Array<ArrayBuffer>);
    await client.ping();
    store.become(mode);
    client.sendAudio(parts[1] as Uint8Array<ArrayBuffer>);
    await client.ping();
    await until(() => store.faults > 0, "a fault of the storage");
    client.sendAudio(parts[2] as Uint8Array<ArrayBuffer>);
    discard(client, 1234);
    await client.ping();
    store.become("works");
    client.sendAudio(parts[3] as Uint8Array<ArrayBuffer>);
    await client.close();
    await server.idle();
    const { wav, metadata, lines } = await server.recording(client.id);
    const [one, two, three, four] = parts as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
    assertWav(wav, {
      format: "PCMU",
      channels: 2,
      data: concat(one, two, three, silence(2468), four),
    });
    assertEquals(metadata.isComplete, true);
    assertEquals(
      lines.map(({ message }) => message),
      client.transcript.map(({ text }) => JSON.parse(text)),
    );
  });

  Deno.test(`storage ${mode} when the call ends: closed comes, and the rest is written later`, async () => {
    using _defects = watchDefects();
    await using trouble = await troubled("works", HOUR_MS);
    const { server, store } = trouble;
    await using client = await server.connect();
    await client.open();
    const audio = noise(50_002);
    client.sendAudio(audio.slice(0, 20_000));
    await client.ping();
    store.become(mode);
    client.sendAudio(audio.slice(20_000));
    await client.close();
    await server.idle();
    store.become("works");
    const { wav, metadata, lines } = await server.recording(client.id);
    assertWav(wav, { format: "PCMU", channels: 2, data: audio });
    assertEquals(metadata.isComplete, true);
    assertEquals(metadata.closeReason, "end");
    assertEquals(lines.at(-1)?.message.type, "closed");
    assertEquals(await extensions(server, client.id), [".json", ".jsonl", ".wav"]);
  });
}

Deno.test("storage hangs: closed does not wait for it, however long apps may take", async () => {
  using _defects = watchDefects();
  await using trouble = await troubled("hangs", HOUR_MS);
  const { server } = trouble;
  await using client = await server.connect();
  await client.open();
  client.sendAudio(noise(1600));
  // "A failing or slow app … never delays `opened`, `pong` or `closed`."
  await client.close();
});

for (const media of [STEREO, L16_EXTERNAL]) {
  Deno.test(`storage that hangs for long: what did not fit is a gap, ${media.format}`, async () => {
    using _defects = watchDefects();
    await using trouble = await troubled("hangs");
    const { server, store } = trouble;
    await using client = await server.connect();
    await client.open({ media: [media] });
    const stream: Uint8Array[] = [];
    const send = (audio: Uint8Array<ArrayBuffer>) => {
      stream.push(audio);
      client.sendAudio(audio);
    };
    // 8 MB in 8 minutes, which is more than anybody should keep in memory for one call.
    for (let n = 0; n < 125; n++) send(noise(64_000, n));
    await client.ping();
    store.become("works");
    // Until the storage has caught up.
    await until(async () => {
      const name = (await server.data.files()).find((file) => file.endsWith(".wav.part"));
      if (name === undefined) return false;
      const { size } = await Deno.stat(`${server.data.path}/${name}`);
      return size > 3_000_000;
    }, "the storage at work");
    await client.ping();
    // The rest of what waited takes as long as it takes; these may be lost or not.
    for (let n = 0; n < 10; n++) {
      send(noise(1600, 1000 + n));
      await client.ping();
    }
    await client.close();
    await server.idle();
    const { wav, metadata } = await server.recording(client.id);
    const losses = metadata.gaps.filter(({ cause }) => cause === "storage");
    assertGreater(losses.length, 0, "something was lost");
    assertEquals(losses.length, metadata.gaps.length);
    const unit = sampleFrameBytes(media);
    const data = concat(...stream);
    let lost = 0;
    for (const { startSamples, samples, silenceSamples } of losses) {
      assertEquals(samples, silenceSamples);
      data.fill(silenceByte(media), startSamples * unit, (startSamples + samples) * unit);
      lost += samples;
    }
    assertLess(lost * unit, data.length - 1_000_000, "a good part was kept");
    // File time is call time.
    assertWav(wav, { format: formatOf(media), channels: channelsOf(media), data });
    assertEquals(metadata.durationSamples, data.length / unit);
    assertEquals(metadata.isComplete, false);
  });
}

Deno.test("storage that fails for one call does not stop another", async () => {
  using _defects = watchDefects();
  await using trouble = await troubled("hangs");
  const { server, store } = trouble;
  await using one = await server.connect();
  await one.open();
  one.sendAudio(noise(16_000));
  await one.ping();
  store.become("works");
  await using two = await server.connect();
  await two.open();
  two.sendAudio(noise(16_000, 2));
  await two.ping();
  await two.close();
  await one.close();
  await server.idle();
  assertWav((await server.recording(one.id)).wav, {
    format: "PCMU",
    channels: 2,
    data: noise(16_000),
  });
  assertWav((await server.recording(two.id)).wav, {
    format: "PCMU",
    channels: 2,
    data: noise(16_000, 2),
  });
});

Deno.test("storage: a data folder that can't be made is made later", async () => {
  using _defects = watchDefects();
  await using server = await TestServer.start();
  const folder = `${server.data.path}/recordings`;
  await Deno.writeTextFile(folder, "in the way");
  await using client = await server.connect();
  await client.open();
  client.sendAudio(noise(16_000));
  await client.ping();
  await Deno.remove(folder);
  await client.close();
  await server.idle();
  const { wav, lines } = await server.recording(client.id);
  assertWav(wav, { format: "PCMU", channels: 2, data: noise(16_000) });
  assertEquals(lines.length, 6);
});
