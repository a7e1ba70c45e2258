// Both sessions talk over two queues, whatever they do and whenever frames arrive; and either of
// them hears anything at all.
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  ClientSession,
  type ClientSessionEvent,
  type EventEntity,
  LocalProtocolError,
  type MediaOffer,
  type OpenParameters,
  ServerSession,
  type ServerSessionEvent,
} from "../../lib/protocol/mod.ts";
import {
  CLIENT_MESSAGES,
  clientMessage,
  EXTERNAL,
  isMessage,
  type Json,
  type JsonObject,
  L16,
  openParameters,
  ORGANIZATION_ID,
  SentFrames,
  SERVER_MESSAGES,
  serverMessage,
  SESSION_ID,
  STEREO,
  transcriptEntity,
} from "../helpers/protocol_wire.ts";

// --- Both sessions -----------------------------------------------------------------------------

const FAR = 1e12;
const SERVER_LIMITS = {
  openTimeoutMs: FAR,
  openedTimeoutMs: FAR,
  silenceTimeoutMs: FAR,
  closeTimeoutMs: FAR,
  closedTimeoutMs: FAR,
  hangupTimeoutMs: FAR,
};
const CLIENT_LIMITS = { openTimeoutMs: FAR, closeTimeoutMs: FAR, pongTimeoutMs: FAR };

const STEREO_L16: JsonObject = { ...STEREO, format: "L16" };
const MEDIA = [STEREO, EXTERNAL, L16, STEREO_L16] as const;

interface Setup {
  readonly media: number;
  readonly audio: boolean;
  readonly startPaused: boolean;
  readonly discardTo: number;
}

type Op =
  | { readonly op: "toServer" | "toClient"; readonly count: number }
  | { readonly op: "time"; readonly ms: number }
  | { readonly op: "open" | "opened" | "closed" }
  | { readonly op: "audio" | "discard" | "play"; readonly samples: number }
  | { readonly op: "clientPause" | "clientResume" | "serverPause" | "serverResume" }
  | { readonly op: "update" | "updated" | "dtmf" | "playback" | "reconnect" }
  | { readonly op: "error"; readonly code: number; readonly retryAfter?: string }
  | { readonly op: "event"; readonly count: number; readonly bargeIn: boolean }
  | { readonly op: "disconnect" | "close" };

const samples = fc.oneof(fc.integer({ min: 0, max: 2000 }), fc.integer({ min: 0, max: 16_000 }));
const just = <T extends Op["op"]>(op: T) => fc.constant({ op });

const OP: fc.Arbitrary<Op> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ op: fc.constant("toServer" as const), count: fc.nat(4) }) },
  { weight: 6, arbitrary: fc.record({ op: fc.constant("toClient" as const), count: fc.nat(4) }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant("time" as const), ms: fc.nat(4000) }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant("audio" as const), samples }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("discard" as const), samples }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("play" as const), samples }) },
  { weight: 2, arbitrary: just("clientPause") as fc.Arbitrary<Op> },
  { weight: 2, arbitrary: just("clientResume") as fc.Arbitrary<Op> },
  { weight: 2, arbitrary: just("serverPause") as fc.Arbitrary<Op> },
  { weight: 2, arbitrary: just("serverResume") as fc.Arbitrary<Op> },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ...(["update", "updated", "dtmf", "playback", "reconnect"] as const).map((op) => ({ op })),
    ) as fc.Arbitrary<Op>,
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant("error" as const),
      code: fc.constantFrom(400, 429, 500),
      retryAfter: fc.constantFrom(undefined, "PT0.5S", "PT3S"),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant("event" as const),
      count: fc.integer({ min: 1, max: 3 }),
      bargeIn: fc.boolean(),
    }),
  },
);

// Most sessions live for a while before one of these.
const ENDING: fc.Arbitrary<Op> = fc.constantFrom(
  { op: "disconnect" },
  { op: "close" },
);
const BEGINNING: fc.Arbitrary<Op> = fc.constantFrom(
  ...(["open", "open", "opened", "opened", "toServer", "toClient", "disconnect", "close"] as const)
    .map((op) => op === "toServer" || op === "toClient" ? { op, count: 3 } : { op }),
) as fc.Arbitrary<Op>;

