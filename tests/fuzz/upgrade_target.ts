/**
 * Fuzz target: a real server, by requests that were valid once, and by frames on connections that
 * it has accepted.
 */
import fc from "fast-check";
import { watchDefects } from "../helpers/defects.ts";
import { HANDSHAKE } from "../helpers/raw_socket.ts";
import { requestHeaders } from "../helpers/wire_client.ts";
import { type FuzzTarget, shares, type Tally } from "./fuzz_target.ts";
import { pick } from "./hostile_values.ts";
import { ANY_NUMBER, EDIT, type Edit } from "./mutations.ts";
import { mutatedHead } from "./request_heads.ts";
import { describeSteps, stepsOf, transcriptsFor } from "./session_steps.ts";
import { type Leaving, type Sending, tryConnection } from "./upgrade_connection.ts";
import { UpgradeServer } from "./upgrade_server.ts";
import { binaryFrame, mutatedFrame, textFrame } from "./websocket_frames.ts";

/** One connection; a group of them runs at once. */
interface ConnectionInput {
  readonly head: readonly Edit[];
  readonly transcript: number;
  /** By their `at`, frames that are changed. */
  readonly frames: readonly Edit[];
  readonly leaving: number;
}

const CONNECTION: fc.Arbitrary<ConnectionInput> = fc.record({
  // Half of them are left as they are, for what comes after.
  head: fc.oneof(fc.constant([]), fc.array(EDIT, { minLength: 1, maxLength: 3 })),
  transcript: ANY_NUMBER,
  frames: fc.array(EDIT, { maxLength: 3 }),
  leaving: ANY_NUMBER,
});

const LEAVING: readonly Leaving[] = [
  ...Array<Leaving>(6).fill("finish"),
  "reset",
  "drop",
];
const TRANSCRIPTS = transcriptsFor("server");
/** Any will do where only the form of a request is looked at. */
const EXAMPLE = { id: "0f1c6f4e-53a1-4a8b-9c55-0d3c7e4a1b22", authority: "127.0.0.1:80" };

let server: UpgradeServer | undefined;

function framesOf({ transcript, frames }: ConnectionInput, sessionId: string): Uint8Array[] {
  const sent: Uint8Array[] = [];
  let seq = 0;
  let audio = 0;
  const input = { transcript, edits: [], acts: [], miscounts: false };
  for (const step of stepsOf("server", TRANSCRIPTS, [undefined], input)) {
    if (step.kind === "audio" && audio++ < 4) sent.push(binaryFrame(step.bytes));
    if (step.kind !== "message") continue;
    const message = { ...JSON.parse(step.json), id: sessionId, seq: ++seq, serverseq: 0 };
    const text = JSON.stringify(message);
    const edit = frames.find(({ at }) => at % 8 === seq);
    sent.push(edit === undefined ? textFrame(text) : mutatedFrame(text, edit));
  }
  return sent;
}

async function sendingOf(
  input: ConnectionInput,
  { id, authority }: typeof EXAMPLE,
): Promise<Sending> {
  const headers = await requestHeaders(authority, { id });
  const head = mutatedHead({ Host: authority, ...HANDSHAKE, ...headers }, input.head);
  return {
    head: new TextEncoder().encode(head),
    frames: framesOf(input, id),
    leaving: pick(LEAVING, input.leaving),
    sessionId: id,
  };
}

async function run(group: readonly ConnectionInput[], tally: Tally): Promise<void> {
  const running = server;
  if (running === undefined) throw new Error("The server is not started");
  using _defects = watchDefects();
  const outcomes = await Promise.allSettled(group.map(async (input) => {
    const id = crypto.randomUUID();
    const sending = await sendingOf(input, { id, authority: running.authority });
    const beginMs = performance.now();
    const places = await tryConnection(running.port, sending);
    tally.tried(performance.now() - beginMs);
    for (const place of places) tally.reached(place);
  }));
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  await running.check();
}

function describe(group: readonly ConnectionInput[]): string {
  const headers = { Host: EXAMPLE.authority, ...HANDSHAKE, "Audiohook-Session-Id": "…" };
  return group.map((input) => {
    const steps = stepsOf("server", TRANSCRIPTS, [undefined], {
      transcript: input.transcript,
      edits: [],
      acts: [],
      miscounts: false,
    });
    const frames = framesOf(input, EXAMPLE.id).map((bytes) => bytes.subarray(0, 200).toHex());
    const head = input.head.length === 0
      ? "A signed request"
      : `About ${JSON.stringify(mutatedHead(headers, input.head))}`;
    const valid = input.frames.length === 0 ? [describeSteps(steps, { miscounts: true })] : [];
    return [head, ...valid, ...frames, pick(LEAVING, input.leaving)].join("\n");
  }).join("\n\n");
}

export const upgradeTarget: FuzzTarget<readonly ConnectionInput[]> = {
  name: "upgrade",
  input: "one TCP connection",
  arbitrary: fc.array(CONNECTION, { minLength: 1, maxLength: 40, size: "max" }),
  batch: 8,
  mustReach: {
    "101": 0.1,
    "400": 0.01,
    "401": 0.01,
    "404": 0.005,
    "no answer": 0.001,
    reset: 0.03,
    drop: 0.03,
    ...shares("sent", ["opened", "closed", "disconnect", "pong", "event"], 0.01),
  },
  hasSeveral: true,
  run,
  describe,
  async start() {
    const started = server = await UpgradeServer.start();
    return {
      async [Symbol.asyncDispose]() {
        server = undefined;
        await started[Symbol.asyncDispose]();
      },
    };
  },
};
