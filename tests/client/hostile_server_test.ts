// Whatever a server does, a call has an end, soon, and says what was wrong.
import { assertEquals, assertLess, assertLessOrEqual, assertMatch } from "@std/assert";
import { frameBytes, type FrameShape } from "../helpers/frame_bytes.ts";
import { type RawPeer, RawServer } from "./raw_server.ts";
import { startCall } from "./some_call.ts";

const LIMITS = {
  openTimeoutMs: 1500,
  closeTimeoutMs: 1500,
  pongTimeoutMs: 1500,
  firstPingMs: 50,
  pingIntervalMs: 200,
};

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const frame = (shape: Omit<FrameShape, "masked">) => frameBytes({ ...shape, masked: false });
const opcodes = (shape: Omit<FrameShape, "masked">) => async (peer: RawPeer) => {
  await peer.openSession();
  await peer.write(frame(shape));
  await peer.drain();
};

/** Writes until the client is gone, and reads nothing. */
async function flood(peer: RawPeer, next: () => Uint8Array): Promise<void> {
  while (true) {
    const chunks = Array.from({ length: 50 }, next);
    const joined = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
    let offset = 0;
    for (const chunk of chunks) {
      joined.set(chunk, offset);
      offset += chunk.length;
    }
    await peer.write(joined);
  }
}

interface Hostility {
  readonly act: (peer: RawPeer) => Promise<void>;
  readonly failure: RegExp;
}

const HOSTILE: Readonly<Record<string, Hostility>> = {
  "takes the connection, and is silent": {
    act: async (peer) => void await peer.drain(),
    failure: /Cannot connect.*No answer in time/,
  },
  "answers by a byte now and then": {
    async act(peer) {
      while (true) {
        await peer.write("H");
        await pause(20);
      }
    },
    failure: /Cannot connect/,
  },
  "answers by what is no HTTP": {
    act: (peer) => peer.write("220 smtp.example.com ESMTP\r\n"),
    failure: /Cannot connect/,
  },
  "answers by a head without end": {
    async act(peer) {
      await peer.readHead();
      await peer.write("HTTP/1.1 101 Switching Protocols\r\n");
      while (true) await peer.write(`X: ${"x".repeat(10_000)}\r\n`);
    },
    failure: /Cannot connect/,
  },
  "accepts by a wrong key": {
    async act(peer) {
      await peer.readHead();
      await peer.write(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
          "Sec-WebSocket-Accept: bm9ib2R5\r\n\r\n",
      );
      await peer.drain();
    },
    failure: /Cannot connect/,
  },
  "answers 200 with a body without end": {
    async act(peer) {
      await peer.readHead();
      await peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      while (true) await peer.write("4\r\nbody\r\n");
    },
    failure: /Cannot connect.*200/,
  },
  "upgrades, and is silent": {
    async act(peer) {
      await peer.upgrade();
      await peer.drain();
    },
    failure: /"opened"/,
  },
  "trickles opened": {
    async act(peer) {
      await peer.upgrade();
      await peer.until("open");
      for (const byte of peer.frame("opened", { media: [] })) {
        await peer.write(new Uint8Array([byte]));
        await pause(20);
      }
    },
    failure: /"opened"/,
  },
  "never reads, and says nothing": {
    async act(peer) {
      await peer.openSession();
      await pause(5000);
    },
    failure: /"pong"/,
  },
  "sends bytes that are no frames": {
    async act(peer) {
      await peer.openSession();
      await peer.write(crypto.getRandomValues(new Uint8Array(5000)).fill(0xff, 0, 2));
      await peer.drain();
    },
    failure: /section 1\)/,
  },
  "masks its frames": {
    async act(peer) {
      await peer.openSession();
      await peer.write(frameBytes({ opcode: 1, payload: "{}" }));
      await peer.drain();
    },
    failure: /section 1\)/,
  },
  "uses an opcode that there is not": { act: opcodes({ opcode: 5 }), failure: /section 1\)/ },
  "sets a reserved bit": { act: opcodes({ opcode: 1, rsv: 4 }), failure: /section 1\)/ },
  "announces 10 GB": {
    act: opcodes({ opcode: 2, length: 10_000_000_000n, lengthBytes: 8 }),
    failure: /section 1\)/,
  },
  "sends a text that is not UTF-8": {
    act: opcodes({ opcode: 1, payload: new Uint8Array([0xc3, 0x28]) }),
    failure: /section 1\)/,
  },
  "sends a text of 2 MB": {
    act: opcodes({ opcode: 1, payload: "x".repeat(2_000_000) }),
    failure: /section 1\)/,
  },
  "sends a text of 100 kB": {
    act: opcodes({ opcode: 1, payload: "x".repeat(100_000) }),
    failure: /section 1\)/,
  },
  "sends a message in fragments without end": {
    async act(peer) {
      await peer.openSession();
      await peer.write(frame({ opcode: 1, fin: false, payload: "x" }));
      await flood(peer, () => frame({ opcode: 0, fin: false, payload: "x".repeat(60_000) }));
    },
    // Nothing is answered meanwhile.
    failure: /section 1\)|"pong"/,
  },
  "sends nonsense without end": {
    async act(peer) {
      await peer.openSession();
      await flood(peer, () => frame({ opcode: 1, payload: "{" }));
    },
    failure: /section 4\)/,
  },
  "sends audio without end to who wants none": {
    async act(peer) {
      await peer.openSession();
      await flood(peer, () => frame({ opcode: 2, payload: new Uint8Array(1600) }));
    },
    failure: /section 15\)/,
  },
  "sends events without end": {
    async act(peer) {
      await peer.openSession();
      await flood(peer, () => peer.frame("event", { entities: [{ type: "x", data: 1 }] }));
    },
    failure: /section 12\)/,
  },
  "asks for a pause without end, and reads nothing": {
    async act(peer) {
      await peer.openSession();
      await flood(peer, () => peer.frame("pause"));
    },
    failure: /section 12\)/,
  },
  "pings without end, and reads nothing": {
    async act(peer) {
      await peer.openSession();
      await flood(peer, () => frame({ opcode: 9, payload: "x".repeat(125) }));
    },
    failure: /does not read|"pong"|"closed"|The connection ended/,
  },
  "goes on after close": {
    async act(peer) {
      await peer.openSession();
      await peer.until("close");
      while (true) {
        await peer.say("event", { entities: [{ type: "x", data: 1 }] });
        await pause(50);
      }
    },
    failure: /"closed"/,
  },
  "ends the WebSocket in place of closed": {
    async act(peer) {
      await peer.openSession();
      await peer.until("close");
      await peer.write(frame({ opcode: 8, payload: new Uint8Array([3, 232]) }));
      await peer.drain();
    },
    failure: /section 13\.2\).*1000/,
  },
  "ends the WebSocket in place of opened": {
    async act(peer) {
      await peer.upgrade();
      await peer.write(frame({ opcode: 8 }));
      await peer.drain();
    },
    failure: /section 1\).*1005/,
  },
  "ends the connection in place of closed": {
    async act(peer) {
      await peer.openSession();
      await peer.until("close");
    },
    failure: /before the session was closed/,
  },
};

