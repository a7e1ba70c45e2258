/**
 * The call before all cases: is there a server, does it let us in, and of what nature is it?
 *
 * Imports its neighbours.
 */
import { connectionHint, UNAUTHORIZED_HINT } from "../connection_hints.ts";
import { CaseEnd } from "./check_case.ts";
import type { CheckRun } from "./check_run.ts";
import { describeEnd } from "./check_wire.ts";

/** What a server is like, which is its own choice. */
export interface Nature {
  /** `none`: it selects no audio. `unknown`: it opened no session. */
  readonly audio: "some" | "none" | "unknown";
}

/** Makes a call, and tells why there can be no other. */
export async function firstCall(run: CheckRun): Promise<Nature | { readonly problem: string }> {
  try {
    return await explore(run);
  } catch (error) {
    if (!(error instanceof CaseEnd)) throw error;
    // Some server is there, which does something wrong: the cases tell what.
    return error.verdict === "skip" ? { problem: error.seen } : { audio: "unknown" };
  } finally {
    await run.end();
  }
}

async function explore(run: CheckRun): Promise<Nature | { readonly problem: string }> {
  const session = await run.attempt();
  const { end } = session;
  if (end !== undefined) {
    const hint = connectionHint(end);
    return { problem: hint === undefined ? describeEnd(end) : `${describeEnd(end)} (${hint})` };
  }
  session.send("open", run.usualOpen(session));
  const answer = await session.waitFor(["opened", "disconnect"], 5_000);
  if (answer.type === "disconnect" && answer.parameters.reason === "unauthorized") {
    return { problem: `The server says "disconnect" (unauthorized): ${UNAUTHORIZED_HINT}` };
  }
  const audio = answer.type === "disconnect"
    ? "unknown"
    : session.media === undefined
    ? "none"
    : "some";
  await session.close();
  return { audio };
}