const SCRIPT: fc.Arbitrary<readonly Op[]> = fc.tuple(
  fc.oneof(
    fc.constant<Op[]>([
      { op: "open" },
      { op: "toServer", count: 9 },
      { op: "opened" },
    ]),
    fc.constant<Op[]>([
      { op: "open" },
      { op: "toServer", count: 9 },
      { op: "opened" },
      { op: "toClient", count: 9 },
    ]),
    fc.array(BEGINNING, { maxLength: 8 }),
  ),
  fc.array(OP, { maxLength: 60 }),
  fc.option(ENDING, { nil: undefined }),
  fc.array(OP, { maxLength: 12 }),
  fc.option(ENDING, { nil: undefined }),
).map(([begin, middle, end, rest, last]) => [
  ...begin,
  ...middle,
  ...(end === undefined ? [] : [end]),
  ...rest,
  ...(last === undefined ? [] : [last]),
]);

/** A server, a client, and what is under way between them. */
class Pair {
  readonly setup: Setup;
  readonly offer: JsonObject;
  readonly sampleBytes: number;
  readonly server: ServerSession;
  readonly client: ClientSession;
  readonly #fromServer = new SentFrames("server");
  readonly #fromClient = new SentFrames("client");
  /** Frames under way; for audio with the position that the client gives it. */
  readonly toServer: { readonly frame: string | Uint8Array; readonly position: number }[] = [];
  readonly toClient: (string | Uint8Array)[] = [];
  readonly serverEvents: ServerSessionEvent[] = [];
  readonly clientEvents: ClientSessionEvent[] = [];
  readonly sentEntities: Json[] = [];
  readonly playedBytes: number[] = [];
  readonly heardBytes: number[] = [];
  nowMs = 0;
  #byte = 0;
  #note = 0;
  #dropsPlayback = false;
  #position = 0;

  constructor(setup: Setup) {
    this.setup = setup;
    this.offer = MEDIA[setup.media] ?? STEREO;
    const channels = (this.offer.channels as string[]).length;
    this.sampleBytes = channels * (this.offer.format === "L16" ? 2 : 1);
    this.server = new ServerSession({
      id: SESSION_ID,
      organizationId: ORGANIZATION_ID,
      nowMs: 0,
      limits: SERVER_LIMITS,
    });
    this.client = new ClientSession({ id: SESSION_ID, limits: CLIENT_LIMITS });
  }

  #bytes(samples: number): Uint8Array {
    return new Uint8Array(samples * this.sampleBytes).map(() => this.#byte++ % 251);
  }

  #nextNote(): EventEntity {
    return { type: "note", data: { n: this.#note++ } };
  }

  /** Does something; what is not allowed now may only be refused in the one way. */
  #try(act: () => void): boolean {
    try {
      act();
      return true;
    } catch (error) {
      assert(error instanceof LocalProtocolError, String(error));
      return false;
    }
  }

