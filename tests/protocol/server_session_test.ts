import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertInstanceOf,
  assertLess,
  assertLessOrEqual,
  assertThrows,
} from "@std/assert";
import {
  type EventEntity,
  LocalProtocolError,
  type MediaOffer,
  type OpenedAnswer,
  ServerSession,
  type ServerSessionEvent,
  type ServerSessionLimits,
  type SessionState,
} from "../../lib/protocol/mod.ts";
import {
  clientMessage,
  EXTERNAL,
  INTERNAL,
  isMessage,
  type JsonObject,
  L16,
  NIL,
  openParameters,
  ORGANIZATION_ID,
  OTHER_UUID,
  SESSION_ID,
  STEREO,
  transcriptEntity,
  WireClient,
  type WireMessage,
} from "../helpers/protocol_wire.ts";

const offer = (json: JsonObject) => json as MediaOffer;
const entity = (json: JsonObject) => json as EventEntity;
const note = (n: number): EventEntity => ({ type: "note", data: { n } });
const BARGE_IN: EventEntity = { type: "barge_in", data: {} };

function connect(limits: Partial<ServerSessionLimits> = {}): WireClient {
  return new WireClient(
    new ServerSession({ id: SESSION_ID, organizationId: ORGANIZATION_ID, nowMs: 0, limits }),
  );
}

function open(
  answer: OpenedAnswer = { media: offer(STEREO) },
  parameters: JsonObject = {},
  limits: Partial<ServerSessionLimits> = {},
): WireClient {
  const client = connect(limits);
  client.send("open", openParameters(parameters));
  client.session.opened(answer, client.nowMs);
  client.receive();
  client.events();
  return client;
}

function openBot(limits: Partial<ServerSessionLimits> = {}): WireClient {
  return open({ media: offer(EXTERNAL) }, { media: [EXTERNAL] }, limits);
}

/** Checks that the session answered a fault as section 4 demands. */
function assertRefused(client: WireClient, reason = "error"): void {
  const disconnect = client.receiveOne("disconnect");
  assertEquals(disconnect.parameters.reason, reason);
  assertEquals(typeof disconnect.parameters.info, "string");
  assertEquals(client.eventTypes().includes("violation"), true);
}

/** Closes, and checks that `closed` acknowledges the `close`. */
function assertCloses(client: WireClient): void {
  client.send("close", { reason: "disconnect" });
  assertEquals(client.eventTypes().at(-1), "close");
  client.session.closed(undefined, client.nowMs);
  assertEquals(client.receiveOne("closed").clientseq, client.seq);
  assertEquals(client.session.state, "closed");
}

// --- Section 6: open ---------------------------------------------------------------------------

Deno.test("session: open is reported with its parameters, and answered by opened", () => {
  const client = connect();
  client.send("open", openParameters({ inputVariables: { topic: "billing" } }));
  const events = client.events();
  assertEquals(events.length, 1);
  const [event] = events;
  assert(event?.type === "open");
  assertEquals(event.isProbe, false);
  assertEquals(
    event.parameters as unknown,
    openParameters({ inputVariables: { topic: "billing" } }) as unknown,
  );
  assertEquals(client.receive(), []);
  client.session.opened({ media: offer(STEREO) }, 0);
  assertEquals(client.receiveOne("opened") as unknown, {
    version: "2",
    id: SESSION_ID,
    type: "opened",
    seq: 1,
    clientseq: 1,
    parameters: { media: [STEREO] },
  });
  assertEquals(client.session.state, "open");
});

Deno.test("session: opened repeats the offer unchanged, with fields that we don't know", () => {
  const special: JsonObject = { ...STEREO, ptime: 20, codec: { variant: ["x", null] } };
  const client = connect();
  client.send("open", openParameters({ media: [EXTERNAL, special, INTERNAL] }));
  const [event] = client.events();
  assert(event?.type === "open");
  const chosen = event.parameters.media[1];
  client.session.opened({ media: chosen }, 0);
  assertEquals(client.receiveOne("opened").parameters, { media: [special] });
});

Deno.test("session: opened keeps the order of the channels", () => {
  const reversed: JsonObject = { ...STEREO, channels: ["internal", "external"] };
  const client = connect();
  client.send("open", openParameters({ media: [reversed] }));
  assertThrows(() => client.session.opened({ media: offer(STEREO) }, 0), LocalProtocolError);
  client.session.opened({ media: offer(reversed) }, 0);
  assertEquals(client.receiveOne("opened").parameters, { media: [reversed] });
  assertEquals(client.session.media?.channels, ["internal", "external"]);
});

Deno.test("session: media that was not offered can't be selected, and nothing is sent then", () => {
  const client = connect();
  client.send("open", openParameters({ media: [EXTERNAL] }));
  for (const other of [STEREO, INTERNAL, L16, { ...EXTERNAL, rate: 16_000 }]) {
    assertThrows(() => client.session.opened({ media: offer(other) }, 0), LocalProtocolError);
  }
  assertEquals(client.receive(), []);
  client.session.opened({ media: offer(EXTERNAL) }, 0);
  assertEquals(client.receiveOne("opened").seq, 1);
});

Deno.test("session: an open without offers can only be answered without media", () => {
  const client = connect();
  client.send("open", openParameters({ media: [] }));
  assertThrows(() => client.session.opened({ media: offer(STEREO) }, 0), LocalProtocolError);
  client.session.opened({}, 0);
  assertEquals(client.receiveOne("opened").parameters, { media: [] });
});

Deno.test("session: a session without audio is opened with an empty list", () => {
  const client = connect();
  client.send("open", openParameters());
  client.session.opened({}, 0);
  assertEquals(client.receiveOne("opened").parameters, { media: [] });
  assertEquals(client.session.media, undefined);
});

Deno.test("session: supportedLanguages is answered when asked for, and only then", () => {
  const answer = { supportedLanguages: ["en-US", "es-419"] };
  for (const asked of [true, false, undefined]) {
    const client = connect();
    client.send(
      "open",
      openParameters(asked === undefined ? {} : { supportedLanguages: asked }),
    );
    client.session.opened(answer, 0);
    assertEquals(
      client.receiveOne("opened").parameters,
      asked === true ? { media: [], supportedLanguages: ["en-US", "es-419"] } : { media: [] },
    );
  }
});

Deno.test("session: supportedLanguages is a list also when there are none to name", () => {
  const client = connect();
  client.send("open", openParameters({ supportedLanguages: true }));
  client.session.opened({}, 0);
  assertEquals(client.receiveOne("opened").parameters, { media: [], supportedLanguages: [] });
});

Deno.test("session: startPaused begins in the server's pause, and paused is its answer", () => {
  const client = connect();
  client.send("open", openParameters());
  client.session.opened({ media: offer(STEREO), startPaused: true }, 0);
  assertEquals(client.receiveOne("opened").parameters, { media: [STEREO], startPaused: true });
  assertEquals(client.session.paused, { byServer: true, byClient: false });
  client.send("paused");
  assertEquals(client.session.paused, { byServer: true, byClient: false });
  client.session.resume(0);
  client.receiveOne("resume");
  client.send("resumed", { start: "PT0S", discarded: "PT1S" });
  assertEquals(client.session.paused, { byServer: false, byClient: false });
  assertEquals(client.audio(1600), 8000);
});

Deno.test("session: audio in a session that started paused breaks the protocol", () => {
  const client = open({ media: offer(STEREO), startPaused: true });
  assertEquals(client.audio(1600), -1);
  assertRefused(client);
});

Deno.test("session: discardTo is sent as it is given", () => {
  const client = connect();
  client.send("open", openParameters());
  client.session.opened({ media: offer(STEREO), discardTo: "PT12.000125S" }, 0);
  assertEquals(client.receiveOne("opened").parameters, {
    media: [STEREO],
    discardTo: "PT12.000125S",
  });
});

Deno.test("session: a discardTo that is no duration is refused, and nothing is sent", () => {
  for (const discardTo of ["PT9e-7S", "PT-1S", "1", "PTNaNS"]) {
    const client = connect();
    client.send("open", openParameters());
    assertThrows(
      () => client.session.opened({ media: offer(STEREO), discardTo }, 0),
      LocalProtocolError,
    );
    assertEquals(client.session.takeOutput(), []);
    assertEquals(client.session.state, "opening");
  }
});

