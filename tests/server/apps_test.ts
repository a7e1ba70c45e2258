/**
 * What apps may ask of a session, how several share one, and what one that fails does to the others
 * (nothing), over a real socket.
 */
import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertInstanceOf,
  assertLess,
  assertMatch,
  assertThrows,
} from "@std/assert";
import type { App, Call, CallHandler } from "../../lib/app/app.ts";
import { AudioFrame } from "../../lib/app/audio_frame.ts";
import { LocalProtocolError } from "../../lib/protocol/mod.ts";
import { APP_TIMEOUTS } from "../../lib/server/app_group.ts";
import { watchDefects } from "../helpers/defects.ts";
import { until, within } from "../helpers/deadline.ts";
import { TestApp } from "../helpers/test_app.ts";
import { TestServer } from "../helpers/test_server.ts";
import { assertSameBytes, assertWav, concat, noise } from "../helpers/wav_check.ts";
import {
  EXTERNAL,
  INTERNAL,
  L16_EXTERNAL,
  openParameters,
  probeParameters,
  STEREO,
} from "../helpers/wire_client.ts";

/** Longer than a test waits for anything: so what has to wait for none of that comes, or is late. */
const HOUR_MS = 3_600_000;

const NOTE = { type: "note", data: { n: 1 } };
const note = (n: number) => ({ type: "note", data: { n } });

/** What may be asked of a call. */
const REQUESTS: Readonly<Record<string, (call: Call) => void>> = {
  sendEvent: (call) => call.sendEvent(NOTE),
  pause: (call) => call.pause(),
  resume: (call) => call.resume(),
  disconnect: (call) => call.disconnect("completed"),
  play: (call) => call.play(new Uint8Array(160)),
};

function assertRefused(name: string, call: Call): void {
  const error = assertThrows(() => REQUESTS[name]?.(call), LocalProtocolError, undefined, name);
  assertGreaterOrEqual(error.message.length, 10, "it says what is wrong");
}

// ——— asking ———

Deno.test("asking: before opened all is refused, but disconnect", async () => {
  const refused: string[] = [];
  const app = new TestApp({
    open(call) {
      for (const name of ["sendEvent", "pause", "resume", "play"]) {
        assertRefused(name, call);
        refused.push(name);
      }
    },
  });
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  const opened = await client.open({ media: [EXTERNAL] });
  assertEquals(opened.seq, 1);
  assertEquals(refused.length, 4);
  // It changed nothing: the app is in.
  assertEquals(app.count("opened"), 1);
  await client.close();
});

Deno.test("asking: after disconnect, a second one and all but events are refused", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open({ media: [EXTERNAL] });
  const call = await app.nextCall();
  call.disconnect("completed", { info: "Done" });
  await client.expect("disconnect");
  for (const name of ["pause", "resume", "disconnect", "play"]) assertRefused(name, call);
  // The pings go on until the client closes.
  await client.ping();
  await client.close("disconnect");
});

Deno.test("asking: while closing only events are allowed", async () => {
  const checked = Promise.withResolvers<void>();
  const app = new TestApp({
    close(_end, call) {
      for (const name of ["pause", "resume", "disconnect", "play"]) assertRefused(name, call);
      call.sendEvent(NOTE);
      checked.resolve();
    },
  });
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open({ media: [EXTERNAL] });
  client.send("close", { reason: "end" });
  await within(checked.promise, "the app's checks");
  await client.expect("event");
  await client.expect("closed");
  await client.hangUp();
});

Deno.test("asking: after closed, and after the connection, all is refused", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open({ media: [EXTERNAL] });
  const call = await app.nextCall();
  client.send("close", { reason: "end" });
  await client.expect("closed");
  for (const name of Object.keys(REQUESTS)) assertRefused(name, call);
  await client.hangUp();
  await server.idle();
  for (const name of Object.keys(REQUESTS)) assertRefused(name, call);
});

Deno.test("asking: after a connection was lost, nothing throws but LocalProtocolError", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open({ media: [EXTERNAL] });
  const call = await app.nextCall();
  await client.hangUp();
  await server.idle();
  for (const [name, request] of Object.entries(REQUESTS)) {
    try {
      request(call);
    } catch (error) {
      assertInstanceOf(error, LocalProtocolError, name);
    }
  }
});

