/**
 * The lines about connections: HTTP requests, frames of WebSocket, and networks that fail.
 */
import {
  BROKE,
  ENDING,
  error,
  type Group,
  info,
  LOST,
  perhaps,
  REFUSED,
  warning,
} from "./table_line.ts";

export const CONNECTION_GROUPS = [
  {
    title: "Connection requests",
    lines: [
      {
        id: "refused",
        sent: "a request whose key, signature, time, nonce or ids are not right",
        comesBack: "401 without a body, after `AUTH_FAILURE_DELAY_MS`, whatever the cause",
        outcome: "HTTP 401",
        log: [REFUSED],
      },
      {
        id: "refused too often",
        sent: "more than `MAX_AUTH_FAILURES_PER_MINUTE` such requests from one address; then, " +
          "from there, a key that signs nothing",
        comesBack: "429 with `Retry-After`, at once; a valid signature is accepted all the same",
        outcome: "HTTP 429",
        log: [
          REFUSED,
          warning("Refused too many connections from {address}: it is answered 429 for now"),
        ],
      },
      {
        id: "too many sessions",
        sent: "a valid request while there are `MAX_SESSIONS` connections",
        comesBack: "503 with `Retry-After`",
        outcome: "HTTP 503",
        log: [
          error("Refused {sessionId}: there are {socketCount} connections, as many as may be"),
        ],
      },
      {
        id: "no upgrade",
        sent: "a request for the endpoint that asks for no WebSocket, HTTP/2 included",
        comesBack: "426",
        outcome: "HTTP 426",
        log: [],
      },
      {
        id: "other version",
        sent: "another version of WebSocket than 13",
        comesBack: "400 with `Sec-WebSocket-Version`",
        outcome: "HTTP 400",
        log: [],
      },
      {
        id: "bad handshake",
        sent: "an incomplete handshake; a `Sec-WebSocket-Key` that isn't 16 bytes in base64",
        comesBack: "400 if the signature is valid, 401 if not",
        outcome: "HTTP 400",
        log: [info("Bad WebSocket handshake of {sessionId}")],
      },
      {
        id: "other method",
        sent: "another method than GET at the endpoint",
        comesBack: "405 with `Allow`",
        outcome: "HTTP 405",
        log: [],
      },
      {
        id: "other path",
        sent: "another path, such as `/`, `…/x/../ws`, one with a fragment, `*`",
        comesBack: "404",
        outcome: "HTTP 404",
        log: [],
      },
      {
        id: "odd request",
        sent: "a valid request in odd dress: line ends without CR, HTTP/1.0, a target with " +
          "scheme and authority",
        comesBack: "a session: the path and `Host` count, as signed",
        outcome: "goes on",
        log: [],
      },
      {
        id: "no HTTP",
        sent: "bytes that are no HTTP: garbage, a TLS handshake, another version of HTTP",
        comesBack: "400, and the end of the connection",
        outcome: "HTTP 400, end",
        log: [],
      },
      {
        id: "broken head",
        sent:
          "a head that is no HTTP: NUL, a bare CR, a folded line, no colon, two `Host`, bytes " +
          "over 127 or spaces in the target",
        comesBack: "400, and the end of the connection",
        outcome: "HTTP 400, end",
        log: [],
      },
      {
        id: "large head",
        sent: "over 120 headers, or over 64 KiB of them",
        comesBack: "400, and the end of the connection",
        outcome: "HTTP 400, end",
        log: [],
      },
      {
        id: "body",
        sent: "a handshake with a body, of a length that is or isn't a length, twice, or in chunks",
        comesBack: "400, and the end of the connection",
        outcome: "HTTP 400, end",
        log: [],
      },
      {
        id: "second request",
        sent: "a second request behind the handshake, without waiting for its answer",
        comesBack: "101, and the end of the connection",
        outcome: "HTTP 101, end",
        log: [],
      },
      {
        id: "unfinished head",
        sent: "nothing at all on a TCP connection; a head that doesn't end",
        comesBack: "nothing: no limit but those of the operating system, or a proxy's",
        outcome: "none",
        log: [],
      },
    ],
  },
  {
    title: "Frames of WebSocket",
    lines: [
      {
        id: "reserved bits",
        sent: "a reserved opcode; a reserved bit, such as that of a compressed frame",
        comesBack: "the end of the connection",
        outcome: "end",
        log: [LOST],
      },
      {
        id: "bad control frame",
        sent: "a Ping or Close of over 125 bytes; a Ping, Pong or Close in fragments",
        comesBack: "the end of the connection",
        outcome: "end",
        log: [LOST],
      },
      {
        id: "bad fragments",
        sent: "a continuation of nothing; a whole message within one in fragments",
        comesBack: "the end of the connection",
        outcome: "end",
        log: [LOST],
      },
      {
        id: "invalid UTF-8",
        sent: "text that isn't UTF-8, even in an unfinished message",
        comesBack: "the end of the connection",
        outcome: "end",
        log: [LOST],
      },
      {
        id: "huge length",
        sent: "a head that announces a frame of 64 MiB or more, up to 2^64 − 1 bytes",
        comesBack: "the end of the connection; no byte of the frame is waited for",
        outcome: "end",
        log: [LOST],
      },
      {
        id: "bad close frame",
        sent: "a Close of one byte, with a code that may not be sent, or a reason that isn't UTF-8",
        comesBack: "the end of the connection",
        outcome: "end",
        log: [LOST],
      },
      {
        id: "close frame",
        sent: "a Close as it should be, without the `close` before it",
        comesBack: "a Close, and the end of the connection",
        outcome: "end",
        log: [LOST],
      },
      {
        id: "short frame",
        sent: "fewer bytes than the frame's head says, and then the end of the connection",
        comesBack: "the end of the connection",
        outcome: "end",
        log: [LOST],
      },
      {
        id: "early frame",
        sent: "any of these before `open`",
        comesBack: "the end of the connection",
        outcome: "end",
        log: [],
      },
      {
        id: "odd frames",
        sent: "frames without a mask; fragments, empty ones too, with Pings between; fragments " +
          "within a message that is never finished; lengths in more bytes than they take; a Pong " +
          "of any size; frames in the packet of the handshake",
        comesBack: "what is complete counts",
        outcome: "goes on",
        log: [],
      },
      {
        id: "trickle",
        sent: "a byte at a time",
        comesBack: "a frame counts when it is complete",
        outcome: "goes on",
        log: [],
      },
    ],
  },
  {
    title: "Networks that fail",
    lines: [
      {
        id: "lost in a request",
        sent: "the end of a TCP connection (FIN or RST) before the request, or within its head",
        comesBack: "nothing",
        outcome: "none",
        log: [],
      },
      {
        id: "lost while refused",
        sent: "the same while a 401 is held back",
        comesBack: "nothing",
        outcome: "none",
        log: [REFUSED],
      },
      {
        id: "lost in the upgrade",
        sent: "the same at the moment of the upgrade",
        comesBack: "nothing; the session is over at once, or after `OPEN_TIMEOUT_MS` and " +
          "`CLOSE_TIMEOUT_MS`",
        outcome: "none",
        log: [perhaps(BROKE), perhaps(ENDING), perhaps(LOST)],
      },
      {
        id: "lost outside of a call",
        sent: "the same before `open`, or after `closed`",
        comesBack: "nothing; a finished recording is as it was",
        outcome: "none",
        log: [],
      },
      {
        id: "lost in a call",
        sent: "the same between `open` and `closed`: within a frame, while paused, …",
        comesBack: "nothing; the recording is finished like any other, with all that came, and " +
          "`isComplete` false unless `close` came",
        outcome: "none",
        log: [LOST],
      },
      {
        id: "half-open",
        sent: "the end of the client's half of the connection, in a call; it reads on",
        comesBack: "the end of the other half; the recording has all that came",
        outcome: "end",
        log: [LOST],
      },
    ],
  },
] as const satisfies readonly Group[];