for (const reason of ["unauthorized", "error", "completed", "rejected"] as const) {
  Deno.test(`session: an open is refused by disconnect with reason ${reason}`, () => {
    const client = connect();
    client.send("open", openParameters());
    client.session.disconnect(reason, "Not today", undefined, 0);
    assertEquals(client.receiveOne("disconnect") as unknown, {
      version: "2",
      id: SESSION_ID,
      type: "disconnect",
      seq: 1,
      clientseq: 1,
      parameters: { reason, info: "Not today" },
    });
    assertThrows(() => client.session.opened({}, 0), LocalProtocolError);
    assertCloses(client);
  });
}

Deno.test("session: a close while open is being answered ends it without opened", () => {
  const client = connect();
  client.send("open", openParameters());
  client.send("close", { reason: "end" });
  assertEquals(client.eventTypes(), ["open", "close"]);
  assertThrows(() => client.session.opened({}, 0), LocalProtocolError);
  assertThrows(() => client.session.sendEvent([note(1)], 0), LocalProtocolError);
  client.session.closed(undefined, 0);
  assertEquals(client.receiveOne("closed").clientseq, 2);
});

Deno.test("session: a close before any open is answered by closed", () => {
  const client = connect();
  client.send("close", { reason: "error" });
  assertEquals(client.events(), [{ type: "close", reason: "error" }]);
  client.session.closed(undefined, 0);
  assertEquals(client.receiveOne("closed").parameters, {});
});

Deno.test("session: a second open breaks the protocol", () => {
  const client = connect();
  client.send("open", openParameters());
  client.send("open", openParameters());
  assertRefused(client);
  const other = open();
  other.send("open", openParameters());
  assertRefused(other);
});

Deno.test("session: any message but open and close breaks the protocol before open", () => {
  const messages: [string, JsonObject][] = [
    ["ping", {}],
    ["paused", {}],
    ["resumed", { start: "PT0S", discarded: "PT0S" }],
    ["discarded", { start: "PT0S", discarded: "PT1S" }],
    ["update", { language: "en" }],
    ["dtmf", { digit: "1" }],
    ["playback_started", {}],
  ];
  for (const [type, parameters] of messages) {
    const client = connect();
    client.send(type, parameters);
    assertRefused(client);
    assertEquals(client.session.state, "refusing");
    assertCloses(client);
    const opening = connect();
    opening.send("open", openParameters());
    opening.events();
    opening.send(type, parameters);
    assertRefused(opening);
    assertCloses(opening);
  }
});

Deno.test("session: the probe is told by its nil UUIDs and empty names", () => {
  const client = connect();
  client.send(
    "open",
    openParameters({
      conversationId: NIL,
      participant: { id: NIL, ani: "", aniName: "", dnis: "" },
    }),
  );
  const [event] = client.events();
  assert(event?.type === "open");
  assertEquals(event.isProbe, true);
  client.session.opened({}, 0);
  assertEquals(client.receiveOne("opened").parameters, { media: [] });
  assertCloses(client);
});

Deno.test("session: a call with a nil conversation or a nil participant only is no probe", () => {
  const participant = { id: NIL, ani: "+1", aniName: "x", dnis: "+2" };
  for (const parameters of [{ conversationId: NIL }, { participant }] as JsonObject[]) {
    const client = connect();
    client.send("open", openParameters(parameters));
    const [event] = client.events();
    assert(event?.type === "open");
    assertEquals(event.isProbe, false);
  }
});

// --- Sections 3 and 4: identity, envelope, counting ------------------------------------------

Deno.test("session: another organizationId is refused as unauthorized, once", () => {
  const client = connect();
  client.send("open", openParameters({ organizationId: OTHER_UUID }));
  assertEquals(client.eventTypes(), ["violation"]);
  const disconnect = client.receiveOne("disconnect");
  assertEquals(disconnect.parameters.reason, "unauthorized");
  assertEquals(JSON.stringify(disconnect).includes(OTHER_UUID), false);
  assertCloses(client);
});

Deno.test("session: UUIDs are compared without regard to case", () => {
  const client = connect();
  client.send("open", openParameters({ organizationId: ORGANIZATION_ID.toUpperCase() }), {
    id: SESSION_ID.toUpperCase(),
  });
  assertEquals(client.eventTypes(), ["open"]);
});

Deno.test("session: another id is refused as error", () => {
  const client = connect();
  client.send("open", openParameters(), { id: OTHER_UUID });
  assertRefused(client);
  assertCloses(client);
  const later = open();
  later.send("ping", {}, { id: OTHER_UUID });
  assertRefused(later);
  assertCloses(later);
});

interface Fault {
  readonly what: string;
  /** Sends the faulty frame, as the client's next message. */
  readonly commit: (client: WireClient) => void;
}

/** A frame whose `seq` can't be read uses a number all the same: it is the next text message. */
function raw(text: string): (client: WireClient) => void {
  return (client) => {
    client.seq++;
    client.session.receiveText(text, client.nowMs);
  };
}

const FAULTS: readonly Fault[] = [
  {
    what: "a seq that leaves one out",
    commit: (client) => client.send("ping", {}, { seq: client.seq + 2 }),
  },
  {
    what: "a seq that is far too high",
    commit: (client) => client.send("ping", {}, { seq: 1_000_000 }),
  },
  {
    what: "a serverseq above what we have sent",
    commit: (client) => client.send("ping", {}, { serverseq: client.serverseq + 1 }),
  },
  { what: "another id", commit: (client) => client.send("ping", {}, { id: OTHER_UUID }) },
  { what: "another version", commit: (client) => client.send("ping", {}, { version: "3" }) },
  {
    what: "a bad parameter",
    commit: (client) => client.send("update", { language: 1 }),
  },
  {
    what: "a missing parameter",
    commit: (client) => client.send("resumed", { start: "PT0S" }),
  },
  {
    what: "a bad position",
    commit: (client) => client.send("ping", {}, { position: "PT9e-7S" }),
  },
  {
    what: "no parameters",
    commit: (client) => {
      const { parameters: _, ...message } = clientMessage("ping", {}, {
        seq: ++client.seq,
        serverseq: client.serverseq,
      });
      client.session.receiveText(JSON.stringify(message), client.nowMs);
    },
  },
  {
    what: "a message that the state does not allow",
    commit: (client) => client.send("open", openParameters()),
  },
  { what: "malformed JSON", commit: raw('{"version":"2",') },
  { what: "text that is no object", commit: raw("[]") },
  { what: "an empty text", commit: raw("") },
  {
    what: "a message without seq",
    commit: raw(JSON.stringify({ version: "2", id: SESSION_ID, type: "ping", parameters: {} })),
  },
  { what: "a text of more than 65,535 bytes", commit: raw(`"${"x".repeat(70_000)}"`) },
  { what: "a text that is nested too deep", commit: raw("[".repeat(10_000)) },
];

for (const { what, commit } of FAULTS) {
  Deno.test(`session: ${what} is answered by one disconnect with error`, () => {
    const client = open();
    client.send("ping");
    client.receiveOne("pong");
    commit(client);
    assertRefused(client);
    assertEquals(client.session.state, "disconnecting");
    commit(client);
    assertEquals(client.receive(), []);
  });

  Deno.test(`session: after ${what} the client's close is still answered by closed`, () => {
    const client = open();
    client.send("ping");
    client.receiveOne("pong");
    commit(client);
    client.receiveOne("disconnect");
    assertCloses(client);
  });

  Deno.test(`session: after ${what} a ping in flight is still answered by its pong`, () => {
    const client = open();
    commit(client);
    client.receiveOne("disconnect");
    client.send("ping");
    assertEquals(client.receiveOne("pong").clientseq, client.seq);
    assertCloses(client);
  });
}

