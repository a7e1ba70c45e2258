/**
 * Fuzz target: the server's session, by mutated transcripts of a client's part, with an application
 * that does anything at any time.
 */
import { CLIENT_MESSAGES, transcriptEntity } from "../helpers/protocol_wire.ts";
import { type FuzzTarget, shares, type Tally } from "./fuzz_target.ts";
import { ServerSessionDriver } from "./server_session_driver.ts";
import {
  type Act,
  describeSteps,
  SESSION_INPUT,
  type SessionInput,
  type Step,
  stepsOf,
  transcriptsFor,
} from "./session_steps.ts";

const NOTE = { type: "note", data: { n: 1 } };

/** Half of the time, nothing. */
const ACTS: readonly Act[] = [
  ...Array<undefined>(24).fill(undefined),
  ["openedAsOffered", [0]],
  ["openedAsOffered", [1]],
  ["opened", [{ startPaused: true }]],
  ["opened", [{ discardTo: "PT1S", supportedLanguages: ["en-US"] }]],
  ["opened", [{ media: { type: "audio" } }]],
  ["opened", [{ discardTo: "PT-1S" }]],
  ["sendEvent", [[transcriptEntity("x")]]],
  ["sendEvent", [[{ type: "barge_in", data: {} }]]],
  ["sendEvent", [Array(30).fill(NOTE)]],
  ["sendEvent", [[{ type: "large", data: "x".repeat(63_400) }]]],
  ["sendEvent", [[{ type: "transcript", data: 1 }]]],
  ["sendEvent", [[]]],
  ["pause", []],
  ["resume", []],
  ["updated", []],
  ["play", [1600]],
  ["play", [64_000]],
  ["play", [3]],
  ["play", [0]],
  ["disconnect", ["completed", undefined, { a: "b" }]],
  ["disconnect", ["error", "\ud800\0"]],
  ["reconnect", []],
  ["closed", []],
  ["closed", [{ large: "x".repeat(64_000) }]],
];

const TRANSCRIPTS = transcriptsFor("server");

const steps = (input: SessionInput): readonly Step[] => stepsOf("server", TRANSCRIPTS, ACTS, input);

function run(input: SessionInput, tally: Tally): void {
  const driver = new ServerSessionDriver(!input.miscounts);
  for (const step of steps(input)) driver.run(step);
  driver.finish();
  tally.reachedAll(driver.reached);
}

export const serverSessionTarget: FuzzTarget<SessionInput> = {
  name: "server session",
  input: "a session, from the connection to its end",
  arbitrary: SESSION_INPUT,
  batch: 250,
  mustReach: {
    ...shares("state", ["opening", "open", "disconnecting", "closing", "closed"], 0.1),
    ...shares("state", ["idle", "refusing", "withdrawing"], 0.03),
    ...shares("accepted", [...Object.keys(CLIENT_MESSAGES), "unknown type", "audio"], 0.02),
    ...shares("sent", ["opened", "pong", "pause", "resume", "event", "disconnect", "closed"], 0.05),
    ...shares("sent", ["updated", "reconnect"], 0.01),
    "did play": 0.01,
  },
  run,
  describe: (input) => describeSteps(steps(input), input),
};
