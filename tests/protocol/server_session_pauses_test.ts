import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { EXTERNAL, isMessage, type WireClient } from "../helpers/protocol_wire.ts";
import { note, offer, open } from "../helpers/server_session.ts";

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