Deno.test("session: a seq that is repeated is refused, and clientseq stays the highest", () => {
  const client = open();
  client.send("ping");
  client.send("ping");
  client.receive();
  client.send("ping", {}, { seq: 2 });
  const disconnect = client.receiveOne("disconnect");
  assertEquals(disconnect.clientseq, 3);
});

Deno.test("session: the first message must have seq 1 and serverseq 0", () => {
  for (const envelope of [{ seq: 2 }, { serverseq: 1 }] as Partial<WireMessage>[]) {
    const client = connect();
    client.send("open", openParameters(), envelope);
    assertRefused(client);
  }
});

Deno.test("session: a serverseq below what we have sent is fine", () => {
  const client = open();
  client.session.pause(0);
  client.session.pause(0);
  client.send("ping", {}, { serverseq: 0 });
  assertEquals(client.eventTypes(), []);
  assertEquals(client.receiveTypes(), ["pause", "pause", "pong"]);
});

Deno.test("session: an unknown type is counted, reported and otherwise ignored", () => {
  const client = connect();
  client.send("hello", { any: 1 });
  assertEquals(client.events(), [{ type: "unknown", messageType: "hello" }]);
  client.send("open", openParameters());
  assertEquals(client.eventTypes(), ["open"]);
  client.session.opened({}, 0);
  assertEquals(client.receiveOne("opened").clientseq, 2);
  client.send("hello");
  client.send("ping");
  assertEquals(client.receiveOne("pong").clientseq, 4);
});

Deno.test("session: unknown fields of known messages are ignored", () => {
  const client = open();
  client.session.receiveText(
    JSON.stringify({
      ...clientMessage("ping", { rtt: "PT0.01S", added: {} }, { seq: 2, serverseq: 1 }),
      added: [1],
    }),
    0,
  );
  client.seq = 2;
  assertEquals(client.receiveOne("pong").clientseq, 2);
  assertEquals(client.eventTypes(), []);
});

Deno.test("session: info names the fault without repeating a value", () => {
  const marker = "ZqMarkerQz";
  const client = open();
  client.send("update", { language: `${marker} ${marker}` });
  const { info } = client.receiveOne("disconnect").parameters;
  assertEquals(String(info).includes(marker), false);
  assertEquals(String(info).includes("language"), true);
});

// --- Section 7: audio --------------------------------------------------------------------------

Deno.test("session: positions of stereo frames are counted in samples, sizes vary", () => {
  const client = open();
  let expected = 0;
  for (const samples of [800, 1, 161, 32_000, 0, 7, 799]) {
    assertEquals(client.audio(samples * 2), expected);
    expected += samples;
    assertEquals(client.session.positionSamples, expected);
  }
  assertEquals(client.eventTypes(), []);
});

Deno.test("session: positions of mono PCMU, mono L16 and stereo L16 frames", () => {
  const stereoL16 = { ...STEREO, format: "L16" };
  for (const [media, bytes] of [[EXTERNAL, 1], [L16, 2], [stereoL16, 4]] as const) {
    const client = open({ media: offer(media) }, { media: [media] });
    assertEquals(client.audio(161 * bytes), 0);
    assertEquals(client.audio(3 * bytes), 161);
    assertEquals(client.session.positionSamples, 164);
  }
});

Deno.test("session: a frame with part of a sample breaks the protocol", () => {
  const stereoL16 = { ...STEREO, format: "L16" };
  const cases = [[STEREO, 1], [STEREO, 1601], [L16, 3], [stereoL16, 2], [stereoL16, 6]] as const;
  for (const [media, bytes] of cases) {
    const client = open({ media: offer(media) }, { media: [media] });
    assertEquals(client.audio(bytes), -1);
    assertEquals(client.session.positionSamples, 0);
    assertRefused(client);
    assertCloses(client);
  }
});

Deno.test("session: a frame of 64,000 bytes is the largest", () => {
  const client = open();
  assertEquals(client.audio(64_000), 0);
  assertEquals(client.audio(64_002), -1);
  assertRefused(client);
  assertEquals(client.session.positionSamples, 32_000);
});

Deno.test("session: audio before open, and before opened, breaks the protocol", () => {
  const idle = connect();
  assertEquals(idle.audio(160), -1);
  assertRefused(idle);
  const opening = connect();
  opening.send("open", openParameters());
  assertEquals(opening.audio(160), -1);
  assertRefused(opening);
});

Deno.test("session: audio in a session without media breaks the protocol", () => {
  const client = open({});
  assertEquals(client.audio(160), -1);
  assertRefused(client);
});

Deno.test("session: audio while paused breaks the protocol, whoever paused", () => {
  const byClient = open();
  byClient.send("paused");
  assertEquals(byClient.audio(1600), -1);
  assertRefused(byClient);
  const byServer = open();
  byServer.session.pause(0);
  byServer.receive();
  assertEquals(byServer.audio(1600), 0, "sent before the client knew of the pause");
  byServer.send("paused");
  assertEquals(byServer.audio(1600), -1);
  assertRefused(byServer);
});

Deno.test("session: audio after close is ignored", () => {
  const client = open();
  client.audio(1600);
  client.send("close", { reason: "end" });
  assertEquals(client.audio(1600), -1);
  client.session.closed(undefined, 0);
  assertEquals(client.audio(1600), -1);
  assertEquals(client.session.positionSamples, 800);
  assertEquals(client.receiveTypes(), ["closed"]);
});

Deno.test("session: audio in flight after our disconnect is still received", () => {
  const client = open();
  client.session.disconnect("completed", undefined, undefined, 0);
  assertEquals(client.audio(1600), 0);
  assertEquals(client.audio(1600), 800);
  assertEquals(client.eventTypes(), []);
});

Deno.test("session: discarded advances the position and reports a gap", () => {
  const client = open();
  client.audio(1600);
  client.send("discarded", { start: "PT0.1S", discarded: "PT2.000125S" });
  assertEquals(client.events(), [
    { type: "gap", positionSamples: 800, samples: 16_001, cause: "discarded" },
  ]);
  assertEquals(client.audio(2), 16_801);
});

Deno.test("session: audio lost before the first frame is a gap at position 0", () => {
  const client = open();
  client.send("discarded", { start: "PT0S", discarded: "PT10S" });
  assertEquals(client.events(), [
    { type: "gap", positionSamples: 0, samples: 80_000, cause: "discarded" },
  ]);
  assertEquals(client.audio(1600), 80_000);
});

Deno.test("session: resumed advances the position by what was dropped during the pause", () => {
  const client = open();
  client.audio(1600);
  client.send("paused");
  client.send("resumed", { start: "PT0.1S", discarded: "PT3.5S" });
  assertEquals(client.events(), [
    { type: "paused" },
    { type: "gap", positionSamples: 800, samples: 28_000, cause: "paused" },
    { type: "resumed" },
  ]);
  assertEquals(client.audio(1600), 28_800);
});

Deno.test("session: a hostile amount of lost audio ends the session, not the disk", () => {
  const client = open();
  for (let day = 0; day < 40; day++) {
    client.send("discarded", { start: "PT0S", discarded: "PT86400S" });
  }
  assertLessOrEqual(client.session.positionSamples, 31 * 86_400 * 8000);
  const gaps = client.events().filter((event) => event.type === "gap");
  assertLessOrEqual(gaps.length, 31);
  client.receiveOne("disconnect");
  const absurd = open();
  absurd.send("discarded", { start: "PT0S", discarded: "PT99999999999S" });
  assertEquals(absurd.session.positionSamples, 0);
  assertRefused(absurd);
});

// --- Section 8: pauses -------------------------------------------------------------------------

Deno.test("session: pause is answered by paused, resume by resumed", () => {
  const client = open();
  client.session.pause(0);
  assertEquals(client.receiveOne("pause").parameters, {});
  assertEquals(client.session.paused, { byServer: true, byClient: false });
  client.send("paused");
  assertEquals(client.session.paused, { byServer: true, byClient: false });
  client.session.resume(0);
  assertEquals(client.receiveOne("resume").parameters, {});
  client.send("resumed", { start: "PT0S", discarded: "PT1S" });
  assertEquals(client.session.paused, { byServer: false, byClient: false });
});