  collect(): void {
    const fromClient = this.client.takeOutput();
    this.#fromClient.read(fromClient.filter((frame) => frame.length > 0));
    for (const frame of fromClient) {
      this.toServer.push({ frame, position: this.#position });
    }
    const fromServer = this.server.takeOutput();
    this.#fromServer.read(fromServer);
    this.toClient.push(...fromServer);
    this.serverEvents.push(...this.server.takeEvents());
    for (const event of this.client.takeEvents()) this.clientEvents.push(event);
  }

  deliverToServer(): boolean {
    const next = this.toServer.shift();
    if (next === undefined) return false;
    if (typeof next.frame === "string") this.server.receiveText(next.frame, this.nowMs);
    else {
      assertEquals(this.server.receiveAudio(next.frame, this.nowMs), next.position, "position");
    }
    this.collect();
    return true;
  }

  deliverToClient(): boolean {
    const frame = this.toClient.shift();
    if (frame === undefined) return false;
    if (typeof frame === "string") this.client.receiveText(frame, this.nowMs);
    else {
      this.client.receiveAudio(frame, this.nowMs);
      this.heardBytes.push(...frame);
    }
    this.collect();
    return true;
  }

  pass(ms: number): void {
    const end = this.nowMs + ms;
    for (let turns = 0;; turns++) {
      const next = Math.min(this.server.deadlineMs, this.client.deadlineMs);
      if (next > end) break;
      assert(turns < 10_000, "a deadline does not move on");
      this.nowMs = Math.max(this.nowMs, next);
      this.server.tick(this.nowMs);
      this.client.tick(this.nowMs);
    }
    this.nowMs = end;
    this.collect();
  }

  run(op: Op): void {
    const { server, client, nowMs } = this;
    switch (op.op) {
      case "toServer":
        for (let i = 0; i < op.count; i++) this.deliverToServer();
        break;
      case "toClient":
        for (let i = 0; i < op.count; i++) this.deliverToClient();
        break;
      case "time":
        this.pass(op.ms);
        break;
      case "open":
        this.#try(() =>
          client.open(
            openParameters({ media: [this.offer, STEREO] }) as unknown as OpenParameters,
            nowMs,
          )
        );
        break;
      case "opened":
        this.#try(() =>
          server.opened({
            media: this.setup.audio ? this.offer as MediaOffer : undefined,
            startPaused: this.setup.startPaused,
            discardTo: this.setup.discardTo === 0 ? undefined : `PT${this.setup.discardTo}S`,
          }, nowMs)
        );
        break;
      case "closed":
        this.#try(() => server.closed(undefined, nowMs));
        break;
      case "audio":
        this.#position = client.positionSamples;
        if (op.samples > 0) this.#try(() => client.sendAudio(this.#bytes(op.samples)));
        break;
      case "discard":
        this.#try(() => client.discard(op.samples));
        break;
      case "play": {
        if (op.samples === 0) break;
        const frame = this.#bytes(op.samples);
        if (this.#try(() => server.play(frame, nowMs))) this.playedBytes.push(...frame);
        break;
      }
      case "clientPause":
        this.#try(() => client.pause());
        break;
      case "clientResume":
        this.#try(() => client.resume());
        break;
      case "serverPause":
        this.#try(() => server.pause(nowMs));
        break;
      case "serverResume":
        this.#try(() => server.resume(nowMs));
        break;
      case "update":
        this.#try(() => client.update("es-419"));
        break;
      case "updated":
        this.#try(() => server.updated(nowMs));
        break;
      case "dtmf":
        this.#try(() => client.dtmf("5"));
        break;
      case "playback":
        this.#try(() => client.playback("started"));
        break;
      case "error":
        this.#try(() =>
          client.error({
            code: op.code,
            message: "x",
            ...(op.retryAfter === undefined ? {} : { retryAfter: op.retryAfter }),
          })
        );
        break;
      case "event": {
        const entities = Array.from({ length: op.count }, () => this.#nextNote());
        if (op.bargeIn) entities.push({ type: "barge_in", data: {} });
        if (this.#try(() => server.sendEvent(entities, nowMs))) {
          this.sentEntities.push(...entities as unknown as Json[]);
          if (op.bargeIn) this.#dropsPlayback = true;
        }
        break;
      }
      case "disconnect":
        if (this.#try(() => server.disconnect("completed", "x", { a: "b" }, nowMs))) {
          this.#dropsPlayback = true;
        }
        break;
      case "reconnect":
        this.#try(() => server.reconnect("x", nowMs));
        break;
      case "close":
        if (this.#try(() => client.close("end", nowMs))) this.#dropsPlayback = true;
    }
    this.collect();
  }

  /** Delivers all that is under way. */
  settle(): void {
    let more = true;
    while (more) {
      const moved = [this.deliverToClient(), this.deliverToServer()];
      more = moved.includes(true);
    }
  }

  /** What both must agree on when nothing is under way. */
  assertAgreement(): void {
    if (this.server.state !== "open" || this.client.state !== "open") return;
    assertEquals(this.server.paused.byServer, this.client.paused.byServer, "the server's pause");
    assertEquals(this.server.media, this.client.media);
    if (!this.server.paused.byServer) {
      assertEquals(this.server.paused.byClient, this.client.paused.byClient, "client's pause");
    }
    if (this.client.paused.byClient) assert(this.server.paused.byClient, "an unknown pause");
  }

  assertPositions(): void {
    if (this.client.state !== "open" || this.server.state !== "open") return;
    this.run({ op: "serverResume" });
    this.run({ op: "clientResume" });
    this.settle();
    // Makes the client report what it has left out so far.
    this.run({ op: "discard", samples: 1 });
    this.settle();
    assertEquals(this.server.paused, { byServer: false, byClient: false });
    assertEquals(this.client.paused, { byServer: false, byClient: false });
    assertEquals(this.server.positionSamples, this.client.positionSamples, "position");
  }

  finish(): void {
    this.settle();
    this.run({ op: "close" });
    this.settle();
    this.run({ op: "closed" });
    this.settle();
  }

  assertEnd(): void {
    assertEquals([this.client.state, this.server.state], ["closed", "closed"]);
    assertEquals(this.serverEvents.filter(({ type }) => type === "violation"), []);
    assertEquals(this.clientEvents.filter(({ type }) => type === "violation"), []);
    const heard = this.clientEvents.flatMap((event) =>
      event.type === "event" ? event.entities : []
    );
    assertEquals(heard as unknown, this.sentEntities as unknown, "events");
    if (this.#dropsPlayback) assert(this.heardBytes.length <= this.playedBytes.length);
    else assertEquals(this.heardBytes, this.playedBytes);
    for (const { type } of this.clientEvents) assert(type !== "timeout");
    for (const { type } of this.serverEvents) assert(type !== "hangup");
  }
}

const SETUP: fc.Arbitrary<Setup> = fc.record({
  media: fc.nat(3),
  audio: fc.boolean().chain((some) => some ? fc.constant(true) : fc.boolean()),
  startPaused: fc.boolean(),
  discardTo: fc.constantFrom(0, 0, 1),
});

Deno.test("sessions: two of them never break the protocol, whatever they do and when", () => {
  fc.assert(
    fc.property(SETUP, SCRIPT, (setup, script) => {
      const pair = new Pair(setup);
      for (const op of script) pair.run(op);
      pair.settle();
      pair.assertAgreement();
      pair.assertPositions();
      pair.finish();
      pair.assertEnd();
    }),
    { numRuns: 600, interruptAfterTimeLimit: 10_000 },
  );
});

Deno.test("sessions: pauses of both sides agree when nothing is under way", () => {
  const pauses = fc.constantFrom<Op>(
    { op: "clientPause" },
    { op: "clientResume" },
    { op: "serverPause" },
    { op: "serverResume" },
    { op: "audio", samples: 80 },
    { op: "audio", samples: 1 },
    { op: "toServer", count: 1 },
    { op: "toClient", count: 1 },
  );
  fc.assert(
    fc.property(fc.boolean(), fc.array(pauses, { maxLength: 40 }), (startPaused, script) => {
      const pair = new Pair({ media: 0, audio: true, startPaused, discardTo: 0 });
      const begin = ["open", "toServer", "opened", "toClient", "toServer"] as const;
      for (const op of begin) pair.run({ op, count: 5 } as Op);
      for (const op of script) pair.run(op);
      pair.settle();
      pair.assertAgreement();
      pair.assertPositions();
      pair.finish();
      pair.assertEnd();
    }),
    { numRuns: 800, interruptAfterTimeLimit: 10_000 },
  );
});

Deno.test("sessions: every byte that the client sends arrives, in order and at its position", () => {
  const op = fc.oneof(
    fc.record({ op: fc.constant("audio" as const), samples }),
    fc.record({ op: fc.constant("discard" as const), samples }),
    fc.constantFrom<Op>({ op: "clientPause" }, { op: "clientResume" }, { op: "serverResume" }),
    fc.constantFrom<Op>({ op: "serverPause" }, { op: "toServer", count: 3 }),
    fc.constantFrom<Op>({ op: "toClient", count: 2 }, { op: "time", ms: 1500 }),
  ) as fc.Arbitrary<Op>;
  fc.assert(
    fc.property(fc.nat(3), fc.array(op, { maxLength: 40 }), (media, script) => {
      const pair = new Pair({ media, audio: true, startPaused: false, discardTo: 0 });
      const begin = ["open", "toServer", "opened", "toClient"] as const;
      for (const op of begin) pair.run({ op, count: 5 } as Op);
      const sent: number[] = [];
      const received: number[] = [];
      const receive = pair.server.receiveAudio.bind(pair.server);
      pair.server.receiveAudio = (frame, nowMs) => {
        received.push(...frame);
        return receive(frame, nowMs);
      };
      const send = pair.client.sendAudio.bind(pair.client);
      pair.client.sendAudio = (frame) => {
        const wasSent = send(frame);
        if (wasSent) sent.push(...frame);
        return wasSent;
      };
      for (const op of script) pair.run(op);
      pair.settle();
      pair.assertPositions();
      pair.finish();
      pair.assertEnd();
      assertEquals(received.length, sent.length);
      assert(received.every((byte, index) => byte === sent[index]));
    }),
    { numRuns: 150, interruptAfterTimeLimit: 10_000 },
  );
});

// --- One session, and anything -----------------------------------------------------------------

type From = "client" | "server";

interface Input {
  /** Which valid message, or none. */
  readonly type: number;
  readonly mutation: number;
  readonly where: number;
  readonly value: Json;
  readonly text: string;
  readonly bytes: number;
  readonly act: number;
  readonly ms: number;
}

const hostileValue: fc.Arbitrary<Json> = fc.oneof(
  fc.constantFrom<Json>(
    null,
    true,
    -1,
    0,
    1.5,
    2 ** 53,
    1e300,
    "",
    "PT9e-7S",
    "PT99999999999S",
    "PT2678400S",
    "__proto__",
    "constructor",
    SESSION_ID,
    [],
    {},
    [[]],
    "\u0000",
    "\ud800",
    "x".repeat(70_000),
  ),
  fc.jsonValue() as fc.Arbitrary<Json>,
);

const INPUT: fc.Arbitrary<Input> = fc.record({
  type: fc.nat(40),
  mutation: fc.nat(30),
  where: fc.nat(1000),
  value: hostileValue,
  text: fc.oneof(fc.string({ unit: "binary" }), fc.json()),
  bytes: fc.oneof(fc.nat(4000), fc.constantFrom(0, 1, 64_000, 64_001, 64_002)),
  act: fc.nat(30),
  ms: fc.oneof(fc.constant(0), fc.nat(200), fc.nat(20_000)),
});

function pathsOf(value: Json, path: (string | number)[] = []): (string | number)[][] {
  if (typeof value !== "object" || value === null) return [];
  const entries: [string | number, Json][] = Array.isArray(value)
    ? value.map((entry, index) => [index, entry])
    : Object.entries(value);
  return entries.flatMap(([key, entry]) => [[...path, key], ...pathsOf(entry, [...path, key])]);
}

/** Changes one thing in a valid message. */
function mutate(message: JsonObject, input: Input): string {
  const copy = structuredClone(message);
  const paths = pathsOf(copy);
  const path = paths[input.where % paths.length] ?? ["type"];
  // deno-lint-ignore no-explicit-any
  let at: any = copy;
  for (const key of path.slice(0, -1)) at = at[key];
  const last = path.at(-1) ?? "type";
  switch (input.mutation) {
    case 0:
      delete at[last];
      break;
    case 1:
    case 2:
      at[last] = input.value;
      break;
    case 3:
      at.added = input.value;
      break;
    case 4:
      copy.seq = Number(copy.seq) + (input.where % 3) - 1;
      break;
    case 5:
      copy.type = input.text;
      break;
    case 6:
      return JSON.stringify(copy).slice(0, input.where);
    case 7: {
      const text = JSON.stringify(copy);
      const cut = input.where % text.length;
      return text.slice(0, cut) + input.text + text.slice(cut + 1);
    }
    case 8:
      return input.text;
    default:
      // Left as it is, so that sessions get somewhere.
  }
  return JSON.stringify(copy);
}

/** Feeds inputs to a session of the other side; checks all that comes out. */
abstract class Hostile {
  readonly from: From;
  readonly #sent: SentFrames;
  seq = 0;
  acknowledged = 0;
  nowMs = 0;

  constructor(from: From) {
    this.from = from;
    this.#sent = new SentFrames(from === "client" ? "server" : "client");
  }

  abstract text(text: string): void;
  abstract audio(frame: Uint8Array): void;
  abstract act(n: number): void;
  abstract tick(): void;
  abstract take(): readonly (string | Uint8Array)[];

  #check(): void {
    for (const frame of this.#sent.read(this.take())) {
      if (isMessage(frame)) this.acknowledged = frame.seq;
    }
  }

  feed(input: Input): void {
    this.nowMs += input.ms;
    this.tick();
    this.#check();
    const specs = this.from === "client" ? CLIENT_MESSAGES : SERVER_MESSAGES;
    const types = Object.keys(specs);
    const type = types[input.type];
    if (type === undefined) {
      this.audio(new Uint8Array(input.bytes));
    } else {
      const parameters = specs[type]?.full ?? {};
      const message = this.from === "client"
        ? clientMessage(type, parameters, { seq: this.seq + 1, serverseq: this.acknowledged })
        : serverMessage(type, parameters, { seq: this.seq + 1, clientseq: this.acknowledged });
      const text = mutate(message, input);
      this.text(text);
      this.#count(text);
    }
    this.#check();
    try {
      this.act(input.act);
    } catch (error) {
      assert(error instanceof LocalProtocolError, String(error));
    }
    this.#check();
  }

  /** Goes on from the number that was used. */
  #count(text: string): void {
    try {
      const { seq } = JSON.parse(text);
      if (Number.isSafeInteger(seq) && seq > 0 && seq < 1e9) this.seq = seq;
    } catch {
      // No number.
    }
  }
}

class HostileClient extends Hostile {
  readonly session = new ServerSession({
    id: SESSION_ID,
    organizationId: ORGANIZATION_ID,
    nowMs: 0,
  });
  readonly events: ServerSessionEvent[] = [];
  #offers: readonly MediaOffer[] = [];

