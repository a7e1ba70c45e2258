/**
 * What a client can do wrong, what comes back, and that nobody else notices (protocol section 4).
 */
import { assert, assertEquals, assertGreater, assertLess, assertMatch } from "@std/assert";
import type { Call } from "../../lib/app/app.ts";
import { watchDefects } from "../helpers/defects.ts";
import { until, within } from "../helpers/deadline.ts";
import { TestApp } from "../helpers/test_app.ts";
import { TestServer } from "../helpers/test_server.ts";
import { assertWav, concat, noise } from "../helpers/wav_check.ts";
import {
  EXTERNAL,
  type Json,
  L16_EXTERNAL,
  NIL,
  openParameters,
  probeParameters,
  STEREO,
  type WireClient,
} from "../helpers/wire_client.ts";

/** Values of bad messages have it; what the server says may not repeat it. */
const MARK = "Jordan-5551234567";

type Stage = "connected" | "opening" | "open";

interface Row {
  readonly name: string;
  /** `open` unless given. */
  readonly stage?: Stage;
  readonly media?: Json;
  readonly before?: (client: WireClient) => Promise<void> | void;
  readonly send: (client: WireClient) => void;
  /** Words that tell the fault. */
  readonly info: RegExp;
  readonly reason?: string;
}

/** An envelope without what is named. */
const without = (field: string): Row => ({
  name: `no ${field}`,
  send: (client) => client.send("ping", {}, { [field]: undefined }),
  info: new RegExp(field),
});

const envelope = (name: string, fields: Record<string, Json>, info: RegExp): Row => ({
  name,
  send: (client) => client.send("ping", {}, fields),
  info,
});

const parameters = (type: string, name: string, value: Json, info: RegExp): Row => ({
  name: `${type}: ${name}`,
  send: (client) => client.send(type, value),
  info,
});

/** A text whose number the server can't read. It is a message all the same: the client counts it. */
const unreadable = (name: string, send: (client: WireClient) => void, info: RegExp): Row => ({
  name,
  send(client) {
    const { seq } = client;
    send(client);
    client.seq = seq + 1;
  },
  info,
});

const badText = (name: string, text: string, info: RegExp): Row =>
  unreadable(name, (client) => client.sendText(text), info);

const badOpen = (name: string, value: Json, info: RegExp): Row => ({
  name: `open: ${name}`,
  stage: "connected",
  send: (client) => client.send("open", openParameters(value)),
  info,
});

const BAD_DURATIONS = [
  "PT-1S",
  "-PT1S",
  "PT9e-7S",
  "PT1E3S",
  "PTNaNS",
  "PTInfinityS",
  "PT99999999999S",
  "PT1M",
  "PT1.5",
  "1.5",
  "PTS",
  "",
  "pt1s",
  "PT1,5S",
  "PT0x10S",
  " PT1S",
  "PT1S\n",
  `PT${"9".repeat(400)}S`,
  `PT${MARK}S`,
];

const nest = (depth: number) => "[".repeat(depth) + "]".repeat(depth);