Deno.test("session: an unprompted paused and resumed is the client's own pause", () => {
  const client = open();
  client.send("paused");
  assertEquals(client.session.paused, { byServer: false, byClient: true });
  client.send("resumed", { start: "PT0S", discarded: "PT1S" });
  assertEquals(client.session.paused, { byServer: false, byClient: false });
  assertEquals(client.receive(), []);
});

Deno.test("session: a resume answered by paused leaves the client's pause", () => {
  const client = open();
  client.session.pause(0);
  client.send("paused");
  client.send("paused");
  assertEquals(client.session.paused, { byServer: true, byClient: true });
  client.session.resume(0);
  client.receive();
  client.send("paused");
  assertEquals(client.session.paused, { byServer: false, byClient: true });
  client.send("resumed", { start: "PT0S", discarded: "PT1S" });
  assertEquals(client.session.paused, { byServer: false, byClient: false });
  assertEquals(client.audio(1600), 8000);
});

Deno.test("session: a client's pause that ended during ours is known when resumed comes", () => {
  const client = open();
  client.send("paused");
  client.session.pause(0);
  client.receive();
  client.send("paused");
  assertEquals(client.session.paused, { byServer: true, byClient: true });
  // Here the client ends its own pause, which it does not tell.
  client.session.resume(0);
  client.receive();
  client.send("resumed", { start: "PT0S", discarded: "PT1S" });
  assertEquals(client.session.paused, { byServer: false, byClient: false });
});

Deno.test("session: repeated requests are questions, sent each time", () => {
  const client = open();
  client.session.resume(0);
  client.receiveOne("resume");
  client.send("resumed", { start: "PT0S", discarded: "PT0S" });
  assertEquals(client.session.paused, { byServer: false, byClient: false });
  assertEquals(client.audio(1600), 0);
  client.session.pause(0);
  client.session.pause(0);
  assertEquals(client.receiveTypes(), ["pause", "pause"]);
  client.send("paused");
  client.send("paused");
  assertEquals(client.session.paused, { byServer: true, byClient: false });
  client.session.resume(0);
  client.session.resume(0);
  assertEquals(client.receiveTypes(), ["resume", "resume"]);
  client.send("resumed", { start: "PT0.1S", discarded: "PT1S" });
  client.send("resumed", { start: "PT1.1S", discarded: "PT0S" });
  assertEquals(client.session.paused, { byServer: false, byClient: false });
  assertEquals(client.audio(1600), 8800);
});

Deno.test("session: events are allowed while paused", () => {
  const client = open();
  client.session.pause(0);
  client.send("paused");
  client.session.sendEvent([note(1)], 0);
  assertEquals(client.receiveTypes(), ["pause", "event"]);
});

Deno.test("session: a short pause of the client's that crosses ours is not taken for its answer", () => {
  const client = open();
  client.session.pause(0);
  client.receive();
  client.send("paused");
  client.send("resumed", { start: "PT0S", discarded: "PT0S" });
  assertEquals(client.audio(1600), 0);
  client.send("paused");
  assertEquals(client.session.paused, { byServer: true, byClient: false });
  assertEquals(client.eventTypes().includes("violation"), false);
  client.send("paused");
  assertEquals(client.session.paused, { byServer: true, byClient: true });
});

Deno.test("session: a short pause of the client's that crosses two questions is over", () => {
  const client = open();
  client.session.pause(0);
  client.session.pause(0);
  client.receive();
  client.send("paused");
  client.send("resumed", { start: "PT0S", discarded: "PT0S" });
  client.send("paused");
  client.send("paused");
  assertEquals(client.session.paused, { byServer: true, byClient: false });
});

/** The client of section 8, as small as it can be. */
class ModelClient {
  readonly wire: WireClient;
  /** The server's requests that have not arrived yet. */
  readonly toClient: string[] = [];
  /** What the server does not know yet. */
  readonly toServer: string[] = [];
  byServer = false;
  byClient = false;
  /** Ended its own pause without a message: the server can't know. */
  endedSilently = false;

  constructor(startPaused: boolean) {
    this.wire = open({ media: offer(EXTERNAL), startPaused }, { media: [EXTERNAL] });
    if (startPaused) {
      this.byServer = true;
      this.toServer.push("paused");
    }
  }

  #tell(): void {
    if (this.byServer || this.byClient) {
      this.toServer.push("paused");
    } else {
      this.toServer.push("resumed", "audio");
      this.endedSilently = false;
    }
  }

  /** Does one step; tells whether there was something to do. */
  step(action: string): boolean {
    switch (action) {
      case "server pauses":
        this.wire.session.pause(0);
        return this.#collect();
      case "server resumes":
        this.wire.session.resume(0);
        return this.#collect();
      case "client pauses":
        if (this.byClient) return false;
        this.byClient = true;
        this.endedSilently = false;
        this.toServer.push("paused");
        return true;
      case "client resumes":
        if (!this.byClient) return false;
        this.byClient = false;
        if (this.byServer) this.endedSilently = true;
        else this.#tell();
        return true;
      case "client receives": {
        const request = this.toClient.shift();
        if (request === undefined) return false;
        this.byServer = request === "pause";
        this.#tell();
        return true;
      }
      case "server receives": {
        const message = this.toServer.shift();
        if (message === undefined) return false;
        if (message === "audio") {
          assert(this.wire.audio(1) >= 0, "audio of a client that is not paused was refused");
        } else if (message === "paused") this.wire.send("paused");
        else this.wire.send("resumed", { start: "PT0S", discarded: "PT0S" });
        return true;
      }
      default:
        throw new Error(action);
    }
  }

  #collect(): boolean {
    for (const frame of this.wire.receive()) {
      assert(isMessage(frame));
      this.toClient.push(frame.type);
    }
    return true;
  }

  /** Delivers everything, and compares what the server knows with what is. */
  settle(): void {
    while (this.step("client receives") || this.step("server receives"));
    const { session } = this.wire;
    assertEquals(
      session.takeEvents().filter((event) => event.type === "violation"),
      [],
    );
    assertEquals(session.paused.byServer, this.byServer, "the server's pause");
    if (!this.endedSilently) {
      assertEquals(session.paused.byClient, this.byClient, "the client's pause");
    }
    const flowing = !this.byServer && !this.byClient;
    assertEquals(this.wire.audio(1) >= 0, flowing, "audio flows when neither pause holds");
  }
}

const PAUSE_ACTIONS = [
  "server pauses",
  "server resumes",
  "client pauses",
  "client resumes",
  "client receives",
  "server receives",
];

function runPauses(actions: readonly string[], startPaused: boolean): boolean {
  const model = new ModelClient(startPaused);
  for (const action of actions) {
    if (!model.step(action)) return false;
  }
  try {
    model.settle();
  } catch (error) {
    assertInstanceOf(error, Error);
    throw new Error(
      `${startPaused ? "started paused; " : ""}${actions.join("; ")}: ${error.message}`,
    );
  }
  return true;
}

Deno.test("session: both pauses are known in all crossings of up to 6 steps", () => {
  for (const startPaused of [false, true]) {
    let paths: string[][] = [[]];
    for (let depth = 1; depth <= 6; depth++) {
      paths = paths.flatMap((path) =>
        PAUSE_ACTIONS.map((action) => [...path, action]).filter((longer) =>
          runPauses(longer, startPaused)
        )
      );
    }
    assert(paths.length > 1000);
  }
});

// --- Section 10: update ------------------------------------------------------------------------

Deno.test("session: update is reported, and answered by updated", () => {
  const client = open();
  client.send("update", { language: "es-419" });
  assertEquals(client.events(), [{ type: "update", language: "es-419" }]);
  assertEquals(client.receive(), []);
  client.session.updated(0);
  const updated = client.receiveOne("updated");
  assertEquals([updated.parameters, updated.clientseq] as unknown, [{}, 2] as unknown);
});

Deno.test("session: updated without an update can't be sent, nor twice for one", () => {
  const client = open();
  assertThrows(() => client.session.updated(0), LocalProtocolError);
  client.send("update", { language: "es" });
  client.session.updated(0);
  assertThrows(() => client.session.updated(0), LocalProtocolError);
  assertEquals(client.receiveTypes(), ["updated"]);
});

