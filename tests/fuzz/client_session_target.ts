/**
 * Fuzz target: the client's session, by mutated transcripts of a server's part, with an application
 * that does anything at any time.
 */
import { openParameters, SERVER_MESSAGES } from "../helpers/protocol_wire.ts";
import { ClientSessionDriver } from "./client_session_driver.ts";
import { type FuzzTarget, shares, type Tally } from "./fuzz_target.ts";
import {
  type Act,
  describeSteps,
  SESSION_INPUT,
  type SessionInput,
  type Step,
  stepsOf,
  transcriptsFor,
} from "./session_steps.ts";

/** More than half of the time, nothing. */
const ACTS: readonly Act[] = [
  ...Array<undefined>(24).fill(undefined),
  ["open", [openParameters()]],
  ["sendAudio", [1600]],
  ["sendAudio", [801]],
  ["sendAudio", [64_000]],
  ["sendAudio", [64_001]],
  ["discard", [8000]],
  ["discard", [0]],
  ["pause", []],
  ["resume", []],
  ["update", ["es-419"]],
  ["update", ["no language"]],
  ["dtmf", ["#"]],
  ["dtmf", ["##"]],
  ["playback", ["started"]],
  ["playback", ["completed"]],
  ["error", [{ code: 429, message: "\ud800", retryAfter: "PT1S" }]],
  ["error", [{ code: 1, message: "" }]],
  ["close", ["end"]],
];

/** Those that a client does not take part in are of no use here. */
const TRANSCRIPTS = transcriptsFor("client").filter((steps) =>
  steps.some((step) => step.kind === "act")
);

const steps = (input: SessionInput): readonly Step[] => stepsOf("client", TRANSCRIPTS, ACTS, input);

function run(input: SessionInput, tally: Tally): void {
  const driver = new ClientSessionDriver(!input.miscounts);
  for (const step of steps(input)) driver.run(step);
  driver.finish();
  tally.reachedAll(driver.reached);
}

export const clientSessionTarget: FuzzTarget<SessionInput> = {
  name: "client session",
  input: "a session, from `open` to its end",
  arbitrary: SESSION_INPUT,
  batch: 250,
  mustReach: {
    ...shares("state", ["opening", "open", "closing", "closed"], 0.1),
    "state idle": 0.01,
    "state withdrawing": 0.03,
    ...shares("accepted", Object.keys(SERVER_MESSAGES), 0.01),
    ...shares("accepted", ["unknown type", "audio"], 0.01),
    ...shares("sent", ["open", "close", "paused", "resumed", "discarded", "error"], 0.02),
    ...shares("sent", ["ping", "update", "dtmf"], 0.01),
    timeout: 0.02,
    closed: 0.1,
  },
  run,
  describe: (input) => describeSteps(steps(input), input),
};