const ROWS: readonly Row[] = [
  // ——— not JSON, or not a message
  badText("malformed JSON", `{"version":"2","id":"${MARK}`, /JSON/i),
  badText("no text at all", "", /JSON|message/i),
  badText("a word", MARK, /JSON|message/i),
  badText("single quotes", `{'version':'2'}`, /JSON/i),
  badText("a number", "42", /message/i),
  badText("null", "null", /message/i),
  badText("a list", "[1,2,3]", /message/i),
  badText("a text", `"${MARK}"`, /message/i),
  badText("an empty object", "{}", /message|version/i),
  badText("brackets 100,000 deep", nest(100_000).slice(0, 65_000), /./),
  badText("brackets never closed", "[".repeat(65_000), /./),
  badText("zero bytes", "\0\0\0\0", /JSON|message/i),
  badText("65,536 bytes", "x".repeat(65_536), /65,?535|size|large|long|exceed/i),
  badText("65,536 bytes in 3 each", "€".repeat(21_846), /65,?535|size|large|long|exceed/i),
  badText("a megabyte", "x".repeat(1_000_000), /65,?535|size|large|long|exceed/i),
  {
    name: "a ping of 65,536 bytes",
    send: (client) => {
      const fill = 65_536 - JSON.stringify({ fill: "" }).length;
      client.send("ping", { fill: "x".repeat(fill) });
    },
    info: /65,?535|size|large|long|exceed/i,
  },
  {
    name: "deep JSON in a message",
    send(client) {
      const text = JSON.stringify({
        version: "2",
        id: client.id,
        type: "ping",
        seq: ++client.seq,
        serverseq: client.serverseq,
        position: "PT0S",
        parameters: { deep: "HERE" },
      });
      client.sendText(text.replace('"HERE"', nest(30_000)));
    },
    info: /./,
  },

  // ——— envelope
  ...["version", "id", "type", "serverseq", "position", "parameters"].map(without),
  ...[undefined, 0, -1, 2.5, "2", null].map((seq) =>
    unreadable(`seq ${JSON.stringify(seq)}`, (client) => client.send("ping", {}, { seq }), /seq/)
  ),
  envelope("version 1", { version: "1" }, /version/),
  envelope("version as a number", { version: 2 }, /version/),
  envelope("version marked", { version: MARK }, /version/),
  envelope("an id that is no UUID", { id: MARK }, /\bid\b/),
  envelope("an id of another session", { id: crypto.randomUUID() }, /\bid\b/),
  envelope("the nil id", { id: NIL }, /\bid\b/),
  envelope("a type that is a number", { type: 5 }, /type/),
  envelope("an empty type", { type: "" }, /type/),
  envelope("parameters null", { parameters: null }, /parameters/),
  envelope("parameters a list", { parameters: [] }, /parameters/),
  envelope("parameters a text", { parameters: MARK }, /parameters/),
  envelope("serverseq negative", { serverseq: -1 }, /serverseq/),
  envelope("serverseq a text", { serverseq: "1" }, /serverseq/),
  envelope("serverseq a fraction", { serverseq: 0.5 }, /serverseq/),
  envelope("serverseq too high by one", { serverseq: 2 }, /serverseq/),
  envelope("serverseq far too high", { serverseq: Number.MAX_SAFE_INTEGER }, /serverseq/),
  envelope("seq repeated", { seq: 1 }, /seq/),
  envelope("seq one too high", { seq: 3 }, /seq/),
  envelope("seq far too high", { seq: 1_000_000 }, /seq/),
  ...BAD_DURATIONS.map((position) =>
    envelope(`position ${JSON.stringify(position.slice(0, 20))}`, { position }, /position/)
  ),
  envelope("position a number", { position: 1.5 }, /position/),

  // ——— parameters
  ...BAD_DURATIONS.flatMap((bad) => {
    const name = JSON.stringify(bad.slice(0, 20));
    return [
      parameters("ping", `rtt ${name}`, { rtt: bad }, /rtt/),
      parameters(
        "discarded",
        `discarded ${name}`,
        { start: "PT0S", discarded: bad },
        /discarded/,
      ),
    ];
  }),
  parameters("ping", "rtt a number", { rtt: 0.1 }, /rtt/),
  parameters("discarded", "nothing", {}, /start|discarded/),
  parameters("discarded", "a bad start", { start: MARK, discarded: "PT1S" }, /start/),
  parameters("resumed", "nothing", {}, /start|discarded/),
  parameters("resumed", "a bad amount", { start: "PT0S", discarded: "PT-1S" }, /discarded/),
  parameters("update", "nothing", {}, /language/),
  parameters("update", "no tag", { language: `${MARK} !` }, /language/),
  parameters("update", "a number", { language: 5 }, /language/),
  parameters("error", "nothing", {}, /code|message/),
  parameters("error", "code 399", { code: 399, message: "x" }, /code/),
  parameters("error", "code 10000", { code: 10_000, message: "x" }, /code/),
  parameters("error", "code as text", { code: "400", message: "x" }, /code/),
  parameters(
    "error",
    "a bad retryAfter",
    { code: 429, message: MARK, retryAfter: "soon" },
    /retryAfter/,
  ),
  parameters("dtmf", "nothing", {}, /digit/),
  parameters("dtmf", "two digits", { digit: "12" }, /digit/),
  parameters("dtmf", "no digit", { digit: MARK }, /digit/),

  // ——— open
  badOpen("no organizationId", { organizationId: undefined }, /organizationId/),
  badOpen("a conversationId that is no UUID", { conversationId: MARK }, /conversationId/),
  badOpen("no participant", { participant: undefined }, /participant/),
  badOpen(
    "a participant without numbers",
    { participant: { id: crypto.randomUUID(), aniName: MARK } },
    /participant|ani|dnis/,
  ),
  badOpen("no media", { media: undefined }, /media/),
  badOpen("media that are no list", { media: STEREO }, /media/),
  badOpen("an offer that is none", { media: [MARK] }, /media/),
  badOpen("a language that is no tag", { language: `${MARK} ?` }, /language/),
  badOpen("supportedLanguages a text", { supportedLanguages: "yes" }, /supportedLanguages/),
  badOpen("a customConfig that is no object", { customConfig: MARK }, /customConfig/),
  badOpen(
    "a customConfig of 60,001 bytes",
    { customConfig: { fill: "x".repeat(60_001 - '{"fill":""}'.length) } },
    /customConfig/,
  ),
  badOpen(
    "input variables that are no texts",
    { inputVariables: { [MARK]: 1 } },
    /inputVariables/,
  ),
  badOpen("continuedSessions marked", { continuedSessions: [MARK] }, /continuedSessions/),
  {
    ...badOpen("another organization", { organizationId: crypto.randomUUID() }, /organizationId/),
    reason: "unauthorized",
  },
  {
    name: "open: another id than the connection request's",
    stage: "connected",
    send: (client) => client.send("open", openParameters(), { id: crypto.randomUUID() }),
    info: /\bid\b/,
  },
  {
    name: "open: seq 2",
    stage: "connected",
    send: (client) => client.send("open", openParameters(), { seq: 2 }),
    info: /seq/,
  },
  {
    name: "open: serverseq 1",
    stage: "connected",
    send: (client) => client.send("open", openParameters(), { serverseq: 1 }),
    info: /serverseq/,
  },

  // ——— at the wrong time
  ...["ping", "paused", "playback_started"].map((type): Row => ({
    name: `${type} before open`,
    stage: "connected",
    send: (client) => client.send(type),
    info: new RegExp(type),
  })),
  {
    name: "audio before open",
    stage: "connected",
    send: (client) => client.sendAudio(noise(160)),
    info: /audio/i,
  },
  {
    name: "audio before opened",
    stage: "opening",
    send: (client) => client.sendAudio(noise(160)),
    info: /audio/i,
  },
  {
    name: "ping before opened",
    stage: "opening",
    send: (client) => client.send("ping"),
    info: /ping/,
  },
  {
    name: "a second open, before opened",
    stage: "opening",
    send: (client) => client.send("open", openParameters()),
    info: /open/,
  },
  {
    name: "a second open",
    send: (client) => client.send("open", openParameters()),
    info: /open/,
  },
  {
    name: "a probe's open in a call",
    send: (client) => client.send("open", probeParameters()),
    info: /open/,
  },

  // ——— audio
  {
    name: "audio of 64,001 bytes, mono",
    media: [EXTERNAL],
    send: (client) => client.sendAudio(noise(64_001)),
    info: /64,?000|size|large|long|exceed/i,
  },
  {
    name: "audio of 64,002 bytes, stereo",
    send: (client) => client.sendAudio(noise(64_002)),
    info: /64,?000|size|large|long|exceed/i,
  },
  {
    name: "audio of a megabyte",
    send: (client) => client.sendAudio(noise(1_000_000)),
    info: /64,?000|size|large|long|exceed/i,
  },
  {
    name: "half a sample, stereo",
    send: (client) => client.sendAudio(noise(161)),
    info: /sample|multiple|audio/i,
  },
  {
    name: "half a sample, L16",
    media: [L16_EXTERNAL],
    send: (client) => client.sendAudio(noise(161)),
    info: /sample|multiple|audio/i,
  },
  {
    name: "audio while the client paused",
    before: (client) => void client.send("paused"),
    send: (client) => client.sendAudio(noise(160)),
    info: /paused/i,
  },
  {
    name: "audio where none was selected",
    media: [],
    send: (client) => client.sendAudio(noise(160)),
    info: /audio/i,
  },
];