Deno.test("session: an update may be answered by pause or by disconnect", () => {
  const client = open();
  client.send("update", { language: "tlh" });
  client.session.pause(0);
  client.send("paused");
  client.send("update", { language: "en" });
  client.session.disconnect("completed", "Language not supported", undefined, 0);
  assertEquals(client.receiveTypes(), ["pause", "disconnect"]);
});

// --- Section 11: ping --------------------------------------------------------------------------

Deno.test("session: ping is answered by pong at once, with the number of the ping", () => {
  const client = open();
  for (let turn = 0; turn < 5; turn++) {
    client.send("ping", turn === 0 ? {} : { rtt: "PT0.02S" });
    const pong = client.receiveOne("pong");
    assertEquals([pong.clientseq, pong.seq] as unknown, [client.seq, turn + 2] as unknown);
  }
});

Deno.test("session: of several messages that arrive together each ping gets its own number", () => {
  const client = open();
  client.send("ping");
  client.send("ping");
  client.send("paused");
  client.send("ping");
  client.send("resumed", { start: "PT0S", discarded: "PT0S" });
  const pongs = client.receive().map((frame) => isMessage(frame) ? frame.clientseq : -1);
  assertEquals(pongs, [2, 3, 5]);
});

Deno.test("session: pong is at once also while events wait for their turn", () => {
  const client = open({}, {}, { textRate: { perSecond: 1, burst: 1 } });
  for (let n = 0; n < 50; n++) client.session.sendEvent([note(n)], 0);
  client.receive();
  for (let turn = 0; turn < 30; turn++) {
    client.send("ping");
    const frames = client.receive();
    const pong = frames.at(0);
    assert(pong !== undefined && isMessage(pong) && frames.length === 1);
    assertEquals(pong.type, "pong");
    assertEquals(pong.clientseq, client.seq);
  }
});

// --- Section 12: events ------------------------------------------------------------------------

/** All entities in frames. */
function entitiesOf(frames: readonly unknown[]): unknown[] {
  return (frames as WireMessage[]).flatMap((frame) =>
    frame.type === "event" ? frame.parameters.entities as unknown[] : []
  );
}

Deno.test("session: an event is sent as it is, with all its entities", () => {
  const client = open();
  const entities = [transcriptEntity("hello"), { type: "mood", data: { any: [1, null] } }];
  client.session.sendEvent(entities.map(entity), 0);
  assertEquals(client.receiveOne("event").parameters, { entities });
});

Deno.test("session: an event without entities, or with an invalid one, is not sent", () => {
  const client = open();
  const invalid = transcriptEntity("x");
  (invalid.data as JsonObject).channelId = 7;
  assertThrows(() => client.session.sendEvent([], 0), LocalProtocolError);
  assertThrows(
    () => client.session.sendEvent([note(1), entity(invalid)], 0),
    LocalProtocolError,
  );
  assertThrows(
    () => client.session.sendEvent([{ type: "big", data: "x".repeat(64_000) }], 0),
    LocalProtocolError,
  );
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  assertThrows(
    () => client.session.sendEvent([{ type: "cyclic", data: cyclic }], 0),
    LocalProtocolError,
  );
  assertEquals(client.receive(), []);
  client.advanceTo(10_000);
  assertEquals(client.receive(), []);
  client.session.sendEvent([note(2)], 10_000);
  assertEquals(entitiesOf(client.receive()), [note(2)]);
});

Deno.test("session: more entities than fit into 64,000 bytes go into several events", () => {
  const client = open();
  const entities = Array.from({ length: 40 }, (_, n) => ({
    type: "note",
    data: { n, text: "é".repeat(2000) },
  }));
  client.session.sendEvent(entities, 0);
  const frames = [...client.receive()];
  client.advanceTo(60_000);
  frames.push(...client.receive());
  assertEquals(entitiesOf(frames), entities);
});

Deno.test("session: a sent event keeps what it said when the application changes it later", () => {
  const client = open({}, {}, { textRate: { perSecond: 1, burst: 1 } });
  const data = { n: 0 };
  for (let n = 0; n < 10; n++) {
    data.n = n;
    client.session.sendEvent([{ type: "note", data }], 0);
  }
  client.advanceTo(60_000);
  assertEquals(entitiesOf(client.receive()), Array.from({ length: 10 }, (_, n) => note(n)));
});

Deno.test("session: events are paced, none lost, none reordered, numbers without a gap", () => {
  const textRate = { perSecond: 5, burst: 20 };
  const client = open({}, {}, { textRate, silenceTimeoutMs: 1e9 });
  const received: unknown[] = [];
  const times: number[] = [];
  let n = 0;
  for (let nowMs = 0; nowMs <= 60_000; nowMs += 50) {
    client.advanceTo(nowMs);
    if (nowMs < 30_000) {
      for (let i = 0; i < 5; i++) client.session.sendEvent([note(n++)], nowMs);
    }
    const frames = client.receive();
    received.push(...entitiesOf(frames));
    times.push(...frames.map(() => nowMs));
  }
  assertEquals(received, Array.from({ length: n }, (_, i) => note(i)));
  // No more than the burst and the rate, in any interval.
  times.forEach((from, first) => {
    for (let last = first; last < times.length; last++) {
      const seconds = ((times[last] ?? 0) - from) / 1000;
      assertLessOrEqual(last - first + 1, textRate.burst + textRate.perSecond * seconds + 1);
    }
  });
});

Deno.test("session: a long silence does not allow a larger burst of events", () => {
  const client = open({}, {}, { silenceTimeoutMs: 1e9 });
  client.advanceTo(3_600_000);
  for (let n = 0; n < 200; n++) client.session.sendEvent([note(n)], client.nowMs);
  assertLessOrEqual(client.receive().length, 30);
});

Deno.test("session: an event is sent at once when the client takes it", () => {
  const client = open();
  client.session.sendEvent([note(1)], 0);
  assertEquals(client.receiveTypes(), ["event"]);
  client.advanceTo(30_000);
  client.send("ping");
  client.session.sendEvent([note(2)], 30_000);
  assertEquals(client.receiveTypes(), ["pong", "event"]);
});

Deno.test("session: barge_in is immediate, in order, and drops what waits to be played", () => {
  const client = openBot({ textRate: { perSecond: 1, burst: 1 } });
  for (let i = 0; i < 10; i++) client.session.play(new Uint8Array(8000), 0);
  for (let n = 0; n < 5; n++) client.session.sendEvent([note(n)], 0);
  const before = client.receive();
  const played = before.filter((frame) => !isMessage(frame)).length;
  assertLess(played, 10);
  client.session.sendEvent([BARGE_IN], 0);
  const after = client.receive();
  assertEquals(
    [...entitiesOf(before), ...entitiesOf(after)],
    [0, 1, 2, 3, 4].map(note).concat(BARGE_IN),
  );
  client.advanceTo(30_000);
  assertEquals(client.receive(), []);
  client.session.play(new Uint8Array(80), 30_000);
  assertEquals(client.receiveTypes(), ["audio"]);
});

Deno.test("session: what is played after barge_in does not wait for what was dropped", () => {
  const client = openBot();
  for (let i = 0; i < 10; i++) client.session.play(new Uint8Array(8000), 0);
  client.session.sendEvent([BARGE_IN], 0);
  client.receive();
  client.session.play(new Uint8Array(800).fill(7), 0);
  client.advanceTo(100);
  assertEquals(client.receive() as unknown, [new Uint8Array(800).fill(7)] as unknown);
});

Deno.test("session: 429 with retryAfter holds back events and audio, and nothing else", () => {
  const client = openBot();
  client.send("error", { code: 429, message: "Too many", retryAfter: "PT2.5S" });
  assertEquals(client.events(), [{ type: "error", code: 429, retryAfterMs: 2500 }]);
  client.session.sendEvent([note(1)], 0);
  client.session.play(new Uint8Array(160), 0);
  client.advanceTo(2400);
  assertEquals(client.receive(), []);
  client.send("ping");
  client.receiveOne("pong");
  client.send("update", { language: "es" });
  client.session.updated(client.nowMs);
  client.session.pause(client.nowMs);
  assertEquals(client.receiveTypes(), ["updated", "pause"]);
  client.advanceTo(10_000);
  assertEquals(client.receiveTypes().toSorted(), ["audio", "event"]);
});

