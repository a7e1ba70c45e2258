/**
 * Every message of section 5 of the protocol, both directions, over a real socket: parsed, answered
 * as the protocol says, and counted.
 */
import { assert, assertEquals, assertGreater, assertLessOrEqual } from "@std/assert";
import type { Call } from "../../lib/app/app.ts";
import { until } from "../helpers/deadline.ts";
import { TestApp } from "../helpers/test_app.ts";
import { TestServer } from "../helpers/test_server.ts";
import {
  CONVERSATION_ID,
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
  STEREO,
  type WireClient,
} from "../helpers/wire_client.ts";
import { noise } from "../helpers/wav_check.ts";

interface Scene {
  readonly client: WireClient;
  readonly app: TestApp;
  readonly call: Call;
}

/** One row: a message of the client in an open session. */
interface ClientRow {
  readonly name: string;
  readonly type: string;
  readonly parameters?: Json;
  readonly media?: Json;
  /** What has to happen before. */
  readonly before?: (scene: Scene) => Promise<void> | void;
  /** Types of the server's answers, in order; none if the protocol has none. */
  readonly answers: readonly string[];
  /** What the app is told, and with which detail. */
  readonly told?: readonly [what: string, detail?: Json];
  /** What else holds afterwards. */
  readonly after?: (scene: Scene) => Promise<void> | void;
}

const position = (samples: number) => ({ call, client }: Scene) => {
  assertEquals(call.positionSamples, samples);
  client.samples = samples;
};

const CLIENT_ROWS: readonly ClientRow[] = [
  { name: "ping", type: "ping", answers: ["pong"] },
  { name: "ping with rtt", type: "ping", parameters: { rtt: "PT0.0312500S" }, answers: ["pong"] },
  {
    name: "unprompted paused: the client's own pause",
    type: "paused",
    answers: [],
    told: ["paused"],
    after: ({ call }) => assertEquals({ ...call.paused }, { byServer: false, byClient: true }),
  },
  {
    name: "paused in answer to pause: the server's pause",
    type: "paused",
    before: async ({ call, client }) => {
      call.pause();
      await client.expect("pause");
    },
    answers: [],
    told: ["paused"],
    after: ({ call }) => assertEquals({ ...call.paused }, { byServer: true, byClient: false }),
  },
  {
    name: "paused in answer to resume: the client's pause holds",
    type: "paused",
    before: async ({ call, client }) => {
      call.pause();
      await client.expect("pause");
      client.send("paused");
      call.resume();
      await client.expect("resume");
    },
    answers: [],
    told: ["paused"],
    after: ({ call }) => assertEquals({ ...call.paused }, { byServer: false, byClient: true }),
  },
  {
    name: "resumed",
    type: "resumed",
    parameters: { start: "PT0S", discarded: "PT1.5S" },
    before: ({ client }) => void client.send("paused"),
    answers: [],
    told: ["resumed"],
    after: (scene) => {
      assertEquals({ ...scene.call.paused }, { byServer: false, byClient: false });
      position(12_000)(scene);
    },
  },
  {
    name: "resumed without having been paused: an answer to a redundant resume",
    type: "resumed",
    parameters: { start: "PT0S", discarded: "PT0S" },
    before: async ({ call, client }) => {
      call.resume();
      await client.expect("resume");
    },
    answers: [],
    told: ["resumed"],
    after: position(0),
  },
  {
    name: "discarded",
    type: "discarded",
    parameters: { start: "PT0S", discarded: "PT0.000125S" },
    answers: [],
    told: ["gap"],
    after: position(1),
  },
  {
    name: "discarded nothing",
    type: "discarded",
    parameters: { start: "PT0S", discarded: "PT0S" },
    answers: [],
    after: position(0),
  },
  {
    name: "update",
    type: "update",
    parameters: { language: "es-419" },
    answers: ["updated"],
    told: ["update", "es-419"],
  },
  ...[400, 405, 408, 409, 413, 415, 429, 500, 503, 9999, 418].map((code) => ({
    name: `error ${code}`,
    type: "error",
    parameters: { code, message: "Something" },
    answers: [],
  })),
  {
    name: "error 429 with retryAfter",
    type: "error",
    parameters: { code: 429, message: "Too many", retryAfter: "PT3.5S" },
    answers: [],
  },
  ...[..."0123456789*#"].map((digit): ClientRow => ({
    name: `dtmf ${digit}`,
    type: "dtmf",
    parameters: { digit },
    media: [EXTERNAL],
    answers: [],
    told: ["dtmf", digit],
  })),
  {
    name: "playback_started",
    type: "playback_started",
    media: [EXTERNAL],
    answers: [],
    told: ["playback", "started"],
  },
  {
    name: "playback_completed",
    type: "playback_completed",
    media: [EXTERNAL],
    answers: [],
    told: ["playback", "completed"],
  },
  { name: "an unknown type", type: "hologram", parameters: { any: ["thing"] }, answers: [] },
  { name: "a type named like a method", type: "constructor", answers: [] },
  { name: "the type __proto__", type: "__proto__", answers: [] },
  // A message of the server is none of the client's: not known here, so ignored.
  { name: "a server's type", type: "opened", parameters: { media: [] }, answers: [] },
];