Deno.test("bad input: the names of the rows differ", () => {
  assertEquals(new Set(ROWS.map(({ name }) => name)).size, ROWS.length);
});

for (const row of ROWS) {
  Deno.test(`bad input: ${row.name}`, async () => {
    using _defects = watchDefects();
    const gate = Promise.withResolvers<void>();
    let holds = false;
    const app = new TestApp({ open: () => holds ? gate.promise : undefined });
    await using server = await TestServer.start({ apps: [app] });
    await using bystander = await server.connect();
    await bystander.open();
    const calm = noise(4800, 7);
    bystander.sendAudio(calm.slice(0, 1600));
    await app.nextCall();

    await using client = await server.connect();
    try {
      const stage = row.stage ?? "open";
      if (stage === "opening") {
        holds = true;
        client.send("open", openParameters());
        await app.nextCall();
      } else if (stage === "open") {
        await client.open(row.media === undefined ? {} : { media: row.media });
      }
      await row.before?.(client);

      row.send(client);
      const disconnect = await client.expect("disconnect");
      assertEquals(disconnect.parameters.reason, row.reason ?? "error");
      const { info } = disconnect.parameters;
      assert(typeof info === "string" && info.length > 5, "info tells the fault");
      assertMatch(info, row.info);
      assert(!info.includes(MARK) && !info.includes("Jordan"), `no values in: ${info}`);
      assertLess(info.length, 500);

      bystander.sendAudio(calm.slice(1600, 3200));
      await bystander.ping();

      const closed = await client.close("disconnect", 3000);
      assertEquals(closed.parameters, {});
    } finally {
      gate.resolve();
    }
    bystander.sendAudio(calm.slice(3200));
    await bystander.ping();
    assertEquals(bystander.serverseq, 3, "the bystander heard of nothing");
    await bystander.close();
    await server.idle();
    const { wav, metadata } = await server.recording(bystander.id);
    assertWav(wav, { format: "PCMU", channels: 2, data: calm });
    assertEquals(metadata.isComplete, true);
    if ((row.stage ?? "open") !== "open") {
      const files = await server.files();
      assertEquals(files.filter((name) => name.startsWith(client.id)), []);
    }
  });
}

