/**
 * The lines about sessions: messages, audio, time, and load.
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

const DISCONNECT = "`disconnect` `error`";

export const SESSION_GROUPS = [
  {
    title: "Messages",
    lines: [
      {
        id: "no JSON",
        sent: "text that isn't JSON, or no object",
        comesBack: DISCONNECT,
        outcome: "disconnect error",
        log: [BROKE],
      },
      {
        id: "large text",
        sent: "text over `MAX_TEXT_BYTES`, up to 64 MiB",
        comesBack: DISCONNECT,
        outcome: "disconnect error",
        log: [BROKE],
      },
      {
        id: "deep JSON",
        sent: "objects or lists nested over `MAX_JSON_DEPTH`",
        comesBack: DISCONNECT,
        outcome: "disconnect error",
        log: [BROKE],
      },
      {
        id: "envelope",
        sent: "a message with a field missing, or of another type; another version than 2",
        comesBack: DISCONNECT,
        outcome: "disconnect error",
        log: [BROKE],
      },
      {
        id: "id",
        sent: "an `id` that isn't the session's",
        comesBack: DISCONNECT,
        outcome: "disconnect error",
        log: [BROKE],
      },
      {
        id: "seq",
        sent: "a `seq` that isn't the next one, or no whole number",
        comesBack: `${DISCONNECT}; from then on, the client's own number counts`,
        outcome: "disconnect error",
        log: [BROKE],
      },
      {
        id: "serverseq",
        sent: "a `serverseq` of a message that was never sent, or no whole number",
        comesBack: DISCONNECT,
        outcome: "disconnect error",
        log: [BROKE],
      },
      {
        id: "duration",
        sent: "a duration that is negative, no number, or over 31 days",
        comesBack: DISCONNECT,
        outcome: "disconnect error",
        log: [BROKE],
      },
      {
        id: "endless stream",
        sent: "`discarded` or `resumed` that make the stream longer than 31 days",
        comesBack: DISCONNECT,
        outcome: "disconnect error",
        log: [BROKE],
      },
      {
        id: "parameters",
        sent: "parameters that are missing, or not what the type demands",
        comesBack: DISCONNECT,
        outcome: "disconnect error",
        log: [BROKE],
      },
      {
        id: "open parameters",
        sent: "an `open` with such parameters, a `customConfig` over 60,000 bytes, …",
        comesBack: `${DISCONNECT}; nothing is recorded`,
        outcome: "disconnect error",
        log: [BROKE],
      },
      {
        id: "other organization",
        sent: "an `organizationId` that isn't that of the request",
        comesBack: "`disconnect` `unauthorized`",
        outcome: "disconnect unauthorized",
        log: [BROKE],
      },
      {
        id: "wrong state",
        sent: "a message in the wrong state: before `open` or `opened`, a second `open`",
        comesBack: DISCONNECT,
        outcome: "disconnect error",
        log: [BROKE],
      },
      {
        id: "bad close",
        sent: "a `close` with any of these faults",
        comesBack:
          `${DISCONNECT}, then one \`closed\`, whether or not a better \`close\` follows; ` +
          "with another `id`, it closes nothing",
        outcome: "disconnect error",
        log: [BROKE],
      },
      {
        id: "after disconnect",
        sent: "more faults after `disconnect`",
        comesBack: "nothing; pings and audio under way are dealt with",
        outcome: "disconnect error",
        log: [BROKE],
      },
      {
        id: "after close",
        sent: "anything after `close`",
        comesBack: "nothing but the `closed`; it is not recorded",
        outcome: "goes on",
        log: [BROKE],
      },
      {
        id: "unknown type",
        sent: "a message of an unknown type",
        comesBack: "nothing; it is counted",
        outcome: "goes on",
        log: [info("Ignored a message of unknown type {messageType} in {sessionId}")],
      },
      {
        id: "unknown field",
        sent: "unknown fields, dangerous names such as `__proto__` too",
        comesBack: "what any other message gets",
        outcome: "goes on",
        log: [],
      },
      {
        id: "drift",
        sent: "`discarded` or `resumed` from another position than the stream's",
        comesBack: "nothing; the stream's position counts",
        outcome: "goes on",
        log: [
          warning("The client of {sessionId} is at another position of the stream than we are"),
        ],
      },
      {
        id: "client error",
        sent: "an `error`, with any code and text, and a `retryAfter` of 31 days",
        comesBack: "nothing; events wait for a minute at most",
        outcome: "goes on",
        log: [warning("The client of {sessionId} reports error {code}")],
      },
    ],
  },
  {
    title: "Audio",
    lines: [
      {
        id: "large audio",
        sent: "a frame over `MAX_AUDIO_FRAME_BYTES`, up to 64 MiB",
        comesBack: `${DISCONNECT}; the frame is not recorded`,
        outcome: "disconnect error",
        log: [BROKE],
      },
      {
        id: "part of a sample",
        sent: "a frame with part of a sample, or without one of its channels",
        comesBack: `${DISCONNECT}; the frame is not recorded`,
        outcome: "disconnect error",
        log: [BROKE],
      },
      {
        id: "unexpected audio",
        sent: "audio before `opened`, while paused, or in a session without audio",
        comesBack: `${DISCONNECT}; it is not recorded`,
        outcome: "disconnect error",
        log: [BROKE],
      },
    ],
  },
  {
    title: "Time",
    lines: [
      {
        id: "no open",
        sent: "no `open` within `OPEN_TIMEOUT_MS`",
        comesBack: `${DISCONNECT}; after \`CLOSE_TIMEOUT_MS\` the end of the connection`,
        outcome: "disconnect error, end",
        log: [BROKE, ENDING, LOST],
      },
      {
        id: "silence",
        sent: "nothing for `SILENCE_TIMEOUT_MS`, or only part of a frame",
        comesBack: `${DISCONNECT}; after \`CLOSE_TIMEOUT_MS\` the end of the connection`,
        outcome: "disconnect error, end",
        log: [BROKE, ENDING, LOST],
      },
      {
        id: "no ping",
        sent: "no `ping` for `SILENCE_TIMEOUT_MS` while paused, whatever else is sent",
        comesBack: DISCONNECT,
        outcome: "disconnect error",
        log: [BROKE],
      },
      {
        id: "no close",
        sent: "no `close` within `CLOSE_TIMEOUT_MS` of `disconnect`",
        comesBack: "the end of the connection; `isComplete` is false",
        outcome: "end",
        log: [ENDING, LOST],
      },
      {
        id: "no hangup",
        sent: "no end of the connection within `HANGUP_TIMEOUT_MS` of `closed`",
        comesBack: "the end of the connection",
        outcome: "end",
        log: [ENDING],
      },
      {
        id: "no goodbye",
        sent: "no answer to our Close at such an end",
        comesBack: "nothing; until the client, or TCP, ends it, the TCP connection stays and " +
          "counts for `MAX_SESSIONS`",
        outcome: "none",
        log: [ENDING],
      },
    ],
  },
  {
    title: "Load",
    lines: [
      {
        id: "many messages",
        sent: "more than `MAX_MESSAGES_PER_SECOND`, or of their `MAX_CHARACTERS_PER_SECOND`, and " +
          "30 s of them in advance",
        comesBack: DISCONNECT,
        outcome: "disconnect error",
        log: [BROKE],
      },
      {
        id: "many frames",
        sent: "more than `MAX_AUDIO_FRAMES_PER_SECOND`, and 30 s of them in advance",
        comesBack: DISCONNECT,
        outcome: "disconnect error",
        log: [BROKE],
      },
      {
        id: "flood",
        sent: "as many again after the `disconnect`",
        comesBack: "the end of the connection",
        outcome: "disconnect error, end",
        log: [BROKE, ENDING, LOST],
      },
      {
        id: "audio ahead",
        sent: "audio more than `MAX_AUDIO_AHEAD_SECONDS` ahead of real time",
        comesBack: `${DISCONNECT}; what came before is recorded`,
        outcome: "disconnect error",
        log: [BROKE],
      },
      {
        id: "slow reader",
        sent: "a client that doesn't read: over `MAX_BUFFERED_BYTES` wait for it",
        comesBack: DISCONNECT,
        outcome: "disconnect error",
        log: [
          warning("The client of {sessionId} does not read: {bufferedAmount} bytes wait for it"),
        ],
      },
      {
        id: "no reader",
        sent: "the same, and twice as much waits",
        comesBack: "the end of the connection; the recording is finished",
        outcome: "none",
        log: [
          warning("The client of {sessionId} does not read: {bufferedAmount} bytes wait for it"),
          LOST,
        ],
      },
      {
        id: "many refusals",
        sent: "more than 1,000 refused requests at a time",
        comesBack: "429 with `Retry-After`, at once; a valid signature is accepted all the same",
        outcome: "HTTP 429",
        log: [
          REFUSED,
          perhaps(warning("Refused too many connections at a time: {reason}")),
          perhaps(warning("Refused {count} more connections, without a line for each")),
        ],
      },
      {
        id: "many bad clients",
        sent: "twenty bad clients at a time",
        comesBack: "to each what it would get alone",
        outcome: "disconnect error",
        log: [BROKE, REFUSED],
      },
      {
        id: "full disk",
        sent: "a call while the disk is full, or fails",
        comesBack:
          "nothing: the call goes on. What came is written when the disk works again; if " +
          "that takes more than a minute from the end of the call, what was written by then is " +
          "kept. What waits beyond 4 MiB becomes a gap",
        outcome: "goes on",
        log: [
          error("Cannot write recordings; trying again"),
          info("Recordings are written again, after {seconds} s"),
        ],
      },
    ],
  },
] as const satisfies readonly Group[];