Deno.test("session: 429 does not hold back the end of the session", () => {
  const client = open();
  client.send("error", { code: 429, message: "Too many", retryAfter: "PT30S" });
  client.session.sendEvent([note(1)], 0);
  client.events();
  client.send("close", { reason: "end" });
  client.session.closed(undefined, 0);
  assertEquals(client.receiveTypes(), ["event", "closed"]);
});

Deno.test("session: an error of the client is reported, and ends nothing", () => {
  const client = open();
  client.send("error", { code: 500, message: "Something" });
  const [event] = client.events();
  assert(event?.type === "error");
  assertEquals(event.code, 500);
  assertEquals(client.session.state, "open");
  client.send("ping");
  client.receiveOne("pong");
});

// --- Section 13: close -------------------------------------------------------------------------

Deno.test("session: the last events go out before closed", () => {
  const client = open({}, {}, { textRate: { perSecond: 1, burst: 1 } });
  for (let n = 0; n < 5; n++) client.session.sendEvent([note(n)], 0);
  client.send("close", { reason: "end" });
  assertEquals(client.events(), [{ type: "close", reason: "end" }]);
  client.session.sendEvent([note(5)], 0);
  client.session.closed(undefined, 0);
  const frames = client.receive();
  assertEquals(entitiesOf(frames), [0, 1, 2, 3, 4, 5].map(note));
  const last = frames.at(-1);
  assert(last !== undefined && isMessage(last));
  assertEquals([last.type, last.clientseq] as unknown, ["closed", 2] as unknown);
});

Deno.test("session: closed carries the output variables that are given", () => {
  const client = openBot();
  client.send("close", { reason: "end" });
  client.session.closed({ answer: "42" }, 0);
  assertEquals(client.receiveOne("closed").parameters, { outputVariables: { answer: "42" } });
});

Deno.test("session: input after closed is ignored", () => {
  const client = open();
  client.send("close", { reason: "end" });
  client.session.closed(undefined, 0);
  client.receive();
  client.events();
  client.send("ping");
  client.send("open", openParameters());
  client.send("close", { reason: "end" });
  client.send("hello");
  client.session.receiveText("{", 0);
  assertEquals(client.audio(1600), -1);
  assertEquals(client.receive(), []);
  assertEquals(client.session.state, "closed");
  const told = client.events().filter(({ type }) => type !== "violation" && type !== "unknown");
  assertEquals(told, []);
});

Deno.test("session: input after close changes nothing, and closed can still be sent", () => {
  const client = open();
  client.send("close", { reason: "end" });
  client.events();
  client.send("ping");
  client.send("close", { reason: "end" });
  client.send("paused");
  client.session.receiveText("{", 0);
  assertEquals(client.receive(), []);
  const told = client.events().filter(({ type }) => type !== "violation");
  assertEquals(told, []);
  client.session.closed(undefined, 0);
  client.receiveOne("closed");
});

// --- Section 14: disconnect --------------------------------------------------------------------

Deno.test("session: disconnect completed ends by close and closed", () => {
  const client = open();
  client.session.disconnect("completed", undefined, undefined, 0);
  assertEquals(client.receiveOne("disconnect").parameters, { reason: "completed" });
  assertEquals(client.session.state, "disconnecting");
  assertCloses(client);
});

Deno.test("session: disconnect hands output variables to the flow", () => {
  const client = openBot();
  client.session.disconnect("completed", "Done", { answer: "42" }, 0);
  assertEquals(client.receiveOne("disconnect").parameters, {
    reason: "completed",
    info: "Done",
    outputVariables: { answer: "42" },
  });
});

Deno.test("session: disconnect is sent once, also when the client breaks the protocol then", () => {
  const client = open();
  client.session.disconnect("completed", undefined, undefined, 0);
  client.receiveOne("disconnect");
  assertThrows(
    () => client.session.disconnect("error", undefined, undefined, 0),
    LocalProtocolError,
  );
  client.send("ping", {}, { seq: 77 });
  client.send("open", openParameters());
  assertEquals(client.receive(), []);
});

Deno.test("session: after disconnect events and pongs follow, but no audio", () => {
  const client = openBot();
  for (let i = 0; i < 10; i++) client.session.play(new Uint8Array(8000), 0);
  client.session.disconnect("completed", undefined, undefined, 0);
  client.receive();
  client.session.sendEvent([note(1)], 0);
  client.send("ping");
  client.advanceTo(4000);
  assertEquals(client.receiveTypes(), ["event", "pong"]);
});

Deno.test("session: what was in flight at our disconnect is no fault", () => {
  const client = openBot();
  client.session.disconnect("completed", undefined, undefined, 0);
  client.receive();
  client.audio(160);
  client.send("ping");
  client.send("discarded", { start: "PT0.02S", discarded: "PT1S" });
  client.send("update", { language: "es" });
  client.send("paused");
  client.send("resumed", { start: "PT1.02S", discarded: "PT1S" });
  client.send("dtmf", { digit: "1" });
  client.send("playback_started");
  client.send("playback_completed");
  client.send("error", { code: 400, message: "x" });
  assertEquals(client.events().filter(({ type }) => type === "violation"), []);
  assertEquals(client.receiveTypes(), ["pong"]);
  assertCloses(client);
});

Deno.test("session: a close that crosses our disconnect is answered by closed", () => {
  const client = open();
  client.session.disconnect("completed", undefined, undefined, 0);
  client.send("close", { reason: "end" }, { serverseq: 1 });
  client.session.closed(undefined, 0);
  assertEquals(client.receiveTypes(), ["disconnect", "closed"]);
});

// --- Section 15: audio connector ---------------------------------------------------------------

Deno.test("session: dtmf and playback are reported", () => {
  const client = openBot();
  client.send("dtmf", { digit: "5" });
  client.send("dtmf", { digit: "#" });
  client.send("playback_started");
  client.send("playback_completed");
  assertEquals(client.events(), [
    { type: "dtmf", digit: "5" },
    { type: "dtmf", digit: "#" },
    { type: "playback", state: "started" },
    { type: "playback", state: "completed" },
  ]);
});

Deno.test("session: only a session with just the external channel plays audio", () => {
  for (const media of [STEREO, INTERNAL, undefined]) {
    const client = open(media === undefined ? {} : { media: offer(media) });
    assertThrows(() => client.session.play(new Uint8Array(160), 0), LocalProtocolError);
    assertEquals(client.receive(), []);
  }
});

Deno.test("session: played audio is sent in order, whole, and in frames of 64,000 at most", () => {
  const client = openBot({ silenceTimeoutMs: 1e9 });
  const sent: number[] = [];
  let value = 0;
  for (const length of [64_000, 1, 159, 8000, 0, 32, 32, 32, 24_000]) {
    const frame = new Uint8Array(length).map(() => value++ % 251);
    sent.push(...frame);
    client.session.play(frame, 0);
  }
  client.advanceTo(60_000);
  const received = client.receive().flatMap((frame) => isMessage(frame) ? [] : [...frame]);
  assertEquals(received.length, sent.length);
  assert(received.every((byte, index) => byte === sent[index]));
});

Deno.test("session: a frame that is too large, or has part of a sample, is not played", () => {
  const client = openBot();
  assertThrows(() => client.session.play(new Uint8Array(64_001), 0), LocalProtocolError);
  assertEquals(client.receive(), []);
  client.session.play(new Uint8Array(64_000), 0);
  assertEquals(client.receiveTypes(), ["audio"]);
  const linear = open({ media: offer(L16) }, { media: [L16] });
  assertThrows(() => linear.session.play(new Uint8Array(161), 0), LocalProtocolError);
  assertEquals(linear.receive(), []);
});