// ——— what is still right ———

Deno.test("limits: a text of 65,535 bytes is taken", async () => {
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
    fill: "",
  };
  message.fill = "x".repeat(65_535 - JSON.stringify(message).length);
  client.sendText(JSON.stringify(message));
  await client.expect("pong");
  await client.close();
});

Deno.test("limits: audio of 64,000 bytes is taken, of none too", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open();
  const audio = noise(64_000);
  client.sendAudio(new Uint8Array(0));
  client.sendAudio(audio);
  client.sendAudio(new Uint8Array(0));
  await client.ping();
  await client.close();
  assertWav((await server.recording(client.id)).wav, { format: "PCMU", channels: 2, data: audio });
});

Deno.test("limits: durations of many digits, and JSON in any dress, are taken", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open();
  for (
    const position of ["PT0S", "PT1.5S", "PT0.0001250S", "PT0.00012500000000000001S", "PT86400S"]
  ) {
    client.send("ping", { rtt: position }, { position });
    await client.expect("pong");
  }
  const { id, serverseq } = client;
  const seq = ++client.seq;
  client.sendText(
    `\n\t{ "parameters" : { } ,"position":"PT0S","serverseq":${serverseq}.0,"seq":${seq},` +
      `"type":"\\u0070ing","id":"${id}","version":"2" }\r\n`,
  );
  assertEquals((await client.expect("pong")).clientseq, seq);
  await client.close();
});

