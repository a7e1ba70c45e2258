/**
 * Bad requests of the API, each with what it is answered: the message says what is right.
 */
import type { ErrorCode } from "../../lib/api/api_error.ts";
import { ADMIN_TOKEN } from "../helpers/api_server.ts";

/** The id of a recording that is not there. */
export const ABSENT = "2026-11-22.00000000-0000-4000-8000-000000000000";
const AN_ID = "Expected the id of a recording, such as 2026-11-22.<session's UUID in lower case>";
const A_RANGE = "Expected one range, such as bytes=0-999 or bytes=-500, within 1058 bytes";
const A_TIME = "expected a date or a time, such as 2026-11-22, 2026-11-22T09:30:00Z or " +
  "2026-11-22T09:30:00-05:00 (a plus sign is written %2B)";
const A_REASON = "expected a text of at most 500 characters";
const A_TOKEN = "Expected the header Authorization: Bearer <admin token>";
const NO_PATH = "Expected a path of those in /api/openapi.json";

/**
 * One bad request. `{id}` is the id of a recording of two channels, `{mono}` of one, `{running}` and
 * `{begun}` are being made, `{silent}` has no audio, and the audio of `{broken}` is none.
 */
export interface Row {
  /** Method, unless it is GET, and target. */
  readonly request: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly code: ErrorCode;
  readonly message: string | RegExp;
  /** Of the answer. */
  readonly answer?: Readonly<Record<string, string>>;
}

const JSON_TYPE = { "content-type": "application/json" };

const query = (request: string, message: string): Row => ({
  request,
  code: "invalid_query",
  message,
});
const id = (text: string): Row => ({
  request: `/api/recordings/${text}`,
  code: "invalid_id",
  message: AN_ID,
});
const path = (request: string): Row => ({ request, code: "unknown_path", message: NO_PATH });
const range = (text: string): Row => ({
  request: "/api/recordings/{id}/audio",
  headers: { range: text },
  code: "range_not_satisfiable",
  message: A_RANGE,
  answer: { "content-range": "bytes */1058" },
});
const body = (
  text: string | Uint8Array<ArrayBuffer>,
  message: string | RegExp,
  rest: Partial<Row> = {},
): Row => ({
  request: "PUT /api/recordings/{id}/hold",
  headers: JSON_TYPE,
  body: text,
  code: "invalid_body",
  message,
  ...rest,
});
const method = (request: string, allow: string): Row => ({
  request,
  code: "method_not_allowed",
  message: `Expected ${allow}`,
  answer: { allow },
});
const token = (authorization: string): Row => ({
  request: "/api/recordings",
  headers: { authorization },
  code: "unauthorized",
  message: A_TOKEN,
  answer: { "www-authenticate": "Bearer" },
});

const NAMES = "expected no other names than";

