/**
 * What comes after a fault or after `close`, and what is no fault at all (protocol section 4).
 */
import { assert, assertEquals } from "@std/assert";
import { noise } from "../helpers/wav_check.ts";
import { type Json, NIL, openParameters, type WireClient } from "../helpers/wire_client.ts";
import { checkInfo, disconnectOutcome, MARK, type Row } from "./runner.ts";
import type { LineId } from "./table.ts";

const AUDIO = noise(160);

// The client that sent it waits for `closed`; it may send another `close` for the `disconnect`.
const badClose = (
  name: string,
  value: Json,
  envelope: Record<string, Json>,
  fault: RegExp,
  again: boolean,
): Row => ({
  line: "bad close",
  name: `${name}${again ? ", and another close" : ""}`,
  recorded: { audio: AUDIO, isComplete: true },
  async run(scene) {
    const client = await scene.connect();
    await client.open();
    client.sendAudio(AUDIO);
    client.send("close", value, envelope);
    const disconnect = await client.expect("disconnect");
    checkInfo(disconnect, fault);
    if (again) client.send("close", { reason: "disconnect" });
    await client.expect("closed", 3000);
    await client.hangUp();
    assertEquals(client.history.length, 3);
    return disconnectOutcome(disconnect);
  },
});

const goesOn = (
  line: LineId,
  name: string,
  send: (client: WireClient) => Promise<void> | void,
): Row => ({
  line,
  name,
  recorded: { audio: AUDIO, isComplete: true },
  async run(scene) {
    const client = await scene.connect();
    await client.open();
    client.sendAudio(AUDIO);
    await send(client);
    await client.ping();
    await client.close();
    return "goes on";
  },
});

const afterClose = (name: string, send: (client: WireClient) => void): Row => ({
  line: "after close",
  name,
  recorded: { audio: AUDIO, isComplete: true },
  async run(scene) {
    const client = await scene.connect();
    await client.open();
    client.sendAudio(AUDIO);
    const go = scene.hold("close");
    client.send("close", { reason: "end" });
    await scene.app.told("close");
    send(client);
    // Once before `closed`, and once after it.
    await scene.log.said("The client of {sessionId} broke the protocol: {info}");
    go();
    await client.expect("closed");
    send(client);
    await client.hangUp();
    assertEquals(client.history.map(({ type }) => type), ["opened", "closed"]);
    return "goes on";
  },
});

/** A ping with more fields than it needs, at each level. */
function sendMore(client: WireClient, more: string): void {
  const message = JSON.stringify({
    version: "2",
    id: client.id,
    type: "ping",
    seq: ++client.seq,
    serverseq: client.serverseq,
    position: "PT0.01S",
    parameters: "HERE",
  });
  client.sendText(message.replace('"HERE"', `{${more}}`).replace("{", `{${more},`));
}

const BAD_CLOSES = [
  ["no reason", {}, {}, /reason/],
  ["a reason that is no text", { reason: 5 }, {}, /reason/],
  ["a reason of 65 letters", { reason: "x".repeat(65) }, {}, /reason/],
  ["a wrong seq", { reason: "end" }, { seq: 7 }, /seq/],
  ["a serverseq that is too high", { reason: "end" }, { serverseq: 9 }, /serverseq/],
  ["a bad position", { reason: "end" }, { position: MARK }, /position/],
] as const;

export const AFTERMATH_ROWS: readonly Row[] = [
  ...BAD_CLOSES.flatMap(([name, value, envelope, fault]) =>
    [true, false].map((again) => badClose(name, value, envelope, fault, again))
  ),
  // It may be another session's, so it closes nothing.
  badClose("another id", { reason: "end" }, { id: NIL }, /\bid\b/, true),

  {
    line: "after disconnect",
    name: "500 faults",
    async run(scene) {
      const client = await scene.connect();
      await client.open();
      for (let i = 0; i < 500; i++) client.send("ping", {}, { id: NIL });
      client.sendAudio(noise(161));
      const disconnect = await client.expect("disconnect");
      await client.close("disconnect");
      assertEquals(client.history.map(({ type }) => type), ["opened", "disconnect", "closed"]);
      return disconnectOutcome(disconnect);
    },
  },
  {
    line: "after disconnect",
    name: "a ping and audio under way",
    recorded: { audio: AUDIO, isComplete: true },
    async run(scene) {
      const client = await scene.connect();
      await client.open();
      client.send("ping", {}, { seq: 5 });
      client.sendAudio(AUDIO);
      client.send("ping");
      const disconnect = await client.expect("disconnect");
      assertEquals((await client.expect("pong")).clientseq, 6);
      await client.close("disconnect");
      return disconnectOutcome(disconnect);
    },
  },

  afterClose("a ping", (client) => void client.send("ping")),
  afterClose("audio", (client) => client.sendAudio(noise(160, 2))),
  afterClose("part of a sample", (client) => client.sendAudio(noise(161, 2))),
  afterClose("no JSON", (client) => {
    client.sendText(MARK);
    client.seq++;
  }),
  afterClose("open", (client) => void client.send("open", openParameters())),
  afterClose("a second close", (client) => void client.send("close", { reason: "end" })),

  goesOn("unknown type", "a word", (client) => void client.send("hologram", { name: MARK })),
  goesOn("unknown type", "a name", (client) => void client.send(MARK)),
  ...["constructor", "toString", "__proto__"].map((type) =>
    goesOn("unknown type", type, (client) => void client.send(type))
  ),

  goesOn("unknown field", "at each level", async (client) => {
    sendMore(client, `"note":{"name":"${MARK}"}`);
    await client.expect("pong");
  }),
  ...["__proto__", "constructor", "toJSON", "hasOwnProperty"].map((name) =>
    goesOn("unknown field", name, async (client) => {
      sendMore(client, `"${name}":{"type":"close","polluted":"${MARK}"}`);
      await client.expect("pong");
      assert(!("polluted" in {}));
    })
  ),

  ...["discarded", "resumed"].map((type): Row => ({
    line: "drift",
    name: type,
    async run(scene) {
      const client = await scene.connect();
      await client.open();
      client.sendAudio(AUDIO);
      client.send(type, { start: "PT5S", discarded: "PT0.01S" });
      await client.ping();
      await client.close();
      const gap = scene.app.notes.find(({ what }) => what === "gap")?.detail as Json;
      assertEquals({ at: gap.positionSamples, samples: gap.samples }, { at: 80, samples: 80 });
      return "goes on";
    },
  })),

  goesOn("client error", "code 500", (client) => {
    client.send("error", { code: 500, message: MARK });
  }),
  goesOn("client error", "code 429, for 31 days", (client) => {
    client.send("error", { code: 429, message: MARK, retryAfter: "PT2678400S" });
  }),
  goesOn("client error", "60,000 letters", (client) => {
    client.send("error", { code: 9999, message: MARK + "x".repeat(60_000) });
  }),
];