// ——— after the fault ———

// The client that sent it waits for `closed`; it may send another `close` for the `disconnect`.
for (
  const [name, value, envelope, info] of [
    ["no reason", {}, {}, /reason/],
    ["a reason that is no text", { reason: 5 }, {}, /reason/],
    ["a wrong seq", { reason: "end" }, { seq: 7 }, /seq/],
    ["a serverseq that is too high", { reason: "end" }, { serverseq: 9 }, /serverseq/],
    ["a bad position", { reason: "end" }, { position: MARK }, /position/],
    ["another id", { reason: "end" }, { id: NIL }, /\bid\b/],
  ] as const
) {
  Deno.test(`after a fault: a close with ${name} ends in disconnect and one closed`, async () => {
    await using server = await TestServer.start();
    await using client = await server.connect();
    await client.open();
    client.sendAudio(noise(160));
    client.send("close", value, envelope);
    const disconnect = await client.expect("disconnect");
    assertEquals(disconnect.parameters.reason, "error");
    assertMatch(disconnect.parameters.info, info);
    client.send("close", { reason: "disconnect" });
    await client.expect("closed", 3000);
    await client.hangUp();
    await server.idle();
    assertEquals(client.history.length, 3);
    const { wav, metadata } = await server.recording(client.id);
    assertWav(wav, { format: "PCMU", channels: 2, data: noise(160) });
    assert(metadata.closeReason !== null);
  });
}

Deno.test("after a fault: disconnect is sent once, whatever follows", async () => {
  using _defects = watchDefects();
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open();
  for (let i = 0; i < 500; i++) client.send("ping", {}, { id: NIL });
  client.sendAudio(noise(161));
  await client.expect("disconnect");
  await client.close("disconnect");
  assertEquals(client.history.map(({ type }) => type), ["opened", "disconnect", "closed"]);
});

Deno.test("after a fault: pings and audio in flight are still dealt with", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open();
  const audio = noise(320);
  client.send("ping", {}, { seq: 5 });
  client.sendAudio(audio);
  client.send("ping");
  client.send("hologram");
  await client.expect("disconnect");
  assertEquals((await client.expect("pong")).clientseq, 6);
  await client.close("disconnect");
});

Deno.test("after a fault: the call is recorded up to it", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open();
  const audio = noise(3200);
  client.sendAudio(audio);
  client.sendText(`{"broken": "${MARK}`);
  client.seq++;
  await client.expect("disconnect");
  await client.close("disconnect");
  const { wav, metadata, lines } = await server.recording(client.id);
  assertWav(wav, { format: "PCMU", channels: 2, data: audio });
  assertEquals(metadata.closeReason, "disconnect");
  assertEquals(lines.map(({ message, text }) => message?.type ?? text), [
    "open",
    "opened",
    `{"broken": "${MARK}`,
    "disconnect",
    "close",
    "closed",
  ]);
});

Deno.test("after a fault: a close is answered even if the client did not count the broken text", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open();
  client.miscounts = true;
  client.sendText(`{"broken": "${MARK}`);
  await client.expect("disconnect");
  // Section 4: the next message continues from the number that the client actually used.
  await client.close("disconnect", 3000);
});