Deno.test("asking: what is not valid is refused, and changes nothing", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open({ media: [EXTERNAL] });
  const call = await app.nextCall();
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  const invalid: Record<string, () => void> = {
    "no entities": () => call.sendEvent(),
    "an entity without a type": () => call.sendEvent({ data: {} } as never),
    "an entity that is no object": () => call.sendEvent("text" as never),
    "an entity that is no JSON": () => call.sendEvent({ type: "note", data: circular }),
    "an entity that is too large": () =>
      call.sendEvent({ type: "note", data: { text: "x".repeat(64_000) } }),
    "a transcript that is none": () =>
      call.sendEvent({ type: "transcript", data: { id: "none" } } as never),
    "a good and a bad one": () => call.sendEvent(NOTE, { type: "transcript", data: {} } as never),
    "an unknown reason": () => call.disconnect("tired" as never),
    "info that is too large": () => call.disconnect("error", { info: "x".repeat(64_001) }),
    "output variables that are no texts": () =>
      call.disconnect("completed", { outputVariables: { n: 1 } as never }),
    "64,001 bytes of audio": () => call.play(new Uint8Array(64_001)),
  };
  for (const [name, ask] of Object.entries(invalid)) {
    assertThrows(ask, LocalProtocolError, undefined, name);
  }
  await client.ping();
  assertEquals(client.serverseq, 2, "nothing but opened and pong was sent");
  await client.close();
});

Deno.test("asking: play takes 64,000 bytes in one frame", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open({ media: [EXTERNAL] });
  const call = await app.nextCall();
  const audio = noise(64_000);
  call.play(audio);
  assertSameBytes(await client.nextAudio(), audio);
  assertThrows(() => call.play(new Uint8Array(64_001)), LocalProtocolError);
  await client.close();
});

Deno.test("asking: play takes whole samples of L16 only", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open({ media: [L16_EXTERNAL] });
  const call = await app.nextCall();
  assertThrows(() => call.play(new Uint8Array(161)), LocalProtocolError);
  call.play(noise(160));
  assertSameBytes(await client.nextAudio(), noise(160));
  await client.close();
});

Deno.test("asking: play is refused where the client takes no audio: it would answer 415", async () => {
  for (const media of [[STEREO], []]) {
    const app = new TestApp();
    await using server = await TestServer.start({ apps: [app] });
    await using client = await server.connect();
    await client.open({ media });
    const call = await app.nextCall();
    assertRefused("play", call);
    await client.ping();
    assertEquals(client.waitingAudio, 0);
    await client.close();
  }
});

Deno.test("asking: barge_in drops the audio that waits", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open({ media: [EXTERNAL] });
  const call = await app.nextCall();
  for (let i = 0; i < 100; i++) call.play(new Uint8Array(8000).fill(1));
  call.sendEvent({ type: "barge_in", data: {} });
  await client.expect("event");
  call.play(new Uint8Array(8).fill(2));
  let frame = await client.nextAudio();
  let stale = 0;
  while (frame[0] === 1) {
    stale += frame.length;
    frame = await client.nextAudio();
  }
  assertEquals([...frame], new Array(8).fill(2));
  assertLess(stale, 100 * 8000 / 2, "most of it was never sent");
  await client.close();
});

Deno.test("asking: disconnect's reason, info and outputVariables reach the client", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open({ media: [EXTERNAL] });
  (await app.nextCall()).disconnect("completed", {
    info: "The bot is done",
    outputVariables: { a: "1", b: "" },
  });
  assertEquals((await client.expect("disconnect")).parameters, {
    reason: "completed",
    info: "The bot is done",
    outputVariables: { a: "1", b: "" },
  });
  await client.close("disconnect");
  assertEquals(app.notes.find(({ what }) => what === "close")?.detail, {
    how: "closed",
    reason: "disconnect",
  });
});

Deno.test("asking: pause and resume may be repeated; they are questions then", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open();
  const call = await app.nextCall();
  for (const type of ["pause", "pause", "resume", "resume"] as const) {
    call[type]();
    await client.expect(type);
    if (type === "pause") client.send("paused");
    else client.send("resumed", { start: "PT0S", discarded: "PT0S" });
  }
  await client.ping();
  assertEquals({ ...call.paused }, { byServer: false, byClient: false });
  await client.close();
});

