/**
 * What a connection request may look like (protocol section 2).
 *
 * Imports its neighbours.
 */
import { type CheckCase, fail, skip } from "../check_case.ts";
import type { Headers, RequestChanges } from "../check_request.ts";
import type { CheckRun } from "../check_run.ts";
import { describeEnd } from "../check_wire.ts";

function mapNames(headers: Headers, change: (name: string) => string): Headers {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [change(name), value]));
}

async function accepted(check: CheckRun, request: RequestChanges): Promise<string> {
  const { session } = await check.open({ request });
  await session.close();
  return "Accepted";
}

/** The cases about the request. */
export const REQUEST_CASES: readonly CheckCase[] = [
  {
    name: "request.lower-case-headers",
    title: "Header names in lower case are accepted",
    sections: [2],
    run: async (check) =>
      await accepted(check, {
        signedHeaders: (headers) => mapNames(headers, (name) => name.toLowerCase()),
      }),
  },
  {
    name: "request.upper-case-headers",
    title: "Header names in upper case are accepted",
    sections: [2],
    run: async (check) =>
      await accepted(check, {
        signedHeaders: (headers) => mapNames(headers, (name) => name.toUpperCase()),
      }),
  },
  {
    name: "request.unknown-headers",
    title: "Headers that nobody knows, as proxies add them, are accepted",
    sections: [2],
    run: async (check) =>
      await accepted(check, {
        signedHeaders: (headers) => ({
          ...headers,
          "X-Forwarded-For": "192.0.2.1",
          "Via": "1.1 check",
          "X-Check-Unknown": "a value of no meaning",
        }),
      }),
  },
  {
    name: "request.no-retry-attempt",
    title: "Audiohook-Retry-Attempt may be absent",
    sections: [2],
    run: async (check) =>
      await accepted(check, {
        headers: ({ "Audiohook-Retry-Attempt": _, ...headers }) => headers,
      }),
  },
  {
    name: "request.later-retry-attempt",
    title: "Audiohook-Retry-Attempt may be more than 0",
    sections: [2],
    run: async (check) =>
      await accepted(check, {
        headers: (headers) => ({ ...headers, "Audiohook-Retry-Attempt": "3" }),
      }),
  },
  {
    name: "request.query",
    title: "A query in the address is accepted, and is part of what is signed",
    sections: [2, 3],
    async run(check) {
      const url = new URL(check.target.url);
      url.search = `${url.search === "" ? "?" : `${url.search}&`}flow=a%2Fb&n=1`;
      const session = await check.attempt({ url });
      if (session.end?.how === "refused" && [400, 404].includes(session.end.status)) {
        skip(`The server serves no address with a query: ${describeEnd(session.end)}`);
      }
      if (session.end !== undefined) fail(`${describeEnd(session.end)} in place of a connection`);
      await session.open(check.usualOpen(session));
      await session.close();
      return "Accepted";
    },
  },
  {
    name: "request.upper-case-session-id",
    title: "UUIDs are compared without regard to case",
    sections: [2, 4],
    strength: "should",
    async run(check) {
      const sessionId = crypto.randomUUID();
      const session = await check.connect({ sessionId: sessionId.toUpperCase() });
      await session.open(check.usualOpen(session), { id: sessionId });
      session.send("close", { reason: "end" }, { id: sessionId });
      await session.closed();
      return "The session id in upper case is the one in lower case";
    },
  },
];