for (const [media, bytesPerMs] of [[EXTERNAL, 8], [L16, 16]] as const) {
  Deno.test(`session: ${media.format} is played near real time, without gaps or bursts`, () => {
    const limits = { silenceTimeoutMs: 1e9 };
    const client = open({ media: offer(media) }, { media: [media] }, limits);
    const totalMs = 20_000;
    for (let ms = 0; ms < totalMs; ms += 20) {
      client.session.play(new Uint8Array(20 * bytesPerMs).fill(ms / 20), 0);
    }
    let sentMs = 0;
    const times: number[] = [];
    for (let nowMs = 0; nowMs < totalMs + 2000; nowMs += 10) {
      client.advanceTo(nowMs);
      for (const frame of client.receive()) {
        assert(!isMessage(frame));
        assertEquals(frame.length % (bytesPerMs / 8), 0);
        sentMs += frame.length / bytesPerMs;
        times.push(nowMs);
      }
      assertLessOrEqual(sentMs, nowMs + 2000, "too far ahead");
      assertGreaterOrEqual(sentMs, Math.min(nowMs, totalMs), "the caller hears a gap");
    }
    assertEquals(sentMs, totalMs);
    for (const [index, from] of times.entries()) {
      const inOneSecond = times.slice(index).filter((at) => at < from + 1000).length;
      assertLessOrEqual(inOneSecond, 30);
    }
  });
}

Deno.test("session: after close nothing is played any more", () => {
  const client = openBot();
  for (let i = 0; i < 10; i++) client.session.play(new Uint8Array(8000), 0);
  client.receive();
  client.send("close", { reason: "end" });
  client.advanceTo(5000);
  assertEquals(client.receive(), []);
  assertThrows(() => client.session.play(new Uint8Array(80), 5000), LocalProtocolError);
});

// --- Section 16: reconnect ---------------------------------------------------------------------

Deno.test("session: reconnect is sent, and the session goes on", () => {
  const client = open();
  client.session.reconnect(undefined, 0);
  assertEquals(client.receiveOne("reconnect").parameters, {});
  client.session.reconnect("Maintenance", 0);
  assertEquals(client.receiveOne("reconnect").parameters, { info: "Maintenance" });
  assertEquals(client.audio(1600), 0);
  client.send("close", { reason: "reconnect" });
  assertEquals(client.events(), [{ type: "close", reason: "reconnect" }]);
});

// --- Deadlines ---------------------------------------------------------------------------------

const TIMES = {
  openTimeoutMs: 1000,
  openedTimeoutMs: 2000,
  silenceTimeoutMs: 3000,
  closeTimeoutMs: 4000,
  closedTimeoutMs: 5000,
  hangupTimeoutMs: 6000,
} as const;

function assertNothingBefore(client: WireClient, nowMs: number): void {
  assertEquals(client.session.deadlineMs, nowMs);
  client.nowMs = nowMs - 1;
  client.session.tick(nowMs - 1);
  assertEquals(client.receive(), []);
  assertEquals(client.events(), []);
  assertEquals(client.session.deadlineMs, nowMs);
  client.nowMs = nowMs;
  client.session.tick(nowMs);
}

/** The connection is given up, once. */
function assertHangup(client: WireClient): void {
  const events: readonly ServerSessionEvent[] = client.events();
  assertEquals(events.map(({ type }) => type), ["hangup"]);
  assertEquals(client.receive(), []);
  client.session.tick(client.nowMs);
  client.session.tick(client.nowMs + 1e6);
  assertEquals(client.events(), []);
  assertEquals(client.session.deadlineMs, Infinity);
}

Deno.test("session: defaults stay within the client's own limits (section 17)", () => {
  const opening = connect();
  opening.nowMs = 100;
  opening.send("open", openParameters());
  assertLess(opening.session.deadlineMs, 100 + 5000);
  const closing = open();
  closing.nowMs = 100;
  closing.send("close", { reason: "end" });
  assertLess(closing.session.deadlineMs, 100 + 10_000);
  const silent = open();
  assertGreaterOrEqual(silent.session.deadlineMs, 3 * 5000, "several intervals of pings");
});

Deno.test("session: without open it disconnects, and then hangs up", () => {
  const client = connect(TIMES);
  assertNothingBefore(client, 1000);
  assertRefused(client);
  assertNothingBefore(client, 5000);
  assertHangup(client);
});

Deno.test("session: an open that the application does not answer is refused in time", () => {
  const client = connect(TIMES);
  client.nowMs = 500;
  client.send("open", openParameters());
  client.events();
  assertNothingBefore(client, 2500);
  const disconnect = client.receiveOne("disconnect");
  assertEquals(disconnect.parameters.reason, "error");
  assertThrows(() => client.session.opened({}, 2500), LocalProtocolError);
  client.events();
  assertNothingBefore(client, 6500);
  assertHangup(client);
});

Deno.test("session: when nothing is received it disconnects; any frame counts", () => {
  const client = open({ media: offer(STEREO) }, {}, TIMES);
  client.nowMs = 1000;
  client.audio(1600);
  assertEquals(client.session.deadlineMs, 4000);
  client.nowMs = 2000;
  client.send("ping");
  client.receive();
  assertEquals(client.session.deadlineMs, 5000);
  assertNothingBefore(client, 5000);
  assertRefused(client);
  assertNothingBefore(client, 9000);
  assertHangup(client);
});

Deno.test("session: disconnect without close ends in a hangup", () => {
  const client = open({}, {}, TIMES);
  client.nowMs = 100;
  client.session.disconnect("completed", undefined, undefined, 100);
  client.receive();
  assertNothingBefore(client, 4100);
  assertHangup(client);
});

Deno.test("session: a refused open without close ends in a hangup", () => {
  const client = connect(TIMES);
  client.send("open", openParameters());
  client.events();
  client.session.disconnect("unauthorized", undefined, undefined, 0);
  client.receive();
  assertNothingBefore(client, 4000);
  assertHangup(client);
});

Deno.test("session: closed is sent in time even if the application does not", () => {
  const client = open({}, {}, { ...TIMES, textRate: { perSecond: 1, burst: 1 } });
  client.nowMs = 100;
  client.send("close", { reason: "end" });
  client.events();
  assertNothingBefore(client, 5100);
  assertEquals(client.receiveOne("closed").clientseq, 2);
  assertThrows(() => client.session.closed(undefined, 5100), LocalProtocolError);
  client.events();
  assertNothingBefore(client, 11_100);
  assertHangup(client);
});

Deno.test("session: closed by the deadline takes the waiting events along", () => {
  const client = open({}, {}, { ...TIMES, textRate: { perSecond: 0.1, burst: 1 } });
  for (let n = 0; n < 3; n++) client.session.sendEvent([note(n)], 0);
  client.send("close", { reason: "end" });
  client.advanceTo(5000);
  const frames = client.receive();
  assertEquals(entitiesOf(frames), [0, 1, 2].map(note));
  const last = frames.at(-1);
  assert(last !== undefined && isMessage(last));
  assertEquals(last.type, "closed");
});

Deno.test("session: a withdrawn session is closed in time too", () => {
  const client = connect(TIMES);
  client.send("open", openParameters());
  client.send("close", { reason: "end" });
  client.events();
  assertNothingBefore(client, 5000);
  client.receiveOne("closed");
  client.events();
  assertNothingBefore(client, 11_000);
  assertHangup(client);
});

Deno.test("session: a client that does not end the connection after closed is hung up on", () => {
  const client = open({}, {}, TIMES);
  client.send("close", { reason: "end" });
  client.events();
  client.session.closed(undefined, 100);
  client.receive();
  assertNothingBefore(client, 6100);
  assertHangup(client);
});

Deno.test("session: close after our disconnect starts the time for closed anew", () => {
  const client = open({}, {}, TIMES);
  client.session.disconnect("completed", undefined, undefined, 0);
  client.nowMs = 3999;
  client.send("close", { reason: "disconnect" }, { serverseq: 2 });
  client.receive();
  client.events();
  assertNothingBefore(client, 8999);
  client.receiveOne("closed");
});