for (const row of CLIENT_ROWS) {
  for (const variant of ["", ", with unknown fields"]) {
    Deno.test(`client message: ${row.name}${variant}`, async () => {
      const app = new TestApp();
      await using server = await TestServer.start({ apps: [app] });
      await using client = await server.connect();
      await client.open(row.media === undefined ? {} : { media: row.media });
      const call = await app.nextCall();
      const scene = { client, app, call };
      await row.before?.(scene);

      const parameters = { ...row.parameters, ...(variant ? { future: { deep: [1] } } : {}) };
      const seq = client.send(row.type, parameters, variant ? { fieldOfTheFuture: "x" } : {});
      for (const type of row.answers) {
        const answer = await client.expect(type);
        assertEquals(answer.clientseq, seq);
        assertEquals(answer.parameters, {});
      }
      // Counted, and nothing else was answered.
      await client.ping();
      await row.after?.(scene);
      if (row.told !== undefined) {
        const [what, detail] = row.told;
        const notes = app.notes.filter((note) => note.what === what);
        assert(notes.length > 0, `the app is told ${what}`);
        if (detail !== undefined) assertEquals(notes.at(-1)?.detail, detail);
      }
      await client.close();
    });
  }
}

for (const reason of ["end", "error", "disconnect", "reconnect", "reason-of-the-future"]) {
  Deno.test(`client message: close, reason ${reason}`, async () => {
    const app = new TestApp();
    await using server = await TestServer.start({ apps: [app] });
    await using client = await server.connect();
    await client.open();
    const closed = await client.close(reason);
    assertEquals(closed.parameters, {});
    assertEquals(app.notes.find(({ what }) => what === "close")?.detail, { how: "closed", reason });
    const { metadata } = await server.recording(client.id);
    assertEquals(metadata.closeReason, reason);
    assertEquals(app.count("close"), 1);
  });
}

Deno.test("client message: close before open is answered by closed", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.close("error");
  await server.idle();
  assertEquals(await server.data.files(), []);
});

// ——— open ———

const ALIEN = { type: "audio", format: "OPUS", channels: ["external"], rate: 48_000 };
const VIDEO = { type: "video", format: "H264", channels: ["external"], rate: 90_000 };
const FAST = { ...STEREO, rate: 16_000 };
const EXTENDED = { ...STEREO, ptime: 20, note: { of: "the future" } };

const OPEN_ROWS: readonly {
  readonly name: string;
  readonly media: Json;
  readonly selected: Json;
}[] = [
  { name: "stereo", media: [STEREO], selected: [STEREO] },
  { name: "the first of several", media: [STEREO, EXTERNAL, INTERNAL], selected: [STEREO] },
  { name: "the first of several, mono", media: [INTERNAL, STEREO], selected: [INTERNAL] },
  { name: "mono external", media: [EXTERNAL], selected: [EXTERNAL] },
  { name: "mono internal", media: [INTERNAL], selected: [INTERNAL] },
  { name: "inverted channels, unchanged", media: [INVERTED, STEREO], selected: [INVERTED] },
  { name: "L16", media: [L16_EXTERNAL], selected: [L16_EXTERNAL] },
  { name: "L16 stereo", media: [L16_STEREO], selected: [L16_STEREO] },
  { name: "no offers", media: [], selected: [] },
  { name: "an unknown format first", media: [ALIEN, EXTERNAL], selected: [EXTERNAL] },
  { name: "an unknown kind first", media: [VIDEO, STEREO], selected: [STEREO] },
  { name: "an unknown rate first", media: [FAST, STEREO], selected: [STEREO] },
  {
    name: "an unknown channel first",
    media: [{ ...EXTERNAL, channels: ["coach"] }, EXTERNAL],
    selected: [EXTERNAL],
  },
  { name: "unknown offers only", media: [ALIEN, VIDEO], selected: [] },
  { name: "an offer with unknown fields, unchanged", media: [EXTENDED], selected: [EXTENDED] },
];

