/**
 * What answering a request takes: the parts of the API, handed to each route.
 *
 * Imports types only.
 */
import type { OpenFiles } from "./open_files.ts";
import type { ApiStorage } from "./patient_storage.ts";
import type { UnfinishedAnswers } from "./unfinished_answers.ts";
import type { WorkQueue } from "./work_queue.ts";

/** What came of removing a recording. */
export type RemoveOutcome = "removed" | "not_found" | "being_made" | "on_hold";

/** Bounds of what requests may take. */
export interface ApiLimits {
  /** Bytes of a request's body. */
  readonly maxBodyBytes: number;
  /** How long a body may take to come. */
  readonly bodyTimeoutMs: number;
  /** How long an answer may take to begin, whatever it takes of what follows. */
  readonly answerTimeoutMs: number;
  /** How long storage may take for one thing that is read or looked for: also for each piece of a file. */
  readonly readTimeoutMs: number;
  /** How long it may take for a change. */
  readonly changeTimeoutMs: number;
  /** Reads that storage does at a time, those included that nobody waits for any more. */
  readonly maxReadsRunning: number;
  /** And that wait for their turn. */
  readonly maxReadsWaiting: number;
  /** Changes that wait for their turn, which are made one after the other. */
  readonly maxChangesWaiting: number;
  /** How long a client may take for the next piece of a file. */
  readonly stallTimeoutMs: number;
  /** Files that are read at a time. */
  readonly maxOpenFiles: number;
  /** Answers with a file that clients have not read to their end, cut off or not. */
  readonly maxUnfinishedAnswers: number;
  /** Outlines of audio that are computed at a time. */
  readonly maxPeaksRunning: number;
  /** And that wait for their turn. */
  readonly maxPeaksWaiting: number;
  /** How long they do. */
  readonly peaksWaitTimeoutMs: number;
}

/** What routes are answered with. */
export interface ApiParts extends ApiStorage {
  readonly files: OpenFiles;
  readonly unfinished: UnfinishedAnswers;
  readonly peaks: WorkQueue;
  readonly limits: ApiLimits;
}