Deno.test("after close: audio and messages are ignored, and not recorded", async () => {
  const gate = Promise.withResolvers<void>();
  const app = new TestApp({ close: () => gate.promise });
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open();
  const audio = noise(1600);
  client.sendAudio(audio);
  client.send("close", { reason: "end" });
  await app.told("close");
  client.sendAudio(noise(1600, 2));
  client.sendAudio(noise(161, 2));
  gate.resolve();
  await client.expect("closed");
  client.sendAudio(noise(1600, 3));
  client.send("ping");
  client.sendText("no JSON");
  client.send("open", openParameters());
  await client.hangUp();
  await server.idle();
  assertEquals(client.history.map(({ type }) => type), ["opened", "closed"]);
  assertEquals(app.count("audio"), 1);
  const { wav, metadata } = await server.recording(client.id);
  assertWav(wav, { format: "PCMU", channels: 2, data: audio });
  assertEquals(metadata.isComplete, true);
});

Deno.test("after close: a second close gets no second closed", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open();
  client.send("close", { reason: "end" });
  client.send("close", { reason: "end" });
  await client.expect("closed");
  await client.hangUp();
  await server.idle();
  assertEquals(client.history.map(({ type }) => type), ["opened", "closed"]);
  assertEquals(app.count("close"), 1);
});

// ——— connections that break ———

const text = (id: string, type: string, seq: number, parameters: Json, serverseq = 0) =>
  JSON.stringify({ version: "2", id, type, seq, serverseq, position: "PT0S", parameters });

Deno.test("dropped: before open", async () => {
  using _defects = watchDefects();
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using socket = await server.connectRaw(crypto.randomUUID());
  await until(() => server.server.connectionCount === 1, "connection");
  socket.drop();
  await server.idle();
  assertEquals(app.notes, []);
  assertEquals(await server.data.files(), []);
});

Deno.test("dropped: while opening", async () => {
  using _defects = watchDefects();
  const gate = Promise.withResolvers<void>();
  const slow = new TestApp({ name: "slow", open: () => gate.promise });
  const quick = new TestApp({ name: "quick" });
  await using server = await TestServer.start({ apps: [quick, slow] });
  const id = crypto.randomUUID();
  await using socket = await server.connectRaw(id);
  await socket.sendText(text(id, "open", 1, openParameters()));
  await slow.nextCall();
  socket.drop();
  await server.idle();
  assertEquals(quick.whats, ["open", "close", "ended"]);
  gate.resolve();
  await slow.told("close");
  // A whole other call, so that whatever the late app sets off has had its time.
  await using client = await server.connect();
  await client.open();
  await client.close();
  await server.idle();
  await within(server.recorder.finished(), "end of all recordings");
  assertEquals(slow.whats.slice(0, 2), ["open", "close"]);
  assertEquals(
    quick.whats.slice(0, 4),
    ["open", "close", "ended", "open"],
    "no opened after ended",
  );
  assertEquals((await server.files()).filter((name) => name.startsWith(id)), []);
});

for (
  const [how, last] of [
    ["between frames", new Uint8Array()],
    ["within a frame", new Uint8Array([0x82, 0xFE, 0x06, 0x40, 0, 0, 0, 0, 1, 2, 3])],
    ["after a frame with an unknown opcode", new Uint8Array([0x8B, 0x80, 0, 0, 0, 0])],
    ["after a text that is not UTF-8", new Uint8Array([0x81, 0x82, 0, 0, 0, 0, 0xC3, 0x28])],
    ["after a frame of 2^62 bytes", new Uint8Array([0x82, 0xFF, 0x40, 0, 0, 0, 0, 0, 0, 0])],
  ] as const
) {
  Deno.test(`dropped: open, ${how}`, async () => {
    using _defects = watchDefects();
    const app = new TestApp();
    await using server = await TestServer.start({ apps: [app] });
    await using bystander = await server.connect();
    await bystander.open();
    const id = crypto.randomUUID();
    await using socket = await server.connectRaw(id);
    await socket.sendText(text(id, "open", 1, openParameters()));
    await socket.message("opened");
    const audio = noise(1600);
    await socket.sendFrame(2, audio);
    await socket.sendText(text(id, "ping", 2, {}, 1));
    await socket.message("pong");
    await socket.write(last);
    socket.drop();
    await until(() => server.server.connectionCount === 1, "end of the connection");
    await bystander.ping();
    await bystander.close();
    await server.idle();
    const { wav, metadata } = await server.recording(id);
    assertWav(wav, { format: "PCMU", channels: 2, data: audio });
    assertEquals(metadata.isComplete, false);
    assertEquals(metadata.closeReason, null);
    assertEquals(app.notes.filter(({ what }) => what === "close")[0]?.detail, { how: "lost" });
  });
}