  constructor() {
    super("client");
  }

  override text(text: string): void {
    this.session.receiveText(text, this.nowMs);
    this.#listen();
  }

  override audio(frame: Uint8Array): void {
    const before = this.session.positionSamples;
    const position = this.session.receiveAudio(frame, this.nowMs);
    assert(position === -1 || position === before);
    if (position === -1) assertEquals(this.session.positionSamples, before);
    this.#listen();
  }

  #listen(): void {
    const known = new Set([
      "open",
      "close",
      "gap",
      "drift",
      "paused",
      "resumed",
      "update",
      "dtmf",
      "playback",
      "error",
      "unknown",
      "violation",
      "hangup",
    ]);
    for (const event of this.session.takeEvents()) {
      assert(known.has(event.type));
      if (event.type === "open") this.#offers = event.parameters.media;
      if (event.type === "gap") {
        assert(Number.isSafeInteger(event.samples) && event.samples > 0);
        assert(Number.isSafeInteger(event.positionSamples) && event.positionSamples >= 0);
      }
      this.events.push(event);
    }
    assert(Number.isSafeInteger(this.session.positionSamples));
    assert(this.session.positionSamples <= 31 * 86_400 * 8000);
  }

  override act(n: number): void {
    const { session, nowMs } = this;
    switch (n) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        return session.opened({ media: this.#offers[n] }, nowMs);
      case 5:
        return session.opened({ startPaused: true }, nowMs);
      case 6:
        return session.pause(nowMs);
      case 7:
        return session.resume(nowMs);
      case 8:
        return session.updated(nowMs);
      case 9:
        return session.sendEvent([transcriptEntity("x") as unknown as EventEntity], nowMs);
      case 10:
        return session.play(new Uint8Array(160), nowMs);
      case 11:
        return session.reconnect(undefined, nowMs);
      case 12:
        return session.closed(undefined, nowMs);
      case 13:
        return session.disconnect("completed", undefined, undefined, nowMs);
    }
  }

  override tick(): void {
    this.session.tick(this.nowMs);
    this.#listen();
  }

  override take(): readonly (string | Uint8Array)[] {
    return this.session.takeOutput();
  }
}

class HostileServer extends Hostile {
  readonly session = new ClientSession({ id: SESSION_ID });

