/**
 * What happens to a session, step by step: the transcripts of `tests/testdata/transcripts`, seen
 * from one side, and their mutations.
 */
import fc from "fast-check";
import {
  CLIENT_MESSAGES,
  clientMessage,
  type Json,
  type JsonObject,
  SERVER_MESSAGES,
  serverMessage,
} from "../helpers/protocol_wire.ts";
import { AUDIO_SIZES, pick, TEXTS, WAITS_MS } from "./hostile_values.ts";
import { ANY_NUMBER, EDIT, type Edit, mutatedText } from "./mutations.ts";

/** Something that happens to the session under test. */
export type Step =
  /** A message of the peer, with what is changed in it. */
  | { readonly kind: "message"; readonly json: string; readonly edits: readonly Edit[] }
  | { readonly kind: "raw"; readonly text: string }
  | { readonly kind: "audio"; readonly bytes: number }
  /** The application does something. */
  | { readonly kind: "act"; readonly act: string; readonly args: readonly unknown[] }
  | { readonly kind: "wait"; readonly ms: number; readonly isLate: boolean }
  /** Time goes on to the next deadline, or to just before it. */
  | { readonly kind: "deadline"; readonly earlyMs: number }
  | { readonly kind: "end" };

/** One mutation of a transcript. */
export interface StepEdit {
  readonly how: number;
  readonly at: number;
  readonly to: number;
  readonly edit: Edit;
}

export const STEP_EDITS: fc.Arbitrary<readonly StepEdit[]> = fc.array(
  fc.record({ how: ANY_NUMBER, at: ANY_NUMBER, to: ANY_NUMBER, edit: EDIT }),
  { maxLength: 6 },
);

/** What happens to a session, made from one transcript. */
export interface SessionInput {
  readonly transcript: number;
  readonly edits: readonly StepEdit[];
  /** What the application does after each step, besides what the transcript says. */
  readonly acts: readonly number[];
  /** Whether messages keep the numbers that they have in the transcript. */
  readonly miscounts: boolean;
}

export const SESSION_INPUT: fc.Arbitrary<SessionInput> = fc.record({
  transcript: ANY_NUMBER,
  edits: STEP_EDITS,
  acts: fc.array(ANY_NUMBER, { maxLength: 24 }),
  miscounts: fc.nat(7).map((number) => number === 1),
});

/** Something that an application can do; `undefined` for nothing. */
export type Act = readonly [string, readonly unknown[]] | undefined;

type Side = "client" | "server";

interface TranscriptStep {
  readonly from?: Side;
  readonly text?: JsonObject;
  readonly audioBytes?: number;
  readonly do?: string;
  readonly args?: readonly Json[];
  readonly atMs?: number;
}

const DIRECTORY = new URL("../testdata/transcripts/", import.meta.url);

/** What happens to one side in each of the transcripts. */
export function transcriptsFor(side: Side): readonly (readonly Step[])[] {
  return [...Deno.readDirSync(DIRECTORY)].map(({ name }) => name).toSorted().map((name) =>
    transcriptSteps(side, JSON.parse(Deno.readTextFileSync(new URL(name, DIRECTORY))))
  );
}

function transcriptSteps(side: Side, transcript: readonly TranscriptStep[]): Step[] {
  const steps: Step[] = [];
  let nowMs = 0;
  for (const { from, text, audioBytes, do: act, args = [], atMs = nowMs } of transcript) {
    if (atMs > nowMs) steps.push({ kind: "wait", ms: atMs - nowMs, isLate: false });
    nowMs = atMs;
    if (act?.startsWith(`${side}.`)) {
      steps.push({ kind: "act", act: act.slice(side.length + 1), args });
    }
    if (from === undefined || from === side) continue;
    if (text !== undefined) steps.push({ kind: "message", json: JSON.stringify(text), edits: [] });
    if (audioBytes !== undefined) steps.push({ kind: "audio", bytes: audioBytes });
  }
  return steps;
}

