// What a call makes of a server whose messages are not as they should be (protocol sections 4 and
// 13), over real sockets: it is told, and the call ends at once all the same.
import { assertEquals, assertLess, assertMatch } from "@std/assert";
import { until } from "../helpers/deadline.ts";
import { type Peer, type Received, type Script, ScriptedServer } from "./scripted_server.ts";
import { eventsOf, startCall } from "./some_call.ts";

const note = { entities: [{ type: "note", data: 1 }] };

/** Says something in place of the usual answer to a message. */
const inPlaceOf = (type: string, say: (peer: Peer, message: Received) => void): Script =>
(
  peer,
  message,
) => message.type === type ? say(peer, message) : peer.answer(message);

/** Says something after the usual answer. */
const after = (type: string, say: (peer: Peer) => void): Script => (peer, message) => {
  peer.answer(message);
  if (message.type === type) say(peer);
};

interface Fault {
  readonly script: Script;
  readonly failure: RegExp;
}

const ENVELOPES: Readonly<Record<string, Fault>> = {
  "opened that acknowledges nothing": {
    script: inPlaceOf(
      "open",
      (peer, { parameters }) =>
        peer.raw(
          peer.envelope("opened", { parameters: { media: [parameters.media[0]] }, clientseq: 0 }),
        ),
    ),
    failure: /section 4\): Invalid "opened": expected a clientseq of at least 1, got 0/,
  },
  "a clientseq that falls": {
    script: after(
      "ping",
      (peer) => peer.raw(peer.envelope("event", { parameters: note, clientseq: 0 })),
    ),
    failure: /section 4\): Invalid message: clientseq is 0, after [23]/,
  },
  "closed that acknowledges no close": {
    script: inPlaceOf(
      "close",
      (peer, { seq }) => peer.raw(peer.envelope("closed", { parameters: {}, clientseq: seq - 1 })),
    ),
    failure: /section 4\): Invalid "closed": expected a clientseq of at least \d+, got \d+/,
  },
  "closed right after disconnect": {
    script: (peer, message) => {
      if (message.type === "close") return;
      peer.answer(message);
      if (message.type !== "open") return;
      peer.say("disconnect", { reason: "completed" });
      peer.say("closed");
    },
    failure: /section 4\): Invalid "closed": expected a clientseq of at least 2, got 1/,
  },
  "a gap in seq": {
    script: after("open", (peer) => {
      peer.envelope("event", {});
      peer.say("event", note);
    }),
    failure: /section 4\): Invalid message: expected seq 2, got 3/,
  },
  "a seq that was there": {
    script: after("open", (peer) => peer.raw(peer.envelope("pause", { parameters: {}, seq: 1 }))),
    failure: /section 4\): Invalid message: expected seq 2, got 1/,
  },
  "closed with a gap in seq": {
    script: inPlaceOf(
      "close",
      (peer) => peer.raw(peer.envelope("closed", { parameters: {}, seq: 99 })),
    ),
    failure: /section 4\): Invalid message: expected seq \d+, got 99/,
  },
  "closed without parameters": {
    script: inPlaceOf("close", (peer) => peer.raw(peer.envelope("closed", {}))),
    failure: /section 4\): Invalid message: .*parameters/,
  },
};

for (const [name, { script, failure }] of Object.entries(ENVELOPES)) {
  Deno.test(`server faults: ${name} is told, and nothing is waited for`, async () => {
    await using server = new ScriptedServer(script);
    const call = startCall(server.url, {
      seconds: 2,
      speed: 4,
      limits: { firstPingMs: 20, closeTimeoutMs: 60_000 },
    });
    const outcome = await call.outcome;
    assertMatch(outcome.failure ?? "", failure);
    assertEquals(eventsOf(call, "timeout"), []);
    assertEquals(eventsOf(call, "closed").length, 1);
    assertEquals(outcome.attempts, 1);
    assertEquals(server.peer.types.filter((type) => type === "close").length, 1);
  });
}

const AFTER_CLOSED: Readonly<
  Record<string, { readonly say: (peer: Peer) => void; readonly section: string }>
> = {
  "an event": { say: (peer) => peer.say("event", note), section: "12" },
  "a second closed": { say: (peer) => peer.say("closed"), section: "13" },
  "audio": { say: (peer) => peer.raw(new Uint8Array(160)), section: "15" },
};

for (const [name, { say, section }] of Object.entries(AFTER_CLOSED)) {
  Deno.test(`server faults: ${name} after closed is a violation`, async () => {
    await using server = new ScriptedServer(after("close", say));
    const call = startCall(server.url);
    const outcome = await call.outcome;
    assertMatch(outcome.failure ?? "", new RegExp(`section ${section}\\)`));
    assertEquals(outcome.violations.length, 1);
    assertEquals(eventsOf(call, "closed").length, 1);
  });
}

Deno.test("server faults: a flood after closed is not listened to for long", async () => {
  await using server = new ScriptedServer(after("close", (peer) => {
    for (let n = 0; n < 5000; n++) peer.say(n % 2 === 0 ? "event" : "bulletin", note);
  }));
  const call = startCall(server.url);
  const outcome = await call.outcome;
  assertMatch(outcome.failure ?? "", /section 12\)/);
  assertLess(call.messages.length, 1000);
});

Deno.test("server faults: an update that is not answered is worth advice, and no failure", async () => {
  for (const isAnswered of [false, true]) {
    await using server = new ScriptedServer((peer, message) => {
      peer.answer(message);
      if (isAnswered && message.type === "update") peer.say("updated");
    });
    const call = startCall(server.url, { seconds: 60, speed: 1 });
    await until(() => eventsOf(call, "opened").length > 0, "the session");
    call.control.update("es");
    await until(() => server.peer.types.includes("update"), "the update");
    call.control.close();
    const outcome = await call.outcome;
    assertEquals([outcome.failure, outcome.violations], [undefined, []]);
    const sections = eventsOf(call, "advice").map(({ section }) => section);
    assertEquals(sections, isAnswered ? [] : ["10"]);
  }
});
