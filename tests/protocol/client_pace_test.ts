import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ClientPace } from "../../lib/protocol/client_pace.ts";
import { RemoteProtocolError, SERVER_SESSION_LIMITS } from "../../lib/protocol/mod.ts";

const RATE = 8000;
const LIMITS = {
  receivedTextRate: { perSecond: 2, burst: 10 },
  receivedCharacterRate: { perSecond: 100, burst: 1000 },
  receivedAudioRate: { perSecond: 4, burst: 20 },
  maxAudioAheadMs: 5000,
} as const;

/** Whether the audio is taken. */
function takes(pace: ClientPace, samples: number, nowMs: number): boolean {
  try {
    pace.audio(samples, nowMs);
    return true;
  } catch (error) {
    assert(error instanceof RemoteProtocolError);
    return false;
  }
}

// ——— messages and frames ———

for (
  const [what, count, perSecond, burst] of [
    ["messages", (pace: ClientPace, nowMs: number) => pace.message(nowMs, 1), 2, 10],
    ["audio frames", (pace: ClientPace, nowMs: number) => pace.frame(nowMs), 4, 20],
  ] as const
) {
  Deno.test(`pace: ${what} beyond burst and rate are one too many, by the limit's name`, () => {
    const pace = new ClientPace(LIMITS, 0);
    for (let i = 0; i < burst; i++) assertEquals(count(pace, 0), undefined);
    assertEquals(count(pace, 0), `More than ${perSecond} ${what} a second`);
    assertEquals(count(pace, 1000 / perSecond - 1), `More than ${perSecond} ${what} a second`);
    assertEquals(count(pace, 1000 / perSecond), undefined);
  });
}

Deno.test("pace: messages, frames and samples are counted apart", () => {
  const pace = new ClientPace(LIMITS, 0);
  for (let i = 0; i < 20; i++) pace.message(0, 1);
  for (let i = 0; i < 20; i++) assertEquals(pace.frame(0), undefined);
  assert(takes(pace, 5 * RATE, 0));
  assert(!takes(pace, 1, 0));
});

Deno.test("pace: forgiven, messages and frames begin anew, audio does not", () => {
  const pace = new ClientPace(LIMITS, 0);
  for (let i = 0; i < 30; i++) {
    pace.message(0, 1);
    pace.frame(0);
  }
  assert(takes(pace, 5 * RATE, 0));
  pace.forgive(0);
  for (let i = 0; i < 10; i++) assertEquals(pace.message(0, 1), undefined);
  assert(pace.message(0, 1) !== undefined);
  for (let i = 0; i < 20; i++) assertEquals(pace.frame(0), undefined);
  assert(pace.frame(0) !== undefined);
  assert(!takes(pace, 1, 0));
});

Deno.test("pace: by default, the messages and frames of 30 s come at once, and no more", () => {
  const pace = new ClientPace(SERVER_SESSION_LIMITS, 0);
  const { receivedTextRate, receivedAudioRate } = SERVER_SESSION_LIMITS;
  assertEquals([receivedTextRate.burst, receivedAudioRate.burst] as number[], [600, 15_000]);
  for (let i = 0; i < 600; i++) assertEquals(pace.message(0, 1), undefined);
  assertEquals(pace.message(0, 1), "More than 20 messages a second");
  for (let i = 0; i < 15_000; i++) assertEquals(pace.frame(0), undefined);
  assertEquals(pace.frame(0), "More than 500 audio frames a second");
});

// ——— audio ahead of real time ———

Deno.test("pace: audio further ahead than allowed is refused, with what is allowed and a code", () => {
  const pace = new ClientPace(LIMITS, 0);
  pace.audio(5 * RATE, 0);
  const error = assertThrows(() => pace.audio(1, 0), RemoteProtocolError);
  assertMatch(error.message, /5 s ahead of real time/);
  assertEquals(error.code, 429);
  assertEquals(error.reason, "error");
});

Deno.test("pace: a frame that is refused does not count: a smaller one may still fit", () => {
  const pace = new ClientPace(LIMITS, 0);
  assert(!takes(pace, 5 * RATE + 1, 0));
  assert(takes(pace, 5 * RATE, 0));
});