Deno.test("session: a tick at any other time is harmless", () => {
  const client = open({}, {}, TIMES);
  for (let nowMs = 0; nowMs < 3000; nowMs += 7) client.session.tick(nowMs);
  assertEquals(client.receive(), []);
  assertEquals(client.events(), []);
});

// --- Our own faults ----------------------------------------------------------------------------

const REACH: Readonly<Record<SessionState, () => WireClient>> = {
  idle: () => connect(),
  opening: () => {
    const client = connect();
    client.send("open", openParameters({ media: [EXTERNAL] }));
    return client;
  },
  open: () => openBot(),
  refusing: () => {
    const client = REACH.opening();
    client.session.disconnect("error", undefined, undefined, 0);
    return client;
  },
  disconnecting: () => {
    const client = openBot();
    client.send("update", { language: "es" });
    client.session.disconnect("completed", undefined, undefined, 0);
    return client;
  },
  withdrawing: () => {
    const client = REACH.opening();
    client.send("close", { reason: "end" });
    return client;
  },
  closing: () => {
    const client = openBot();
    client.send("update", { language: "es" });
    client.send("close", { reason: "end" });
    return client;
  },
  closed: () => {
    const client = REACH.closing();
    client.session.closed(undefined, 0);
    return client;
  },
};

interface Action {
  readonly act: (session: ServerSession) => void;
  readonly allowed: readonly SessionState[];
}

const ACTIONS: Readonly<Record<string, Action>> = {
  opened: { act: (session) => session.opened({ media: offer(EXTERNAL) }, 0), allowed: ["opening"] },
  "opened without media": { act: (session) => session.opened({}, 0), allowed: ["opening"] },
  sendEvent: {
    act: (session) => session.sendEvent([note(1)], 0),
    allowed: ["open", "disconnecting", "closing"],
  },
  "sendEvent of barge_in": {
    act: (session) => session.sendEvent([BARGE_IN], 0),
    allowed: ["open", "disconnecting", "closing"],
  },
  pause: { act: (session) => session.pause(0), allowed: ["open"] },
  resume: { act: (session) => session.resume(0), allowed: ["open"] },
  updated: { act: (session) => session.updated(0), allowed: [] },
  play: { act: (session) => session.play(new Uint8Array(160), 0), allowed: ["open"] },
  disconnect: {
    act: (session) => session.disconnect("error", undefined, undefined, 0),
    allowed: ["idle", "opening", "open"],
  },
  reconnect: { act: (session) => session.reconnect(undefined, 0), allowed: ["open"] },
  closed: { act: (session) => session.closed(undefined, 0), allowed: ["withdrawing", "closing"] },
};

for (const state of Object.keys(REACH) as SessionState[]) {
  Deno.test(`session: what the application may do while ${state}, and nothing else`, () => {
    for (const [name, { act, allowed }] of Object.entries(ACTIONS)) {
      const client = REACH[state]();
      assertEquals(client.session.state, state);
      client.receive();
      client.events();
      const before = { paused: client.session.paused, deadline: client.session.deadlineMs };
      if (allowed.includes(state)) {
        act(client.session);
        assertEquals(client.receive().length, 1, name);
        continue;
      }
      assertThrows(() => act(client.session), LocalProtocolError, undefined, name);
      assertEquals(client.receive(), [], name);
      assertEquals(client.events(), [], name);
      assertEquals(client.session.state, state, name);
      assertEquals(client.session.paused, before.paused, name);
      assertEquals(client.session.deadlineMs, before.deadline, name);
      // Whatever is sent next has the next number: WireClient checks it.
      if (state === "idle" || state === "opening" || state === "open") {
        client.session.disconnect("error", undefined, undefined, 0);
        client.receiveOne("disconnect");
      }
      if (client.session.state !== "closed") {
        if (client.session.state === "refusing" || client.session.state === "disconnecting") {
          client.send("close", { reason: "disconnect" });
        }
        client.session.closed(undefined, 0);
        client.receiveOne("closed");
      }
    }
  });
}

Deno.test("session: a message that is too large is not sent, and changes nothing", () => {
  const huge = "x".repeat(64_000);
  const client = open();
  assertThrows(
    () => client.session.disconnect("error", huge, undefined, 0),
    LocalProtocolError,
  );
  assertThrows(() => client.session.reconnect(huge, 0), LocalProtocolError);
  assertEquals(client.session.state, "open");
  assertEquals(client.receive(), []);
  client.session.disconnect("error", "small", undefined, 0);
  client.receiveOne("disconnect");
  client.send("close", { reason: "disconnect" });
  assertThrows(() => client.session.closed({ huge }, 0), LocalProtocolError);
  assertEquals(client.session.state, "closing");
  client.session.closed({}, 0);
  client.receiveOne("closed");
});

// --- What is at fault, floods, and the end of the connection ------------------------------------

for (
  const [what, send] of [
    ["without a reason", (client: WireClient) => client.send("close")],
    ["with a seq that is too high", (client: WireClient) => {
      client.send("close", { reason: "end" }, { seq: client.seq + 5 });
    }],
    ["with a serverseq that is too high", (client: WireClient) => {
      client.send("close", { reason: "end" }, { serverseq: 99 });
    }],
  ] as const
) {
  Deno.test(`session: a close ${what} gets disconnect, and closes all the same`, () => {
    const client = open();
    send(client);
    assertEquals(client.receiveTypes(), ["disconnect"]);
    assertEquals(client.events().filter(({ type }) => type === "close"), [
      { type: "close", reason: "error" },
    ]);
    client.session.closed(undefined, client.nowMs);
    assertEquals(client.receiveOne("closed").clientseq, client.seq);
  });
}

Deno.test("session: a faulty close after close or closed is ignored", () => {
  const client = open();
  assertCloses(client);
  client.send("close");
  assertEquals(client.receive(), []);
  assertEquals(client.eventTypes(), ["violation"]);
});

Deno.test("session: when the connection has ended, nothing can be asked, and nothing is due", () => {
  const client = openBot();
  for (let i = 0; i < 100; i++) {
    client.session.sendEvent([{ type: "x", data: i }], client.nowMs);
    client.session.play(new Uint8Array(1600), client.nowMs);
  }
  client.receive();
  client.session.connectionEnded();
  assertEquals(client.session.state, "closed");
  assertEquals(client.session.deadlineMs, Infinity);
  const { session, nowMs } = client;
  for (
    const ask of [
      () => session.sendEvent([{ type: "x", data: 0 }], nowMs),
      () => session.pause(nowMs),
      () => session.resume(nowMs),
      () => session.play(new Uint8Array(1600), nowMs),
      () => session.disconnect("completed", undefined, undefined, nowMs),
      () => session.closed(undefined, nowMs),
    ]
  ) assertThrows(ask, LocalProtocolError);
  session.tick(1e9);
  assertEquals(client.receive(), []);
});

Deno.test("session: unknown messages and errors without number are reported ten times each", () => {
  const client = open();
  for (let i = 0; i < 1000; i++) {
    client.send("of_tomorrow");
    client.send("error", { code: 500, message: "x" });
  }
  const types = client.eventTypes();
  assertEquals(types.filter((type) => type === "unknown").length, 10);
  assertEquals(types.filter((type) => type === "error").length, 10);
  assertEquals(client.session.state, "open");
});

Deno.test("session: a flood of pings delays events by seconds, not by minutes", () => {
  const client = open();
  for (let i = 0; i < 5000; i++) client.send("ping");
  client.receive();
  client.session.sendEvent([{ type: "x", data: 0 }], client.nowMs);
  client.advanceTo(client.nowMs + 5000);
  client.receiveOne("event");
});

Deno.test("session: lost audio at another position than ours is noted, and ours is kept", () => {
  const client = open();
  client.audio(1600);
  client.events();
  client.send("discarded", { start: "PT0.2S", discarded: "PT1S" });
  assertEquals(client.events(), [
    { type: "drift", positionSamples: 800, reportedSamples: 1600 },
    { type: "gap", positionSamples: 800, samples: 8000, cause: "discarded" },
  ]);
  client.send("discarded", { start: "PT1.1S", discarded: "PT1S" });
  assertEquals(client.eventTypes(), ["gap"]);
});
