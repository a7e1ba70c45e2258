import { assert, assertEquals, assertThrows } from "@std/assert";
import { LocalProtocolError } from "../../lib/protocol/mod.ts";
import {
  EXTERNAL,
  INTERNAL,
  type JsonObject,
  L16,
  NIL,
  openParameters,
  SESSION_ID,
  STEREO,
} from "../helpers/protocol_wire.ts";
import {
  assertCloses,
  assertRefused,
  connect,
  note,
  offer,
  open,
} from "../helpers/server_session.ts";

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