Deno.test("asking: in opened(), in audio() and in message()", async () => {
  const app = new TestApp({
    opened: () => void call?.sendEvent(note(0)),
    audio: () => void call?.sendEvent(note(1)),
    message({ from, text }) {
      if (from === "client" && text.includes("hologram")) call?.sendEvent(note(2));
    },
    open: (opening) => void (call = opening),
  });
  let call: Call | undefined;
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open();
  assertEquals((await client.expect("event")).parameters.entities, [note(0)]);
  client.sendAudio(noise(160));
  assertEquals((await client.expect("event")).parameters.entities, [note(1)]);
  client.send("hologram");
  assertEquals((await client.expect("event")).parameters.entities, [note(2)]);
  await client.close();
});

Deno.test("asking: disconnect in open() takes the place of opened, and nothing is recorded", async () => {
  const app = new TestApp({
    open: (call) => call.disconnect("rejected", { info: "Not here" }),
  });
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  client.send("open", openParameters());
  const message = await client.expect("disconnect");
  assertEquals(message.parameters, { reason: "rejected", info: "Not here" });
  await client.close("disconnect");
  await server.idle();
  assertEquals(app.count("opened"), 0);
  assertEquals(app.count("close"), 1);
  assertEquals(await server.data.files(), []);
});

Deno.test("asking: many events come in order, at a rate, and delay no pong and no closed", async () => {
  const app = new TestApp();
  // What comes after the burst comes in hours: nothing that is answered has waited for it.
  const textRate = { perSecond: 0.001, burst: 20 };
  const sessionLimits = { textRate, closedTimeoutMs: HOUR_MS };
  await using server = await TestServer.start({ apps: [app], sessionLimits });
  await using client = await server.connect();
  await client.open();
  const call = await app.nextCall();
  const count = 300;
  for (let n = 0; n < count; n++) call.sendEvent(note(n));
  const seq = client.send("ping");
  const got: number[] = [];
  const take = (entities: { data: { n: number } }[]) => got.push(...entities.map((e) => e.data.n));
  let events = 0;
  for (let message = await client.next(); message.type !== "pong"; message = await client.next()) {
    assertEquals(message.type, "event");
    events++;
    take(message.parameters.entities);
    if (message.clientseq === seq) assert(false, "an event took the pong's place");
  }
  // Section 12: bridges settled near bursts of 20 to 30.
  assertLess(events, 31, "a burst is bounded");
  client.send("close", { reason: "end" });
  for (
    let message = await client.next();
    message.type !== "closed";
    message = await client.next()
  ) {
    assertEquals(message.type, "event");
    take(message.parameters.entities);
  }
  assertEquals(got, Array.from({ length: count }, (_, n) => n), "all of them, in order");
  await client.hangUp();
});

// ——— preferences ———

Deno.test("preferences: media, one of the offers", async () => {
  const app = new TestApp({ preferences: { media: INTERNAL } });
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  assertEquals((await client.open()).parameters.media, [INTERNAL]);
  assertEquals(await app.told("opened"), INTERNAL);
  await client.close();
});

Deno.test("preferences: media null, no audio", async () => {
  const app = new TestApp({ preferences: { media: null } });
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  assertEquals((await client.open()).parameters.media, []);
  assertEquals(await app.told("opened"), undefined);
  await client.close();
});

Deno.test("preferences: the first app that says something about media decides", async () => {
  const apps = [
    new TestApp({ preferences: {} }),
    new TestApp({ preferences: { media: EXTERNAL } }),
    new TestApp({ preferences: { media: null } }),
  ];
  await using server = await TestServer.start({ apps });
  await using client = await server.connect();
  assertEquals((await client.open()).parameters.media, [EXTERNAL]);
  await client.close();
});

Deno.test("preferences: media that was not offered does not end the session", async () => {
  const app = new TestApp({ preferences: { media: L16_EXTERNAL } });
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  assertEquals((await client.open()).parameters.media, [STEREO]);
  await client.close();
});

Deno.test("preferences: startPaused by one app; the client answers paused, then we resume", async () => {
  const apps = [new TestApp(), new TestApp({ preferences: { startPaused: true } })];
  await using server = await TestServer.start({ apps });
  await using client = await server.connect();
  const opened = await client.open();
  assertEquals(opened.parameters.startPaused, true);
  const call = await apps[0]?.nextCall();
  assert(call !== undefined);
  client.send("paused");
  await client.ping();
  assertEquals({ ...call.paused }, { byServer: true, byClient: false });
  call.resume();
  await client.expect("resume");
  client.send("resumed", { start: "PT0S", discarded: "PT0.5S" });
  client.samples = 4000;
  client.sendAudio(noise(160));
  await client.ping();
  assertEquals(call.positionSamples, 4080);
  await client.close();
});

