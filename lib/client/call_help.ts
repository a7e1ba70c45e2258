/**
 * What `deno task call --help` says.
 *
 * Imports its neighbours.
 */
import { KEYS_HELP } from "./call_keys.ts";
import { SERVER_OPTIONS_HELP } from "./server_options.ts";

/** All of it, without the last end of line. */
export const CALL_HELP = `Places a call at an AudioHook server, as Genesys Cloud would.

Usage: deno task call (--wav FILE | --tone [HZ] | --probe) [options]

What is said, one of
  --wav FILE      8 kHz µ-law or 16-bit PCM, mono (the external channel) or stereo
                  (external, internal); at most 256 MiB
  --tone [HZ]     A tone, and another one on the internal channel. Default: 440
  --probe         Nothing: opens and closes, as Genesys Cloud does on activation

The server
${SERVER_OPTIONS_HELP}
  --retries N     How often the call is tried again, 0 to 5, if the connection fails or is
                  lost, the server is late, or ends it by "disconnect" with "error".
                  Default: 5

The audio
  --duration S    Length of the tone in seconds. Default: 10
  --speed N       How much faster than real time. Default: 1
  --format F      What is offered: PCMU or L16. Default: PCMU
  --channels C    external, internal or both; a voice bot (Audio Connector) is offered
                  external. Default: all that there are
  --frame-ms N    Length of a frame, 1 to 1000. Default: 100
  --history S     So many seconds, 0 to 30, are from before the call was opened: the last 20
                  are sent at once, the others reported as discarded. Default: 0
  --save-audio F  Writes what the bot says to the WAV file F, which must not exist;
                  offers the external channel alone

What the call says of itself
  --language TAG  Such as en-US, which is the default
  --supported-languages       Asks which languages there are, and prints them
  --custom-config JSON        An object, at most 60000 bytes; @FILE reads it from a file
  --input-variables JSON      An object whose values are texts, for a voice bot; or @FILE
  --org, --conversation, --session UUID   Default: random ones
  --ani NUMBER, --dnis NUMBER             Who calls, and who is called. Default: empty

What happens in it
  --scenario FILE What is done, and when: see below

What is printed
  --messages      Every text message, too: > of the client, < of the server
  --json          A JSON object a line, for each event; the last one is the outcome
  --help          This text (also -h)

Keys, on a terminal and without --json: ${KEYS_HELP}.
Ctrl-C closes the call properly; a second one, a second later, ends it at once.
In the background, begin without a terminal: deno task call … </dev/null &

A scenario is a JSON file of up to 1000 steps in the order of their times. "at" is in
seconds of the call since it was opened: real time, times --speed, pauses included.
  {"steps": [
    {"at": 1,   "do": "dtmf", "digits": "12#"},
    {"at": 3,   "do": "pause"},
    {"at": 5,   "do": "resume"},
    {"at": 6,   "do": "update", "language": "de-DE"},
    {"at": 7,   "do": "discard", "seconds": 1},
    {"at": 8,   "do": "stall", "seconds": 2},
    {"at": 8.5, "do": "error", "code": 500, "message": "Out of order"},
    {"at": 9,   "do": "close", "reason": "end"}
  ]}
"dtmf" needs --channels external: only a voice bot is told of digits. "discard" loses
audio, "stall" reads nothing for so long. "drop" breaks the connection, "reset" by a TCP
RST; it is tried again, see --retries. Reasons of "close": end, error, disconnect,
reconnect.
The call fails if a step is not possible, or if the call ends before it.

Exit codes: 0 the session was closed well (also after "disconnect" with "completed"), and
the server kept to the protocol, and all steps were done; 1 it failed; 2 the options are
wrong.

Examples
  deno task call --probe
  deno task call --wav tests/testdata/call.wav --speed 10
  deno task call --tone --channels external --save-audio bot.wav --messages
  deno task call --tone 880 --channels external --scenario steps.json --json
  deno task call --wav call.wav --url wss://example.com/hook --key KEY --secret BASE64`;