for (const { name, media, selected } of OPEN_ROWS) {
  Deno.test(`open: ${name}`, async () => {
    const app = new TestApp();
    await using server = await TestServer.start({ apps: [app] });
    await using client = await server.connect();
    const opened = await client.open({ media });
    assertEquals(opened.clientseq, 1);
    assertEquals(opened.seq, 1);
    assertEquals(opened.parameters, { media: selected });
    const call = await app.nextCall();
    assertEquals(call.offers, media);
    assertEquals(call.media, selected[0]);
    if (selected.length > 0) {
      client.sendAudio(noise(800));
      await client.ping();
      assertEquals(call.positionSamples, 800 / client.sampleFrameBytes);
    }
    await client.close();
  });
}

Deno.test("open: supportedLanguages asked, no app has any: []", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  const opened = await client.open({ supportedLanguages: true });
  assertEquals(opened.parameters.supportedLanguages, []);
  await client.close();
});

Deno.test("open: supportedLanguages asked, as the apps say", async () => {
  const app = new TestApp({ supportedLanguages: ["en-US", "es-419", "cmn-CN", "es"] });
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  const opened = await client.open({ supportedLanguages: true });
  assertEquals(opened.parameters.supportedLanguages, ["en-US", "es-419", "cmn-CN", "es"]);
  await client.close();
});

for (const asked of [{}, { supportedLanguages: false }]) {
  Deno.test(`open: languages not asked (${JSON.stringify(asked)}), not answered`, async () => {
    const app = new TestApp({ supportedLanguages: ["en-US"] });
    await using server = await TestServer.start({ apps: [app] });
    await using client = await server.connect();
    const opened = await client.open(asked);
    assert(!("supportedLanguages" in opened.parameters));
    await client.close();
  });
}

Deno.test("open: what it says reaches the app", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  const customConfig = { deep: { list: [1, "two", null] }, "ключ": "значение" };
  await client.open({
    customConfig,
    inputVariables: { name: "value" },
    language: "en-us",
    continuedSessions: [{ id: crypto.randomUUID(), serverseq: 3, clientseq: 7 }],
    fieldOfTheFuture: true,
  });
  const call = await app.nextCall();
  assertEquals(call.sessionId, client.id);
  assertEquals(call.organizationId, ORGANIZATION_ID);
  assertEquals(call.conversationId, CONVERSATION_ID);
  assertEquals(call.participant, {
    id: PARTICIPANT_ID,
    ani: "tel:+15551234567",
    aniName: "Jordan Example",
    dnis: "tel:+18005550100",
  });
  // Kept as it was sent.
  assertEquals(call.language, "en-us");
  assertEquals(call.customConfig, customConfig);
  assertEquals(call.inputVariables, { name: "value" });
  await client.close();
});

Deno.test("open: the least that section 5 demands is enough", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open({ language: undefined });
  const call = await app.nextCall();
  assertEquals(call.language, undefined);
  assertEquals(call.customConfig, undefined);
  await client.close();
});

Deno.test("open: a customConfig of 60,000 bytes is taken", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  const customConfig = { fill: "x".repeat(60_000 - '{"fill":""}'.length) };
  assertEquals(JSON.stringify(customConfig).length, 60_000);
  await client.open({ customConfig });
  assertEquals((await app.nextCall()).customConfig, customConfig);
  await client.close();
});

Deno.test("open: the id in messages may differ from the header's by case only", async () => {
  await using server = await TestServer.start();
  const id = "abcdef01-2345-6789-abcd-ef0123456789";
  await using client = await server.connect({ id, headers: {} });
  client.send("open", openParameters(), { id: id.toUpperCase() });
  await client.expect("opened");
  await client.close();
});

Deno.test("open: an open with a position, after a reconnection, is opened", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  client.send("open", openParameters(), { position: "PT12.5S" });
  await client.expect("opened");
  await client.close();
});

