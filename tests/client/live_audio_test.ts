import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { LiveAudio } from "../../lib/client/live_audio.ts";

const SECOND = 8000;

function live(seconds: number, options: { speed?: number; history?: number } = {}): LiveAudio {
  const { speed = 1, history: historySeconds = 0 } = options;
  return new LiveAudio({ samples: seconds * SECOND, speed, frameSamples: 800, historySeconds });
}

/** Takes every frame that is due. */
function take(audio: LiveAudio, nowMs: number): number[] {
  const frames: number[] = [];
  for (let samples = audio.nextFrame(nowMs); samples > 0; samples = audio.nextFrame(nowMs)) {
    frames.push(samples);
    audio.advance(samples);
  }
  return frames;
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);

Deno.test("live audio: without history the clock starts when the session opens", () => {
  const audio = live(1);
  assertEquals(audio.dueMs, Infinity);
  assertEquals(audio.nextFrame(1e6), 0);
  assertEquals(audio.openSession(5000), { offeredSamples: 0, lostSamples: 0 });
  assertEquals(take(audio, 5000), [800]);
  assertEquals(audio.dueMs, 5100);
  assertEquals(take(audio, 5099), []);
  assertEquals(take(audio, 5300), [800, 800, 800]);
  assertEquals(take(audio, 6000), [800, 800, 800, 800, 800, 800]);
  assert(audio.isOver);
  assertEquals(audio.nextFrame(9000), 0);
  // The last frame is sent when it begins; the call ends when it does.
  assertEquals(audio.dueMs, 6000);
});

Deno.test("live audio: the last frame is shorter, and the speed is that of the clock", () => {
  const audio = new LiveAudio({ samples: 2000, speed: 10, frameSamples: 800, historySeconds: 0 });
  audio.openSession(0);
  assertEquals(take(audio, 19.9), [800, 800]);
  assertEquals(audio.dueMs, 20);
  assertEquals(take(audio, 20), [400]);
});

for (
  const [history, offered, lost] of [[0.5, 0.5, 0], [20, 20, 0], [21, 20, 1], [30, 20, 10], [
    99,
    20,
    10,
  ]] as const
) {
  Deno.test(`live audio: of a history of ${history} s, ${offered} s are offered`, () => {
    const audio = live(60, { history });
    assertEquals(audio.openSession(1000), {
      offeredSamples: offered * SECOND,
      lostSamples: lost * SECOND,
    });
    assertEquals(audio.positionSamples, lost * SECOND);
    assert(audio.isCatchingUp);
    const caughtUp = take(audio, 1000);
    // The last frame is the first of the live ones.
    assertEquals(caughtUp.at(-1), 800);
    assertEquals(sum(caughtUp.slice(0, -1)), offered * SECOND);
    assertEquals(audio.positionSamples, Math.min(history, 30) * SECOND + 800);
    assertEquals(audio.isCatchingUp, false);
    assertEquals(audio.dueMs, 1100);
  });
}

Deno.test("live audio: frames that catch up differ, and fit into 64,000 bytes of stereo L16", () => {
  const audio = live(60, { history: 20 });
  audio.openSession(0);
  const frames = take(audio, 0);
  assert(new Set(frames).size > 4, frames.join());
  for (const samples of frames) assertLessOrEqual(samples * 4, 64_000);
});

Deno.test("live audio: a history that is longer than the call is all of it", () => {
  const audio = live(3, { history: 30 });
  assertEquals(audio.openSession(0), { offeredSamples: 3 * SECOND, lostSamples: 0 });
  assertEquals(sum(take(audio, 0)), 3 * SECOND);
  assert(audio.isOver);
});

Deno.test("live audio: what goes by between two sessions is offered to the second", () => {
  const audio = live(600);
  audio.openSession(0);
  take(audio, 900);
  assertEquals(audio.positionSamples, SECOND);
  // The clock runs already.
  audio.start(5000);
  assertEquals(audio.openSession(8000), { offeredSamples: 7 * SECOND, lostSamples: 0 });
  take(audio, 8000);
  assertEquals(audio.openSession(60_000), {
    offeredSamples: 20 * SECOND,
    lostSamples: 52 * SECOND - 800 - 20 * SECOND,
  });
});

Deno.test("live audio: a retry starts the clock at the attempt that failed", () => {
  const audio = live(600, { speed: 2, history: 1 });
  audio.start(1000);
  assertEquals(audio.openSession(4000), { offeredSamples: 7 * SECOND, lostSamples: 0 });
});

Deno.test("live audio: what is dropped is dropped to the sample, when its time comes", () => {
  const audio = live(60);
  audio.openSession(0);
  take(audio, 0);
  audio.drop(1000);
  assert(audio.isDropping);
  assertEquals(audio.nextFrame(99), 0);
  assertEquals(take(audio, 100), [800]);
  assert(audio.isDropping);
  // Twice is both.
  audio.drop(100);
  assertEquals(take(audio, 200), [300]);
  assertEquals(audio.isDropping, false);
  assertEquals(take(audio, 237.5), [800]);
});

Deno.test("live audio: a call that waits goes on where it was, one that is held has to hurry", () => {
  const waiting = live(60);
  waiting.openSession(0);
  take(waiting, 0);
  waiting.wait(1000);
  assertEquals(take(waiting, 999), []);
  assertEquals(take(waiting, 1000), [800]);
  assertEquals(waiting.dueMs, 1100);
  const held = live(60, { history: 1 });
  held.openSession(0);
  held.hold(1000);
  assertEquals(held.dueMs, 1000);
  assertEquals(take(held, 999), []);
  assertEquals(sum(take(held, 1000)), 2 * SECOND + 800);
});