Deno.test("preferences: without startPaused, opened does not mention it", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  assertEquals(Object.keys((await client.open()).parameters), ["media"]);
  await client.close();
});

Deno.test("preferences: the earliest discardTo of all apps counts", async () => {
  const apps = ["PT10.5S", "PT9.75S", "PT12S"].map((discardTo) =>
    new TestApp({ preferences: { discardTo } })
  );
  await using server = await TestServer.start({ apps, record: false });
  await using client = await server.connect();
  assertEquals((await client.open()).parameters.discardTo, "PT9.75S");
  client.send("discarded", { start: "PT0S", discarded: "PT9.7S" });
  await client.ping();
  assertEquals((await apps[0]?.nextCall())?.positionSamples, 77_600);
  await client.close();
});

Deno.test("preferences: an app that needs all audio is not discarded for", async () => {
  const apps = [new TestApp({ preferences: { discardTo: "PT5S" } }), new TestApp()];
  await using server = await TestServer.start({ apps, record: false });
  await using client = await server.connect();
  assert(!("discardTo" in (await client.open()).parameters));
  await client.close();
});

// ——— sharing ———

Deno.test("sharing: all apps are told the same, in the same order", async () => {
  const apps = [new TestApp({ name: "one" }), new TestApp({ name: "two" })];
  await using server = await TestServer.start({ apps });
  await using client = await server.connect();
  await client.open();
  const audio = noise(3200);
  client.sendAudio(audio.slice(0, 1600));
  client.send("discarded", { start: "PT0.1S", discarded: "PT0.25S" });
  client.samples += 2000;
  client.sendAudio(audio.slice(1600));
  client.send("paused");
  client.send("resumed", { start: "PT0.45S", discarded: "PT1S" });
  client.send("update", { language: "de" });
  await client.expect("updated");
  client.send("dtmf", { digit: "7" });
  client.send("playback_started");
  client.send("playback_completed");
  await client.close();
  await server.idle();
  for (const app of apps) {
    assertEquals(app.whats, [
      "open",
      "opened",
      "audio",
      "gap",
      "audio",
      "paused",
      "gap",
      "resumed",
      "update",
      "dtmf",
      "playback",
      "playback",
      "close",
      "ended",
    ]);
    const details = app.notes.filter(({ what }) => what !== "open").map(({ detail }) => detail);
    assertEquals(details[0], STEREO);
    const [first, second] = details.filter((detail) => detail instanceof AudioFrame);
    assertSameBytes(first?.bytes ?? new Uint8Array(), audio.slice(0, 1600));
    assertSameBytes(second?.bytes ?? new Uint8Array(), audio.slice(1600));
    assertEquals([first?.positionSamples, first?.samples], [0, 800]);
    assertEquals([second?.positionSamples, second?.samples], [2800, 800]);
    const gaps = app.notes.filter(({ what }) => what === "gap").map(({ detail }) => {
      const { positionSamples, samples, cause } = detail as Record<string, unknown>;
      return { positionSamples, samples, cause };
    });
    assertEquals(gaps, [
      { positionSamples: 800, samples: 2000, cause: "discarded" },
      { positionSamples: 3600, samples: 8000, cause: "paused" },
    ]);
  }
  assertEquals(apps[0]?.notes[0]?.detail === undefined, false);
});

Deno.test("sharing: each app is told of every text message, those before opened included", async () => {
  const opening = Promise.withResolvers<void>();
  const seen: { from: string; text: string }[] = [];
  const app = new TestApp({
    open: () => opening.promise,
    message: ({ from, text }) => void seen.push({ from, text }),
  });
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  const opened = client.open();
  await app.nextCall();
  opening.resolve();
  await opened;
  await client.ping();
  await client.close();
  await server.idle();
  assertEquals(seen, client.transcript);
});

Deno.test("sharing: supportedLanguages of several apps, merged without duplicates by case", async () => {
  const apps = [
    new TestApp({ supportedLanguages: ["en-US", "es"] }),
    new TestApp(),
    new TestApp({ supportedLanguages: ["EN-us", "de", "ES", "es-419"] }),
  ];
  await using server = await TestServer.start({ apps });
  await using client = await server.connect();
  const opened = await client.open({ supportedLanguages: true });
  assertEquals(opened.parameters.supportedLanguages, ["en-US", "es", "de", "es-419"]);
  await client.close();
});