Deno.test("probe: opened without audio, closed, no app asked, no files", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  client.send("open", probeParameters());
  const opened = await client.expect("opened");
  assertEquals(opened.parameters, { media: [] });
  await client.close();
  await server.idle();
  assertEquals(app.notes, []);
  assertEquals(await server.data.files(), []);
});

Deno.test("probe: closed at once, before opened came", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  client.send("open", probeParameters());
  client.send("close", { reason: "end" });
  await client.expect("opened");
  await client.expect("closed");
  await client.hangUp();
  await server.idle();
  assertEquals(app.notes, []);
  assertEquals(await server.data.files(), []);
});

Deno.test("probe: pings are answered, languages are told, a lost one leaves nothing", async () => {
  const app = new TestApp({ supportedLanguages: ["en-US"] });
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  client.send("open", { ...probeParameters(), supportedLanguages: true });
  const opened = await client.expect("opened");
  assertEquals(opened.parameters, { media: [], supportedLanguages: ["en-US"] });
  await client.ping();
  await client.hangUp();
  await server.idle();
  assertEquals(app.notes, []);
  assertEquals(await server.data.files(), []);
});

Deno.test("probe: only one nil UUID is a call like any other", async () => {
  for (
    const more of [
      { conversationId: NIL },
      { participant: { id: NIL, ani: "", aniName: "", dnis: "" } },
    ]
  ) {
    const app = new TestApp();
    await using server = await TestServer.start({ apps: [app] });
    await using client = await server.connect();
    const opened = await client.open(more);
    assertEquals(opened.parameters.media, [STEREO]);
    assertEquals(app.count("open"), 1);
    await client.close();
  }
});

// ——— server to client ———

interface ServerRow {
  readonly name: string;
  readonly media?: Json;
  readonly cause: (scene: Scene) => void;
  readonly type: string;
  readonly parameters: Json;
}

const NOTE = { type: "note", data: { of: "any kind" } };

const SERVER_ROWS: readonly ServerRow[] = [
  { name: "pause", cause: ({ call }) => call.pause(), type: "pause", parameters: {} },
  { name: "resume", cause: ({ call }) => call.resume(), type: "resume", parameters: {} },
  {
    name: "event",
    cause: ({ call }) => call.sendEvent(NOTE),
    type: "event",
    parameters: { entities: [NOTE] },
  },
  {
    name: "pong",
    cause: ({ client }) => void client.send("ping"),
    type: "pong",
    parameters: {},
  },
  {
    name: "updated",
    cause: ({ client }) => void client.send("update", { language: "de-CH" }),
    type: "updated",
    parameters: {},
  },
  {
    name: "disconnect",
    cause: ({ call }) => call.disconnect("completed"),
    type: "disconnect",
    parameters: { reason: "completed" },
  },
  {
    name: "disconnect with all it may have",
    media: [EXTERNAL],
    cause: ({ call }) =>
      call.disconnect("error", { info: "No more", outputVariables: { intent: "refund" } }),
    type: "disconnect",
    parameters: { reason: "error", info: "No more", outputVariables: { intent: "refund" } },
  },
  ...(["unauthorized", "rejected"] as const).map((reason): ServerRow => ({
    name: `disconnect, ${reason}`,
    cause: ({ call }) => call.disconnect(reason),
    type: "disconnect",
    parameters: { reason },
  })),
];

for (const row of SERVER_ROWS) {
  Deno.test(`server message: ${row.name}`, async () => {
    const app = new TestApp();
    await using server = await TestServer.start({ apps: [app] });
    await using client = await server.connect();
    await client.open(row.media === undefined ? {} : { media: row.media });
    const call = await app.nextCall();
    row.cause({ client, app, call });
    const message = await client.expect(row.type);
    assertEquals(message.seq, 2);
    assertEquals(message.parameters, row.parameters);
    const closed = await client.close();
    assertEquals(closed.seq, 3);
  });
}

Deno.test("server message: opened with all it may have", async () => {
  const app = new TestApp({
    supportedLanguages: ["en-US"],
    preferences: { media: EXTERNAL, startPaused: true, discardTo: "PT5S" },
  });
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  client.send("open", openParameters({ supportedLanguages: true }));
  const opened = await client.expect("opened");
  assertEquals(opened.parameters.media, [EXTERNAL]);
  assertEquals(opened.parameters.startPaused, true);
  assertEquals(opened.parameters.supportedLanguages, ["en-US"]);
  client.send("paused");
  await client.close();
});