  constructor(isOpening: boolean) {
    super("server");
    if (isOpening) this.act(0);
  }

  override text(text: string): void {
    this.session.receiveText(text, this.nowMs);
    this.#listen();
  }

  override audio(frame: Uint8Array): void {
    this.session.receiveAudio(frame, this.nowMs);
    this.#listen();
  }

  #listen(): void {
    const known = new Set([
      "opened",
      "pong",
      "pause",
      "resume",
      "updated",
      "event",
      "reconnect",
      "disconnect",
      "closed",
      "unknown",
      "violation",
      "timeout",
    ]);
    for (const event of this.session.takeEvents()) assert(known.has(event.type));
    assert(Number.isSafeInteger(this.session.positionSamples));
  }

  override act(n: number): void {
    const { session, nowMs } = this;
    switch (n) {
      case 0:
      case 1:
        return session.open(
          openParameters({ media: [STEREO, EXTERNAL] }) as unknown as OpenParameters,
          nowMs,
        );
      case 2:
        session.sendAudio(new Uint8Array(160));
        return;
      case 3:
        return session.pause();
      case 4:
        return session.resume();
      case 5:
        return session.discard(8000);
      case 6:
        return session.update("es");
      case 7:
        return session.dtmf("1");
      case 8:
        return session.playback("started");
      case 9:
        return session.close("end", nowMs);
    }
  }