Deno.test("sharing: closed has the outputVariables of all", async () => {
  const apps = [
    new TestApp({ close: () => ({ outputVariables: { a: "1", both: "first" } }) }),
    new TestApp({ close: () => ({}) }),
    new TestApp({
      close: () => Promise.resolve({ outputVariables: { b: "2", both: "second" } }),
    }),
  ];
  await using server = await TestServer.start({ apps });
  await using client = await server.connect();
  await client.open({ media: [EXTERNAL] });
  const closed = await client.close();
  assertEquals(closed.parameters, { outputVariables: { a: "1", b: "2", both: "second" } });
});

Deno.test("sharing: an event that one app sends in close comes before closed", async () => {
  const apps = [
    new TestApp(),
    new TestApp({
      async close(_end, call) {
        call.sendEvent(note(1));
        await new Promise((resolve) => setTimeout(resolve, 30));
        call.sendEvent(note(2));
      },
    }),
  ];
  await using server = await TestServer.start({ apps });
  await using client = await server.connect();
  await client.open();
  client.send("close", { reason: "end" });
  assertEquals((await client.expect("event")).parameters.entities, [note(1)]);
  assertEquals((await client.expect("event")).parameters.entities, [note(2)]);
  await client.expect("closed");
  await client.hangUp();
});

Deno.test("sharing: sessions of one app are strangers to each other", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using one = await server.connect();
  await using two = await server.connect();
  await one.open();
  const callOne = await app.nextCall();
  await two.open();
  const callTwo = await app.nextCall();
  callOne.sendEvent(note(1));
  callTwo.pause();
  assertEquals((await one.expect("event")).parameters.entities, [note(1)]);
  await two.expect("pause");
  await one.ping();
  await one.close();
  two.send("paused");
  await two.ping();
  await two.close();
});

// ——— update ———

Deno.test("update: answered by updated", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app, new TestApp()] });
  await using client = await server.connect();
  await client.open();
  const seq = client.send("update", { language: "es-419" });
  assertEquals((await client.expect("updated")).clientseq, seq);
  assertEquals(await app.told("update"), "es-419");
  await client.close();
});

Deno.test("update: an app that pauses answers with that", async () => {
  const app = new TestApp({ update: () => call?.pause(), open: (it) => void (call = it) });
  let call: Call | undefined;
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open();
  client.send("update", { language: "tlh" });
  await client.expect("pause");
  client.send("paused");
  await client.ping();
  await client.close();
});

Deno.test("update: an app that disconnects answers with that", async () => {
  const app = new TestApp({
    update: () => call?.disconnect("completed"),
    open: (it) => void (call = it),
  });
  let call: Call | undefined;
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open();
  client.send("update", { language: "tlh" });
  await client.expect("disconnect");
  await client.close("disconnect");
});

// ——— failing ———

const FAST = { openMs: 150, closeMs: 200 };

/** @param late Rejects when the app's time is over. */
const FAILING_OPENS: Readonly<Record<string, (late: Promise<never>) => App>> = {
  throws: () => ({
    name: "bad",
    open() {
      throw new Error("on purpose");
    },
  }),
  rejects: () => ({ name: "bad", open: () => Promise.reject(new Error("on purpose")) }),
  "rejects with nothing": () => ({ name: "bad", open: () => Promise.reject(undefined) }),
  "rejects after its time": (late) => ({ name: "bad", open: () => late }),
  "never settles": () => ({ name: "bad", open: () => new Promise(() => {}) }),
  "wants no part": () => ({ name: "none", open: () => undefined }),
  "answers null": () => ({ name: "bad", open: () => null as never }),
  "has a getter that throws": () => ({
    name: "bad",
    open: () => ({
      get preferences(): never {
        throw new Error("on purpose");
      },
    }),
  }),
};