/** All of them. */
export const ROWS: readonly Row[] = [
  // Who may use it.
  token(""),
  token("Bearer"),
  token("Bearer "),
  token("Bearer wrong"),
  token(`Bearer ${ADMIN_TOKEN}x`),
  token(`Bearer ${ADMIN_TOKEN.slice(1)}`),
  token(`Bearer ${ADMIN_TOKEN} ${ADMIN_TOKEN}`),
  token(`Bearer ${ADMIN_TOKEN}, Bearer ${ADMIN_TOKEN}`),
  token(`Basic ${btoa(`admin:${ADMIN_TOKEN}`)}`),
  token(ADMIN_TOKEN),
  token(`Bearer ${"A".repeat(10_000)}`),

  // What there is.
  path("/api"),
  path("/api/"),
  path("/api/nothing"),
  path("/api/recordings/"),
  path("/api/recordings//audio"),
  path("/api/recordings/{id}/"),
  path("/api/recordings/{id}/audio/"),
  path("/api/recordings/{id}/AUDIO"),
  path("/api/recordings/{id}/../{id}/audio"),
  path("/api/recordings/../../etc/passwd"),
  path("/api/%72ecordings"),
  path("POST /api/nothing"),
  method("POST /api/recordings", "GET, HEAD"),
  method("OPTIONS /api/recordings", "GET, HEAD"),
  method("PATCH /api/recordings/{id}", "GET, HEAD, DELETE"),
  method("DELETE /api/recordings/{id}/audio", "GET, HEAD"),
  method("GET /api/recordings/{id}/hold", "PUT, DELETE"),
  method("HEAD /api/recordings/{id}/hold", "PUT, DELETE"),
  method("PUT /api/openapi.json", "GET, HEAD"),

  // Identifiers, which are never paths.
  id(".."),
  id("."),
  id("%2e%2e"),
  id("..%2f..%2fetc%2fpasswd"),
  id("2026-11-22%2f{id}"),
  id("2026-11-22"),
  id("2026-11-22.x"),
  id("2026-13-99.00000000-0000-4000-8000-000000000000"),
  id(`${ABSENT}.1`),
  id(`${ABSENT}.wav`),
  id(`${ABSENT}%00`),
  id(`${ABSENT}%0a`),
  id("%ff%fe"),
  id(ABSENT.replace(/0/g, "A")),
  id("A".repeat(20_000)),

  // Queries.
  query(
    "/api/recordings?x=1",
    `${NAMES} from, to, conversationId, organizationId, participant, state, limit, cursor`,
  ),
  query(
    "/api/recordings?Limit=1",
    `${NAMES} from, to, conversationId, organizationId, participant, state, limit, cursor`,
  ),
  query(
    "/api/recordings?__proto__=1",
    `${NAMES} from, to, conversationId, organizationId, participant, state, limit, cursor`,
  ),
  query("/api/recordings?limit=5&limit=5", "Expected limit once, got it more than once"),
  ...["", "0", "501", "-1", "1.5", "1e2", "0x10", "%20" + "5", "99999999999999999999"].map((
    limit,
  ) => query(`/api/recordings?limit=${limit}`, "limit: expected a whole number from 1 to 500")),
  ...[
    "",
    "yesterday",
    "2026-11-31",
    "2026-11-22T09:30:00",
    "2026-11-22T09:30:00+01:00",
    "1763803800",
  ]
    .map((time) => query(`/api/recordings?from=${time}`, `from: ${A_TIME}`)),
  query("/api/recordings?to=2026", `to: ${A_TIME}`),
  query("/api/recordings?from=2026-11-22&to=2026-11-21", "to: expected a time after from"),
  query("/api/recordings?to=2026-11-22&from=2026-11-22", "to: expected a time after from"),
  query(
    "/api/recordings?from=2026-11-22T09:30:00Z&to=2026-11-22T10:00:00%2B01:00",
    "to: expected a time after from",
  ),
  query("/api/recordings?conversationId=x", "conversationId: expected a UUID"),
  query("/api/recordings?organizationId=", "organizationId: expected a UUID"),
  query("/api/recordings?state=done", "state: expected recording, finished or recovered"),
  query(
    "/api/recordings?limit=0&state=x",
    "state: expected recording, finished or recovered; limit: expected a whole number from 1 to 500",
  ),
  {
    request: `/api/recordings?participant=${"5".repeat(257)}`,
    code: "invalid_query",
    message: /^participant: /,
  },
  {
    request: `/api/recordings?cursor=${"5".repeat(1025)}`,
    code: "invalid_query",
    message: /^cursor: /,
  },
  {
    request: "/api/recordings?cursor=made-up",
    code: "invalid_cursor",
    message: "Expected the cursor of a page before, with the same other parameters",
  },
  query("/api/recordings/{id}?x=1", "expected no parameters"),
  query("DELETE /api/recordings/{id}?force=true", "expected no parameters"),
  query("/api/recordings/{id}/audio?format=mp3", "format: expected original or pcm16"),
  query("/api/recordings/{id}/audio?channel=2", "channel: expected external or internal"),
  query("/api/recordings/{id}/audio?from=1", `${NAMES} format, channel`),
  query("/api/recordings/{id}/peaks?pixels=0", "pixels: expected a whole number from 1 to 10000"),
  query(
    "/api/recordings/{id}/peaks?pixels=10001",
    "pixels: expected a whole number from 1 to 10000",
  ),
  ...["", "-1", ".5", "5.", "1e", "1e999", "NaN", "Infinity", "0x10", "%20" + "1", "1,5"].map((
    from,
  ) =>
    query(
      `/api/recordings/{id}/peaks?from=${from}`,
      "from: expected seconds from the beginning of the audio, such as 12.5",
    )
  ),
  query(
    "/api/recordings/{id}/peaks?to=PT5S",
    "to: expected seconds from the beginning of the audio, such as 12.5",
  ),
  query("/api/recordings/{id}/peaks?from=2&to=2", "to: expected a place after from"),
  query("/api/recordings/{id}/peaks?from=2&to=1.5e0", "to: expected a place after from"),

  // What is not there.
  ...["", "/audio", "/messages", "/peaks"].map((part): Row => ({
    request: `/api/recordings/${ABSENT}${part}`,
    code: "not_found",
    message: "There is no recording of this id",
  })),
  {
    request: `DELETE /api/recordings/${ABSENT}`,
    code: "not_found",
    message: "There is no recording of this id",
  },
  {
    request: `DELETE /api/recordings/${ABSENT}/hold`,
    code: "not_found",
    message: "There is no recording of this id",
  },
  body('{"reason":""}', "There is no recording of this id", {
    request: `PUT /api/recordings/${ABSENT}/hold`,
    code: "not_found",
  }),
  ...["audio", "peaks"].map((part): Row => ({
    request: `/api/recordings/{silent}/${part}`,
    code: "no_audio",
    message: "The recording has no audio: its session had none, or it is lost",
  })),
  ...["audio", "peaks"].map((part): Row => ({
    request: `/api/recordings/{begun}/${part}`,
    code: "no_audio",
    message: "Nothing is recorded so far: try again in a second",
  })),
  ...["audio", "peaks"].map((part): Row => ({
    request: `/api/recordings/{broken}/${part}`,
    code: "damaged_audio",
    message: "The audio is damaged: the server's log says how",
  })),
  ...["audio", "peaks"].map((part): Row => ({
    request: `/api/recordings/{mono}/${part}?channel=external`,
    code: "no_such_channel",
    message: "Expected internal, or no channel for all that the recording has",
  })),
  {
    request: "DELETE /api/recordings/{running}",
    code: "being_made",
    message: "The recording is being made: remove it when it has ended",
  },

  // Ranges and conditions.
  range("bytes=1058-"),
  range("bytes=2000-3000"),
  range("bytes=-0"),
  range("bytes=9-3"),
  range("bytes=a-b"),
  range("nonsense"),
  {
    request: "/api/recordings/{id}/audio",
    headers: { "if-match": '"x"' },
    code: "precondition_failed",
    message: /^Expected a condition that holds for "[\w.]+"$/,
  },

  // Bodies.
  body('{"reason":5}', `reason: ${A_REASON}`),
  body("{}", `reason: ${A_REASON}`),
  body(`{"reason":"${"x".repeat(501)}"}`, `reason: ${A_REASON}`),
  body('{"reason":"","since":"2020"}', `${NAMES} reason`),
  body("null", 'expected a JSON object such as {"reason": "Case 4711"}'),
  body("[]", 'expected a JSON object such as {"reason": "Case 4711"}'),
  body("", "Expected JSON in UTF-8"),
  body("{", "Expected JSON in UTF-8"),
  body(new Uint8Array([0x22, 0xFF, 0x22]), "Expected JSON in UTF-8"),
  body("{}", "Expected Content-Type: application/json", {
    headers: { "content-type": "text/plain" },
    code: "unsupported_media_type",
  }),
  body(new TextEncoder().encode("{}"), "Expected Content-Type: application/json", {
    headers: {},
    code: "unsupported_media_type",
  }),
  body(`{"reason":"${"x".repeat(17_000)}"}`, "Expected a body of at most 16384 bytes", {
    code: "body_too_large",
  }),
];
