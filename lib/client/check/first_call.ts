/**
 * The call before all cases: is there a server, does it let us in, and of what nature is it?
 *
 * Imports its neighbours.
 */
import { CaseEnd } from "./check_case.ts";
import type { CheckRun } from "./check_run.ts";
import { describeEnd } from "./check_wire.ts";

/** What a server is like, which is its own choice. */
export interface Nature {
  /** `none`: it selects no audio. `unknown`: it opened no session. */
  readonly audio: "some" | "none" | "unknown";
}

/** What to do about statuses that are met often. */
const HINTS: Readonly<Record<number, string>> = {
  401: "the API key or the client secret is not the server's, the clocks differ, or a proxy " +
    "changes Host or the path, which are signed",
  403: "the server, or a proxy before it, lets nobody in from here",
  404: "nothing is at this path",
  426: "nothing that takes WebSockets is at this path",
  429: "the server is busy, or there were too many failures from here; try again later",
  502: "a proxy cannot reach the server behind it",
  503: "the server is full, or about to stop; try again later",
};

/** What to do about errors that are met often. */
const ERROR_HINTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nobody listens at this address; is the server started?",
  ENOTFOUND: "there is no such host",
  ECONNRESET: "the connection was dropped before there was an answer",
  ETIMEDOUT: "no answer in time",
};

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
    const hint = end.how === "refused"
      ? HINTS[end.status]
      : end.how === "unreachable"
      ? ERROR_HINTS[end.code ?? ""]
      : undefined;
    return { problem: hint === undefined ? describeEnd(end) : `${describeEnd(end)} (${hint})` };
  }
  session.send("open", run.usualOpen(session));
  const answer = await session.waitFor(["opened", "disconnect"], 5_000);
  if (answer.type === "disconnect" && answer.parameters.reason === "unauthorized") {
    return { problem: `The server says "disconnect" (unauthorized): ${HINTS[401]}` };
  }
  const audio = answer.type === "disconnect"
    ? "unknown"
    : session.media === undefined
    ? "none"
    : "some";
  await session.close();
  return { audio };
}