Deno.test("server message: closed with outputVariables", async () => {
  const app = new TestApp({ close: () => ({ outputVariables: { result: "ok" } }) });
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open({ media: [EXTERNAL] });
  const closed = await client.close();
  assertEquals(closed.parameters, { outputVariables: { result: "ok" } });
});

Deno.test("server message: the audio of a bot, untouched and in order", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open({ media: [EXTERNAL] });
  const call = await app.nextCall();
  const audio = noise(4000);
  for (let at = 0; at < 4000; at += 800) call.play(audio.slice(at, at + 800));
  const received: number[] = [];
  while (received.length < 4000) received.push(...await client.nextAudio());
  assertEquals(received, [...audio]);
  // Binary frames are not counted.
  await client.ping();
  assertEquals(client.serverseq, 2);
  await client.close();
});

// ——— counting ———

Deno.test("counting: two pings at once are answered by two pongs, each with its own number", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open();
  const first = client.send("ping");
  const second = client.send("ping");
  assertEquals((await client.expect("pong")).clientseq, first);
  assertEquals((await client.expect("pong")).clientseq, second);
  await client.close();
});

Deno.test("counting: a hundred messages of all kinds, and audio, which does not count", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open();
  for (let i = 0; i < 100; i++) {
    client.sendAudio(noise(2 * (i + 1), i));
    if (i % 3 === 0) client.send("hologram");
    if (i % 5 === 0) client.send("discarded", { start: "PT0S", discarded: "PT0S" });
    if (i % 7 === 0) {
      client.send("update", { language: "en-GB" });
      await client.expect("updated");
    }
    await client.ping();
  }
  const call = await app.nextCall();
  await until(() => call.positionSamples === client.samples, "position");
  await client.close();
});

Deno.test("counting: an old serverseq is fine, the server's messages may be in flight", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open();
  (await app.nextCall()).sendEvent(NOTE);
  await client.expect("event");
  const seq = client.send("ping", {}, { serverseq: 0 });
  assertEquals((await client.expect("pong")).clientseq, seq);
  await client.close();
});

Deno.test("pauses: both hold; each ends by itself (section 8)", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open();
  const call = await app.nextCall();
  const paused = () => ({ ...call.paused });
  client.send("paused"); // the client's own
  await client.ping();
  assertEquals(paused(), { byServer: false, byClient: true });
  call.pause();
  await client.expect("pause");
  client.send("paused");
  await client.ping();
  assertEquals(paused(), { byServer: true, byClient: true });
  // The client ends its own, while the server's holds: nothing is sent. Then the server's ends.
  call.resume();
  await client.expect("resume");
  client.send("resumed", { start: "PT0S", discarded: "PT2S" });
  await client.ping();
  assertEquals(paused(), { byServer: false, byClient: false });
  assertEquals(call.positionSamples, 16_000);
  client.sendAudio(noise(160));
  await client.ping();
  assertEquals(call.positionSamples, 16_080);
  await client.close();
});

Deno.test("pauses: audio that was in flight when the server paused is taken", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open();
  const call = await app.nextCall();
  call.pause();
  client.sendAudio(noise(1600));
  await client.expect("pause");
  client.send("paused");
  await client.ping();
  assertEquals(call.positionSamples, 800);
  await client.close();
});

Deno.test("large texts: of a megabyte, apps and the message log get the beginning", async () => {
  // A character of three bytes at the place where it is cut.
  const text = `begins so ${"€".repeat(333_330)}`;
  const texts: string[] = [];
  const app = new TestApp({
    message: ({ from, text }) => {
      if (from === "client") texts.push(text);
    },
  });
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open();
  client.sendText(text);
  // It counts, although it was not read.
  client.seq++;
  await client.expect("disconnect");
  await client.close("disconnect");
  await server.idle();
  const [, kept = "", close = "", ...others] = texts;
  assertEquals(others, []);
  assertEquals(JSON.parse(close).type, "close", "one that is not too large is kept as it is");
  const logged = (await server.recording(client.id)).lines.filter(({ from }) => from === "client");
  assertEquals(logged[1]?.text, kept);
  assertGreater(kept.length, 100);
  assertLessOrEqual(kept.length, 1100);
  assert(kept.endsWith("€…"), kept.slice(-10));
  assert(text.startsWith(kept.slice(0, -1)));
});