  override tick(): void {
    this.session.tick(this.nowMs);
    this.#listen();
  }

  override take(): readonly (string | Uint8Array)[] {
    return this.session.takeOutput();
  }
}

/** A valid beginning for most, so that deep states are reached. */
const BEGIN = fc.nat(3);
const plain = (type: number, act: number): Input => ({
  type,
  mutation: 99,
  where: 0,
  value: null,
  text: "",
  bytes: 0,
  act,
  ms: 0,
});

Deno.test("sessions: a server answers any input by events or disconnect, in any state", () => {
  fc.assert(
    fc.property(BEGIN, fc.array(INPUT, { maxLength: 30 }), (begin, inputs) => {
      const hostile = new HostileClient();
      if (begin > 0) hostile.feed(plain(0, begin > 1 ? 0 : 99));
      if (begin > 2) hostile.feed(plain(Object.keys(CLIENT_MESSAGES).indexOf("close"), 99));
      for (const input of inputs) hostile.feed(input);
    }),
    { numRuns: 1200, interruptAfterTimeLimit: 10_000 },
  );
});

Deno.test("sessions: a server reports a bounded number of faults, and disconnects once", () => {
  fc.assert(
    fc.property(fc.array(INPUT, { minLength: 30, maxLength: 60 }), (inputs) => {
      const hostile = new HostileClient();
      hostile.feed(plain(0, 0));
      for (const input of inputs) hostile.feed({ ...input, act: 99 });
      for (let i = 0; i < 100; i++) hostile.text("{");
      const faults = hostile.events.filter(({ type }) => type === "violation");
      assert(faults.length >= 1 && faults.length <= 20);
      assert(["disconnecting", "refusing", "closing", "withdrawing", "closed"].includes(
        hostile.session.state,
      ));
    }),
    { numRuns: 200, interruptAfterTimeLimit: 10_000 },
  );
});