for (const [name, { act, failure }] of Object.entries(HOSTILE)) {
  Deno.test(`hostile server: one that ${name} is given up`, async () => {
    const startedMs = performance.now();
    await using server = new RawServer(act);
    const closes = /close|closed$/.test(name);
    const call = startCall(server.url, {
      // Long enough that the call does not end by itself.
      seconds: closes ? 1 : 300,
      speed: closes ? 20 : 10,
      connectTimeoutMs: 1500,
      limits: closes ? { ...LIMITS, firstPingMs: 60_000 } : LIMITS,
      onEvent(event) {
        // Who floods is told so, and the call goes on: it ends when the caller hangs up.
        if (event.type === "violation" && !event.ends) call.control.close();
      },
    });
    const outcome = await call.outcome;
    assertMatch(outcome.failure ?? "", failure);
    assertLessOrEqual(outcome.violations.length, 100);
    assertEquals([outcome.attempts, server.count], [1, 1]);
    assertLess(performance.now() - startedMs, 20_000);
  });
}

Deno.test("hostile server: an address, a header or a speed that is none is an outcome", async () => {
  const url = new URL("ws://127.0.0.1:1/");
  const outcomes = await Promise.all([
    startCall(new URL("http://127.0.0.1:1/"), { sessionId: "line\nbreak" }).outcome,
    startCall(url, { apiKey: "line\r\nbreak", maxRetries: 5 }).outcome,
    startCall(url, { speed: 0 }).outcome,
    startCall(url, { speed: NaN }).outcome,
  ]);
  for (const { failure, attempts } of outcomes) {
    assertMatch(failure ?? "", /^Cannot (connect|place)/);
    assertLessOrEqual(attempts, 1);
  }
});

Deno.test("hostile server: an open that cannot be sent is an outcome", async () => {
  await using server = new RawServer(async (peer) => {
    await peer.upgrade();
    await peer.drain();
  });
  const { outcome } = startCall(server.url, {
    openMore: { language: "no language", customConfig: { x: "x".repeat(70_000) } },
  });
  assertMatch((await outcome).failure ?? "", /Cannot send "open"/);
});

Deno.test("hostile server: a channel that was offered, and that the file does not have, is an outcome", async () => {
  await using server = new RawServer(async (peer) => {
    await peer.openSession();
    await peer.until("close");
    await peer.say("closed");
    await peer.drain();
  });
  const { outcome } = startCall(server.url, {
    channels: 1,
    openMore: {
      media: [{ type: "audio", format: "PCMU", channels: ["internal"], rate: 8000 }],
    },
  });
  assertMatch((await outcome).failure ?? "", /Cannot send what the server selected/);
});