Deno.test("pace: what the client may be ahead comes back with time, and never grows", () => {
  const pace = new ClientPace(LIMITS, 0);
  pace.audio(5 * RATE, 0);
  assert(!takes(pace, 3 * RATE, 2900));
  assert(takes(pace, 3 * RATE, 3000));
  assert(!takes(pace, 5 * RATE + 1, 1e9));
  assert(takes(pace, 5 * RATE, 1e9));
});

/** Sends audio of so many samples in frames of 100 ms, as `clock` says: sample to time. */
function stream(pace: ClientPace, samples: number, clock: (sample: number) => number): void {
  const frame = RATE / 10;
  for (let sent = 0; sent < samples; sent += frame) {
    const nowMs = clock(sent + frame);
    assertEquals(pace.frame(nowMs), undefined, `frame at ${nowMs}`);
    assert(takes(pace, frame, nowMs), `${sent / RATE} s of audio at ${nowMs} ms`);
  }
}

Deno.test("pace: a stream with 30 s of history is never refused, for a day, by a fast clock too", () => {
  for (const ppm of [0, 500, -500]) {
    const pace = new ClientPace(SERVER_SESSION_LIMITS, 0);
    const startMs = 2000;
    stream(
      pace,
      24 * 3600 * RATE,
      (sample) => startMs + Math.max(0, sample / RATE - 30) * 1000 / (1 + ppm / 1e6),
    );
  }
});

Deno.test("pace: a stream that stalls for 25 s and catches up is never refused, however often", () => {
  const pace = new ClientPace(SERVER_SESSION_LIMITS, 0);
  // 30 s ahead at the start. In each minute, what belongs to the first 25 s comes at their end.
  stream(pace, 3600 * RATE, (sample) => {
    const ms = Math.max(0, sample / RATE - 30) * 1000;
    return ms % 60_000 < 25_000 ? ms - ms % 60_000 + 25_000 : ms;
  });
});

Deno.test("pace: frames of one sample, 8000 in a second, are taken", () => {
  const pace = new ClientPace(SERVER_SESSION_LIMITS, 0);
  for (let i = 1; i <= RATE; i++) {
    assertEquals(pace.frame(i / 8), undefined);
    pace.audio(1, i / 8);
  }
});

Deno.test("pace: a stream at twice the speed is refused, after as much as may be ahead", () => {
  const pace = new ClientPace(SERVER_SESSION_LIMITS, 0);
  let seconds = 0;
  while (seconds < 1000 && takes(pace, RATE / 10, seconds * 500)) seconds += 0.1;
  assert(seconds > 119 && seconds < 121, `refused after ${seconds} s`);
});

Deno.test("pace: property: audio ahead by no more than the limit is taken, whatever its frames", () => {
  const frames = fc.array(
    fc.record({ samples: fc.nat(32_000), waitMs: fc.nat(3000) }),
    { maxLength: 300 },
  );
  fc.assert(fc.property(frames, (frames) => {
    const pace = new ClientPace(LIMITS, 0);
    let nowMs = 0;
    /** Samples that the client has sent ahead; time that it did not use does not add up. */
    let ahead = 0;
    for (const { samples, waitMs } of frames) {
      nowMs += waitMs;
      ahead = Math.max(0, ahead - waitMs * RATE / 1000);
      const isTaken = takes(pace, samples, nowMs);
      if (ahead + samples <= 5 * RATE) assert(isTaken, `${ahead} + ${samples} samples ahead`);
      // A clock may be fast by a thousandth, and a bucket may give an eighth more than it holds.
      const slack = nowMs * RATE / 1e6 + 1 + 5 * RATE / 8;
      if (ahead + samples > 5 * RATE + slack) assert(!isTaken, `${ahead} + ${samples} ahead`);
      if (isTaken) ahead += samples;
    }
  }));
});

// ——— characters ———

Deno.test("pace: characters beyond burst and rate are too many, however few the messages", () => {
  const pace = new ClientPace(LIMITS, 0);
  assertEquals(pace.message(0, 1000), undefined);
  assertEquals(pace.message(0, 1), "More than 100 characters of text a second");
  assertEquals(pace.message(990, 100), "More than 100 characters of text a second");
  assertEquals(pace.message(1000, 100), undefined);
  pace.forgive(1000);
  assertEquals(pace.message(1000, 1000), undefined);
});