Deno.test("dropped: disconnecting", async () => {
  using _defects = watchDefects();
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  const id = crypto.randomUUID();
  await using socket = await server.connectRaw(id);
  await socket.sendText(text(id, "open", 1, openParameters()));
  await socket.message("opened");
  (await app.nextCall()).disconnect("completed");
  await socket.message("disconnect");
  socket.drop();
  await server.idle();
  const { metadata } = await server.recording(id);
  assertEquals(metadata.isComplete, false);
  assertEquals(metadata.closeReason, null);
  assertEquals(app.count("close"), 1);
});

Deno.test("dropped: closing", async () => {
  using _defects = watchDefects();
  const gate = Promise.withResolvers<void>();
  const app = new TestApp({ close: () => gate.promise });
  await using server = await TestServer.start({ apps: [app] });
  const id = crypto.randomUUID();
  await using socket = await server.connectRaw(id);
  await socket.sendText(text(id, "open", 1, openParameters()));
  await socket.message("opened");
  const audio = noise(160);
  await socket.sendFrame(2, audio);
  await socket.sendText(text(id, "close", 2, { reason: "end" }, 1));
  await app.told("close");
  socket.drop();
  gate.resolve();
  await server.idle();
  const { wav, metadata } = await server.recording(id);
  assertWav(wav, { format: "PCMU", channels: 2, data: audio });
  assertEquals(metadata.closeReason, "end");
  assertEquals(app.count("close"), 1);
  assertEquals(app.count("ended"), 1);
});

Deno.test("dropped: by a WebSocket's goodbye, without close", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open();
  const audio = noise(1601 * 2);
  client.sendAudio(audio);
  await client.ping();
  await client.hangUp();
  await server.idle();
  const { wav, metadata } = await server.recording(client.id);
  assertWav(wav, { format: "PCMU", channels: 2, data: audio });
  assertEquals(metadata.isComplete, false);
});

// ——— clients that wait for ever ———

Deno.test("time: without an open, the client is asked to go, then the connection ends", async () => {
  await using server = await TestServer.start({
    sessionLimits: { openTimeoutMs: 200, closeTimeoutMs: 200 },
  });
  await using client = await server.connect();
  const { parameters } = await client.expect("disconnect");
  assertEquals(parameters.reason, "error");
  await within(client.ended, "end of the connection");
  await server.idle();
});

Deno.test("time: no close after disconnect, the connection ends and the call is incomplete", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({
    apps: [app],
    sessionLimits: { closeTimeoutMs: 200 },
  });
  await using client = await server.connect();
  await client.open();
  const audio = noise(160);
  client.sendAudio(audio);
  await client.ping();
  (await app.nextCall()).disconnect("completed");
  await client.expect("disconnect");
  await within(client.ended, "end of the connection");
  await server.idle();
  const { wav, metadata } = await server.recording(client.id);
  assertWav(wav, { format: "PCMU", channels: 2, data: audio });
  assertEquals(metadata.isComplete, false);
  assertEquals(app.notes.find(({ what }) => what === "close")?.detail, { how: "lost" });
});