/** Ready-made messages, to be put in anywhere. */
function messagesTo(side: Side): readonly string[] {
  const [specs, make] = side === "server"
    ? [CLIENT_MESSAGES, clientMessage]
    : [SERVER_MESSAGES, serverMessage];
  const full = Object.entries(specs).map(([type, spec]) => make(type, spec.full));
  return [...full, make("not_known_here", { a: 1 })].map((message) => JSON.stringify(message));
}

const MESSAGES = { client: messagesTo("client"), server: messagesTo("server") };

function inserted(side: Side, { to, edit }: StepEdit): Step {
  const isLate = edit.size % 3 === 2;
  switch (edit.at % 8) {
    case 0:
    case 1:
      return { kind: "message", json: pick(MESSAGES[side], to), edits: [] };
    case 2:
      return { kind: "message", json: pick(MESSAGES[side], to), edits: [edit] };
    case 3:
      return { kind: "audio", bytes: edit.size % 2 === 0 ? pick(AUDIO_SIZES, to) : to % 4000 };
    case 4:
      return { kind: "wait", ms: pick(WAITS_MS, to), isLate };
    case 5:
      return { kind: "wait", ms: to % 20_000 / 8, isLate };
    case 6:
      return { kind: "deadline", earlyMs: pick([0, 0.001, 1], to) };
    default:
      return to % 8 === 0 ? { kind: "end" } : { kind: "raw", text: pick(TEXTS, to) };
  }
}

function mutateSteps(steps: Step[], side: Side, stepEdit: StepEdit): void {
  const { how, to, edit } = stepEdit;
  const at = stepEdit.at % Math.max(1, steps.length);
  const step = steps[at];
  switch (how % 16) {
    case 0:
      steps.splice(at, 1);
      return;
    case 1:
      if (step !== undefined) steps.splice(at, 0, step);
      return;
    case 2:
      // Not more: the rates of sessions are another matter.
      if (step !== undefined) steps.splice(at, 0, ...Array<Step>(edit.size % 40).fill(step));
      return;
    case 3:
      steps.splice(at, 2, ...steps.slice(at, at + 2).reverse());
      return;
    case 4:
      if (step !== undefined) steps.splice(to % steps.length, 0, ...steps.splice(at, 1));
      return;
    case 5:
      steps.splice(at + 1);
      return;
    case 6:
    case 7:
    case 8:
    case 9:
      if (step?.kind === "message") steps[at] = { ...step, edits: [...step.edits, edit] };
      else if (step?.kind === "audio") steps[at] = { ...step, bytes: pick(AUDIO_SIZES, to) };
      return;
    default:
      steps.splice(at, 0, inserted(side, stepEdit));
  }
}

/** A transcript with all edits, one after the other, and with what else the application does. */
export function stepsOf(
  side: Side,
  transcripts: readonly (readonly Step[])[],
  possibleActs: readonly Act[],
  input: SessionInput,
): readonly Step[] {
  const steps = [...pick(transcripts, input.transcript)];
  for (const edit of input.edits) mutateSteps(steps, side, edit);
  return steps.flatMap((step, index): Step[] => {
    const [act, args] = pick(possibleActs, input.acts[index] ?? 0) ?? [];
    return act === undefined ? [step] : [step, { kind: "act", act, args: args ?? [] }];
  });
}

/** Steps for people; texts as they are before they are renumbered. */
export function describeSteps(
  steps: readonly Step[],
  { miscounts }: Pick<SessionInput, "miscounts">,
): string {
  const lines = steps.map((step) =>
    step.kind === "message"
      ? `message ${JSON.stringify(mutatedText(JSON.parse(step.json), step.edits))}`
      : JSON.stringify(step)
  );
  return [miscounts ? "As numbered here:" : "Renumbered:", ...lines].join("\n");
}
