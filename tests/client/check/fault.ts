/**
 * What a fault of a server is, and a switch for each: the tables of all faults in one.
 */
import { ANSWER_FAULTS } from "./answer_faults.ts";
import type { Parts } from "./broken_server.ts";
import { ENVELOPE_FAULTS } from "./envelope_faults.ts";
import { LAX_FAULTS } from "./lax_faults.ts";
import { REQUEST_FAULTS } from "./request_faults.ts";
import { STRICT_FAULTS } from "./strict_faults.ts";

/** One thing that a server does wrong. */
export interface Fault extends Parts {
  /** Section of the protocol that forbids it. */
  readonly section: number;
  readonly wrong: string;
  /** The checker's cases that have to fail, or to give advice. */
  readonly cases: readonly string[];
  /** `fail` unless given. */
  readonly verdict?: "fail" | "advice";
  /** It harms other sessions: cases run one after the other, or they would all fail. */
  readonly isContagious?: boolean;
}

/** Every fault, by the name of its switch. */
export const FAULTS = {
  ...REQUEST_FAULTS,
  ...ENVELOPE_FAULTS,
  ...ANSWER_FAULTS,
  ...STRICT_FAULTS,
  ...LAX_FAULTS,
} satisfies Record<string, Fault>;

/** Name of a switch. */
export type FaultName = keyof typeof FAULTS;