for (const [how, make] of Object.entries(FAILING_OPENS)) {
  Deno.test(`failing: an app whose open ${how} is left out, and the call goes on`, async () => {
    using _defects = watchDefects();
    const good = new TestApp({ name: "good" });
    const late = Promise.withResolvers<never>();
    const apps = [make(late.promise), good];
    await using server = await TestServer.start({ apps, appTimeouts: FAST });
    await using client = await server.connect();
    await client.open();
    late.promise.catch(() => {}); // where no app listens to it
    late.reject(new Error("late"));
    const audio = noise(1600);
    client.sendAudio(audio);
    await client.ping();
    await client.close();
    await server.idle();
    assertEquals(good.whats, ["open", "opened", "audio", "close", "ended"]);
    assertWav((await server.recording(client.id)).wav, {
      format: "PCMU",
      channels: 2,
      data: audio,
    });
  });
}

Deno.test("failing: an app that opens late gets close, left_out, and nothing else", async () => {
  const gate = Promise.withResolvers<void>();
  const late = new TestApp({ open: () => gate.promise });
  await using server = await TestServer.start({ apps: [late], appTimeouts: FAST });
  await using client = await server.connect();
  await client.open();
  gate.resolve();
  assertEquals(await late.told("close"), { how: "left_out" });
  client.sendAudio(noise(160));
  await client.ping();
  await client.close();
  await server.idle();
  assertEquals(late.whats, ["open", "close"]);
});

Deno.test("failing: the signal of an app that is late is aborted", async () => {
  const late = Promise.withResolvers<AbortSignal>();
  const app: App = {
    name: "late",
    open: (_call, signal) => {
      late.resolve(signal);
      return new Promise(() => {});
    },
  };
  await using server = await TestServer.start({ apps: [app], appTimeouts: FAST });
  await using client = await server.connect();
  await client.open();
  const signal = await late.promise;
  // lib/app/app.ts: "Aborted when the call has ended or went on without this app."
  try {
    await until(() => signal.aborted, "abort of the late app");
  } finally {
    await client.close();
  }
});

Deno.test("failing: the signal is aborted when the call ends", async () => {
  const signals: AbortSignal[] = [];
  const app = new TestApp({ open: (_call, signal) => void signals.push(signal) });
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open();
  assertEquals(signals[0]?.aborted, false);
  await client.close();
  await server.idle();
  assertEquals(signals[0]?.aborted, true);
});

Deno.test("failing: a close while an app still opens is answered at once", async () => {
  const gate = Promise.withResolvers<void>();
  const slow = new TestApp({ open: () => gate.promise });
  const appTimeouts = { openMs: HOUR_MS };
  const sessionLimits = { openedTimeoutMs: HOUR_MS, closedTimeoutMs: HOUR_MS };
  await using server = await TestServer.start({ apps: [slow], appTimeouts, sessionLimits });
  await using client = await server.connect();
  client.send("open", openParameters());
  await slow.nextCall();
  await client.close("end");
  gate.resolve();
  assertEquals(await slow.told("close"), { how: "left_out" });
  await server.idle();
  assertEquals(slow.whats, ["open", "close"]);
  assertEquals(await server.data.files(), []);
});

/** @param late Rejects when the app's time is over. */
const FAILING_CLOSES: Readonly<Record<string, (late: Promise<never>) => unknown>> = {
  throws() {
    throw new Error("on purpose");
  },
  rejects: () => Promise.reject(new Error("on purpose")),
  "never settles": () => new Promise(() => {}),
  "rejects after its time": (late) => late,
  "answers nonsense": () => "nonsense",
  "answers output variables that are no texts": () => ({ outputVariables: { n: 1 } }),
  "answers output variables that are too large": () => ({
    outputVariables: { text: "x".repeat(70_000) },
  }),
  "answers output variables that are no object": () => ({ outputVariables: "text" }),
};

for (const [how, close] of Object.entries(FAILING_CLOSES)) {
  Deno.test(`failing: an app whose close ${how} does not delay closed`, async () => {
    using _defects = watchDefects();
    const late = Promise.withResolvers<never>();
    const bad = new TestApp({ close: () => close(late.promise) as never });
    const good = new TestApp();
    await using server = await TestServer.start({ apps: [bad, good], appTimeouts: FAST });
    await using client = await server.connect();
    await client.open();
    const audio = noise(1600);
    client.sendAudio(audio);
    const startMs = performance.now();
    await client.close();
    const tookMs = performance.now() - startMs;
    late.promise.catch(() => {}); // where no app listens to it
    late.reject(new Error("late"));
    assertLess(tookMs, APP_TIMEOUTS.closeMs, "it has less time than usual");
    await server.idle();
    assertEquals(good.whats, ["open", "opened", "audio", "close", "ended"]);
    const { wav, metadata } = await server.recording(client.id);
    assertWav(wav, { format: "PCMU", channels: 2, data: audio });
    assertEquals(metadata.isComplete, true);
  });
}