Deno.test("time: a client that stays after closed is hung up, not at once", async () => {
  await using server = await TestServer.start({ sessionLimits: { hangupTimeoutMs: 300 } });
  await using client = await server.connect();
  await client.open();
  client.send("close", { reason: "end" });
  const closedMs = performance.now();
  await client.expect("closed");
  await within(client.ended, "end of the connection");
  assertGreater(performance.now() - closedMs, 250, "the client has the first say");
  await server.idle();
});

// Deno's WebSocket can't be terminated: the TCP connection stays until the client, or TCP, ends it.
Deno.test("time: a client that does not answer the WebSocket's goodbye holds nothing up", async () => {
  await using server = await TestServer.start({ sessionLimits: { hangupTimeoutMs: 200 } });
  const id = crypto.randomUUID();
  await using socket = await server.connectRaw(id);
  await socket.sendText(text(id, "open", 1, openParameters()));
  await socket.message("opened");
  await socket.sendText(text(id, "close", 2, { reason: "end" }, 1));
  await socket.message("closed");
  // It gets the WebSocket's goodbye, and says nothing to it.
  await server.idle();
  assertEquals((await server.recording(id)).metadata.isComplete, true);
  await within(server.server.shutdown(), "shutdown");
});

Deno.test("time: a silent client is asked to go", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({
    apps: [app],
    sessionLimits: { silenceTimeoutMs: 300, closeTimeoutMs: 200 },
  });
  await using client = await server.connect();
  await client.open();
  const { parameters } = await client.expect("disconnect");
  assertEquals(parameters.reason, "error");
  assertMatch(parameters.info, /received|silen|ping/i);
  await within(client.ended, "end of the connection");
  await server.idle();
  assertEquals((await server.recording(client.id)).metadata.isComplete, false);
});

Deno.test("time: a client that pings is not silent", async () => {
  await using server = await TestServer.start({ sessionLimits: { silenceTimeoutMs: 300 } });
  await using client = await server.connect();
  await client.open();
  const endMs = performance.now() + 900;
  while (performance.now() < endMs) {
    await client.ping();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await client.close();
});

Deno.test("time: a client that does not read is ended, and the server lives", async () => {
  using _defects = watchDefects();
  const app = new TestApp();
  await using server = await TestServer.start({
    apps: [app],
    sessionLimits: { textRate: { perSecond: 1e6, burst: 1e6 } },
  });
  const id = crypto.randomUUID();
  await using socket = await server.connectRaw(id);
  await socket.sendText(text(id, "open", 1, openParameters()));
  await socket.message("opened");
  const call: Call = await app.nextCall();
  const entity = { type: "note", data: { text: "x".repeat(60_000) } };
  await until(() => {
    try {
      for (let i = 0; i < 20; i++) call.sendEvent(entity);
    } catch {
      // Refused, because it is over or too much waits: both are fine.
    }
    return server.server.connectionCount === 0;
  }, "end of the connection that does not read");
  await using client = await server.connect();
  await client.open();
  await client.close();
});

Deno.test("many: twenty bad clients at once, and one good one", async () => {
  using _defects = watchDefects();
  await using server = await TestServer.start();
  await using bystander = await server.connect();
  await bystander.open();
  const calm = noise(20 * 320);
  const bad = Array.from({ length: 20 }, async (_, index) => {
    await using client = await server.connect();
    await client.open();
    client.send("ping", {}, { seq: 99 + index });
    await client.expect("disconnect");
    await client.close("disconnect");
  });
  for (let at = 0; at < calm.length; at += 320) {
    bystander.sendAudio(calm.slice(at, at + 320));
    await bystander.ping();
  }
  await Promise.all(bad);
  await bystander.close();
  await server.idle();
  assertWav((await server.recording(bystander.id)).wav, {
    format: "PCMU",
    channels: 2,
    data: concat(calm),
  });
});