Deno.test("sessions: a client answers any input by events or close, in any state", () => {
  fc.assert(
    fc.property(BEGIN, fc.array(INPUT, { maxLength: 30 }), (begin, inputs) => {
      const hostile = new HostileServer(begin > 0);
      if (begin > 1) hostile.feed(plain(0, 99));
      for (const input of inputs) hostile.feed(input);
    }),
    { numRuns: 1200, interruptAfterTimeLimit: 10_000 },
  );
});

Deno.test("sessions: a transcript with frames lost, doubled or swapped never throws", () => {
  const edits = fc.array(
    fc.record({ at: fc.nat(60), how: fc.constantFrom("lose", "double", "swap", "cut") }),
    { minLength: 1, maxLength: 4 },
  );
  fc.assert(
    fc.property(SETUP, SCRIPT, edits, (setup, script, edits) => {
      // A valid talk first, to get its frames.
      const pair = new Pair(setup);
      const frames: (string | Uint8Array)[] = [];
      const text = pair.server.receiveText.bind(pair.server);
      pair.server.receiveText = (frame, nowMs) => {
        frames.push(frame);
        text(frame, nowMs);
      };
      const audio = pair.server.receiveAudio.bind(pair.server);
      pair.server.receiveAudio = (frame, nowMs) => {
        frames.push(frame);
        return audio(frame, nowMs);
      };
      for (const op of script) pair.run(op);
      pair.finish();
      for (const { at, how } of edits) {
        const index = frames.length === 0 ? 0 : at % frames.length;
        const frame = frames[index];
        if (frame === undefined) continue;
        if (how === "lose") frames.splice(index, 1);
        else if (how === "double") frames.splice(index, 0, frame);
        else if (how === "cut") frames[index] = frame.slice(0, Math.floor(frame.length / 2) | 1);
        else frames.splice(index, 2, ...frames.slice(index, index + 2).reverse());
      }
      const hostile = new HostileClient();
      for (const frame of frames) {
        if (typeof frame === "string") hostile.text(frame);
        else hostile.audio(frame);
        try {
          if (hostile.session.state === "opening") hostile.act(0);
          else if (hostile.session.state === "closing") hostile.act(12);
        } catch (error) {
          assert(error instanceof LocalProtocolError, String(error));
        }
      }
      new SentFrames("server").read(hostile.take());
    }),
    { numRuns: 200, interruptAfterTimeLimit: 10_000 },
  );
});