/** What has to happen so that a report is made. */
const REPORTS: readonly (keyof CallHandler)[] = [
  "opened",
  "message",
  "audio",
  "gap",
  "paused",
  "resumed",
  "update",
  "dtmf",
  "playback",
  "tick",
  "ended",
];

for (const how of ["throws", "rejects"]) {
  for (const what of REPORTS) {
    Deno.test(`failing: an app that ${how} in ${what}() is left out, the others go on`, async () => {
      using _defects = watchDefects();
      const fail = () => {
        if (how === "throws") throw new Error("on purpose");
        return Promise.reject(new Error("on purpose"));
      };
      const bad = new TestApp({ name: "bad", [what]: fail });
      const good = new TestApp({ name: "good" });
      await using server = await TestServer.start({ apps: [bad, good] });
      await using client = await server.connect();
      await client.open();
      const audio = noise(3200);
      const act = async () => {
        client.sendAudio(audio.slice(0, 1600));
        client.send("discarded", { start: "PT0S", discarded: "PT0.1S" });
        client.send("paused");
        client.send("resumed", { start: "PT0S", discarded: "PT0S" });
        client.send("dtmf", { digit: "1" });
        client.send("playback_started");
        client.send("update", { language: "de" });
        await client.expect("updated");
        if (what === "tick") await good.told("tick");
        client.sendAudio(audio.slice(1600));
        await client.ping();
      };
      await act();
      await client.close();
      await server.idle();
      assertEquals(good.whats.slice(-2), ["close", "ended"]);
      assertEquals(good.count("audio"), 2);
      assertEquals(bad.count("close"), 1, "its close is still called");
      // "left out from then on": each kind of report fails once at most.
      if (what !== "message" && what !== "tick") assertEquals(bad.count(what), 1);
      if (what === "opened") assertEquals(bad.count("audio"), 0);
      assertWav((await server.recording(client.id)).wav, {
        format: "PCMU",
        channels: 2,
        data: concat(audio.slice(0, 1600), new Uint8Array(1600).fill(0xFF), audio.slice(1600)),
      });
    });
  }
}

Deno.test("failing: an app that asks for what is refused, and does not catch it, is left out", async () => {
  const bad = new TestApp({
    open: (it) => void (call = it),
    audio: () => call?.play(new Uint8Array(1)),
  });
  let call: Call | undefined;
  const good = new TestApp();
  await using server = await TestServer.start({ apps: [bad, good] });
  await using client = await server.connect();
  await client.open();
  client.sendAudio(noise(16));
  client.sendAudio(noise(16));
  await client.ping();
  await client.close();
  assertEquals([bad.count("audio"), good.count("audio")], [1, 2]);
});

Deno.test("failing: an app cannot spoil a frame for the wire's count", async () => {
  // It may not change the frame, but it may keep it.
  const kept: AudioFrame[] = [];
  const app = new TestApp({ audio: (frame) => void kept.push(frame) });
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open();
  const audio = noise(16_000);
  for (let at = 0; at < audio.length; at += 160) client.sendAudio(audio.slice(at, at + 160));
  await client.ping();
  await client.close();
  assertSameBytes(concat(...kept.map(({ bytes }) => bytes)), audio);
});

Deno.test("a probe is no call of any app", async () => {
  const app = new TestApp({ preferences: { media: STEREO } });
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  client.send("open", probeParameters());
  await client.expect("opened");
  await client.close();
  await server.idle();
  assertEquals(app.notes, []);
});

Deno.test("an app's languages have to be language tags", async () => {
  const app = new TestApp({ supportedLanguages: ["not a tag!"] });
  let message = "";
  try {
    await using server = await TestServer.start({ apps: [app] });
    await server.idle();
  } catch (error) {
    assertInstanceOf(error, TypeError);
    message = error.message;
  }
  assertMatch(message, /not a tag!/);
});

Deno.test("tick: an app hears about once a second, in any state", async () => {
  const gate = Promise.withResolvers<void>();
  const app = new TestApp({ close: () => gate.promise });
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open();
  await app.told("tick", 4000);
  client.send("close", { reason: "end" });
  await app.told("tick", 4000);
  gate.resolve();
  await client.expect("closed");
  await client.hangUp();
});
