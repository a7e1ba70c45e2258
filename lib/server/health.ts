/**
 * What `/healthz` answers: whether the process lives, and what is wrong with it.
 *
 * It is open to anybody, so it has nothing personal. Imports `@std/http`.
 */
import { accepts } from "@std/http/negotiation";
import { STATUS_CODE } from "@std/http/status";

/** How the server is. */
export interface HealthReport {
  /** `degraded`: calls work, but not all that belongs to them does. */
  readonly status: "ok" | "degraded";
  /** Short texts, such as "recordings cannot be written (ENOSPC)"; none if the status is `ok`. */
  readonly problems: readonly string[];
}

/**
 * The answer: text, a line for the status and one for each problem; or JSON, if the client asks for
 * it. Its status is 200 also when degraded: a load balancer would end calls that work, and one
 * server's full disk does not get better by that.
 */
export function healthResponse(request: Pick<Request, "headers">, report: HealthReport): Response {
  const { status, problems } = report;
  const headers = { "cache-control": "no-store", vary: "accept" };
  if (accepts(request, "text/plain", "application/json") === "application/json") {
    return Response.json({ status, problems }, { status: STATUS_CODE.OK, headers });
  }
  const lines = [status, ...problems.map((problem) => problem.replace(/\s+/g, " "))];
  return new Response(lines.map((line) => `${line}\n`).join(""), {
    status: STATUS_CODE.OK,
    headers: { ...headers, "content-type": "text/plain; charset=utf-8" },
  });
}
