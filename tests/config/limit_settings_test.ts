import { assertEquals } from "@std/assert";
import { LIMIT_NAMES } from "../../lib/config/limit_settings.ts";
import type { SettingName } from "../../lib/config/settings.ts";
import { parse, problemsOf } from "../helpers/settings.ts";

/** The limits, each with its least and its largest value. */
const LIMIT_BOUNDS: readonly (readonly [name: SettingName, min: number, max: number])[] = [
  ["MAX_SESSIONS", 1, 1_000_000],
  ["MAX_AUTH_FAILURES_PER_MINUTE", 0, 100_000],
  ["MAX_TEXT_BYTES", 1000, 16_777_216],
  ["MAX_JSON_DEPTH", 8, 1000],
  ["MAX_AUDIO_FRAME_BYTES", 1, 16_777_216],
  ["MAX_MESSAGES_PER_SECOND", 1, 100_000],
  ["MAX_CHARACTERS_PER_SECOND", 1000, 16_777_216],
  ["MAX_AUDIO_FRAMES_PER_SECOND", 1, 100_000],
  ["MAX_AUDIO_AHEAD_SECONDS", 1, 2_678_400],
  ["MAX_BUFFERED_BYTES", 65_536, 1_073_741_824],
  ["OPEN_TIMEOUT_MS", 100, 3_600_000],
  ["CLOSE_TIMEOUT_MS", 100, 3_600_000],
  ["HANGUP_TIMEOUT_MS", 100, 3_600_000],
  ["SILENCE_TIMEOUT_MS", 100, 3_600_000],
];

Deno.test("settings: every limit takes its least and its largest value", () => {
  assertEquals(LIMIT_BOUNDS.map(([name]) => name), [...LIMIT_NAMES]);
  const least = parse(Object.fromEntries(LIMIT_BOUNDS.map(([name, min]) => [name, `${min}`])));
  const largest = parse(Object.fromEntries(LIMIT_BOUNDS.map(([name, , max]) => [name, `${max}`])));
  assertEquals([least.maxSessions, largest.maxSessions], [1, 1_000_000]);
  assertEquals([least.maxAuthFailuresPerMinute, largest.maxAuthFailuresPerMinute], [0, 100_000]);
  assertEquals([least.maxBufferedBytes, largest.maxBufferedBytes], [65_536, 1_073_741_824]);
  assertEquals(least.sessionLimits, {
    maxTextBytes: 1000,
    maxJsonDepth: 8,
    maxAudioFrameBytes: 1,
    receivedTextRate: { perSecond: 1, burst: 30 },
    receivedCharacterRate: { perSecond: 1000, burst: 30_000 },
    receivedAudioRate: { perSecond: 1, burst: 30 },
    maxAudioAheadMs: 1000,
    openTimeoutMs: 100,
    closeTimeoutMs: 100,
    hangupTimeoutMs: 100,
    silenceTimeoutMs: 100,
  });
  assertEquals(largest.sessionLimits, {
    maxTextBytes: 16_777_216,
    maxJsonDepth: 1000,
    maxAudioFrameBytes: 16_777_216,
    receivedTextRate: { perSecond: 100_000, burst: 3_000_000 },
    receivedCharacterRate: { perSecond: 16_777_216, burst: 503_316_480 },
    receivedAudioRate: { perSecond: 100_000, burst: 3_000_000 },
    maxAudioAheadMs: 2_678_400_000,
    openTimeoutMs: 3_600_000,
    closeTimeoutMs: 3_600_000,
    hangupTimeoutMs: 3_600_000,
    silenceTimeoutMs: 3_600_000,
  });
});

Deno.test("settings: a limit with zeros in front is a whole number all the same", () => {
  assertEquals(parse({ MAX_SESSIONS: "0000000012" }).maxSessions, 12);
});

for (const [name, min, max] of LIMIT_BOUNDS) {
  Deno.test(`settings: a bad ${name} is refused with its name, its bounds, and what it is`, () => {
    const values = [
      String(min - 1),
      String(max + 1),
      `-${min + 1}`,
      `+${min + 1}`,
      `${min + 1}.5`,
      `${min + 1}.0`,
      "1e3",
      "0x7D0",
      "2_000",
      "2,000",
      "99999999999999999999",
      "Infinity",
      "NaN",
      "none",
      "10s",
      " ",
      ` ${min + 1}`,
      `${min + 1} `,
      `${min + 1}\n`,
      "٣٠٠٠",
    ];
    for (const value of values) {
      assertEquals(problemsOf({ [name]: value }), [
        `Cannot parse ${name}: expected a whole number from ${min} to ${max}, ` +
        `got ${JSON.stringify(value)}`,
      ]);
    }
  });
}

Deno.test("settings: bad limits are reported together, one line each", () => {
  const problems = problemsOf(Object.fromEntries(LIMIT_NAMES.map((name) => [name, "many"])));
  assertEquals(problems.map((problem) => problem.split(" ")[2]), LIMIT_NAMES.map((n) => `${n}:`));
});
