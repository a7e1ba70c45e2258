/**
 * A recording as a browser plays it: a call by the program's own client, recorded by the program,
 * in the `<audio>` element of a real Chromium, which loads what it needs by ranges.
 */
import { assert, assertAlmostEquals, assertEquals, assertExists, assertLess } from "@std/assert";
import { STEP_TIMEOUT_MS, TestBrowser, type WatchedPage } from "../helpers/browser.ts";
import { within } from "../helpers/deadline.ts";
import {
  CALL_WAV,
  eventually,
  Program,
  ROOT,
  TemporaryFolder,
  wavData,
} from "../helpers/program.ts";
import { expectedAudio, type MadeAudio, wavFile } from "../helpers/recordings.ts";
import { AudioPassage } from "./audio_passage.ts";

const TOKEN = "a-token-of-at-least-32-characters";
const RATE = 8000;
/** So long that a browser has to ask for what it seeks: 2 MB, of which it has a part. */
const REPEATS = 3;
/** The call is placed in some seconds. */
const SPEED = 40;
const CALL_TIMEOUT_MS = 120_000;
/** A sample of 16 bits, and what rounding may do. */
const TOLERANCE = 2 / 32_768;

/** What playback.html says of its element. */
interface PlayerState {
  readonly duration: number;
  readonly currentTime: number;
  readonly seekableSeconds: number;
}

/** How its decoder differs from what is right. */
interface Comparison {
  readonly numberOfChannels: number;
  readonly length: number;
  readonly sampleRate: number;
  readonly largestDifference: number;
}

/** Runs a function of playback.html. */
async function ask<T>({ page }: WatchedPage, call: string): Promise<T> {
  return await within(page.evaluate(call) as Promise<T>, call, STEP_TIMEOUT_MS);
}

/** Records a call of some audio, and tells where the API has it. */
async function record(server: Program, folder: TemporaryFolder, audio: MadeAudio): Promise<URL> {
  const { host } = await server.url();
  const wav = folder.join("long_call.wav");
  await Deno.writeFile(wav, wavFile(audio));
  // The program's key is in the folder.
  await using call = Program.call(folder.path, ["--wav", wav, "--speed", String(SPEED)], {
    PORT: host.replace(/.*:/, ""),
  });
  const { code, output } = await call.ended(CALL_TIMEOUT_MS);
  assertEquals(code, 0, output);
  const id = await eventually(
    async () => {
      const response = await fetch(`http://${host}/api/recordings?state=finished`, {
        headers: { authorization: `Bearer ${TOKEN}` },
      });
      const { recordings } = await response.json();
      return recordings?.[0]?.id as string | undefined;
    },
    "the recording in the index",
    CALL_TIMEOUT_MS,
  );
  return new URL(`http://${host}/api/recordings/${id}/audio`);
}

Deno.test("audio: a browser knows the length of a recording, plays it, seeks by ranges, and decodes every sample", async () => {
  await using browser = await TestBrowser.start();
  if (browser === undefined) return;
  await using folder = await TemporaryFolder.make();
  await using server = Program.server(folder.path, {
    ADMIN_TOKEN: TOKEN,
    MAX_AUDIO_AHEAD_SECONDS: "1000",
    MAX_AUDIO_FRAMES_PER_SECOND: "10000",
  });
  const once = await wavData(CALL_WAV);
  const data = new Uint8Array(REPEATS * once.length);
  for (let i = 0; i < REPEATS; i++) data.set(once, i * once.length);
  const audio: MadeAudio = { format: "PCMU", channels: ["external", "internal"], data };
  const seconds = data.length / 2 / RATE;

  await using passage = AudioPassage.start({
    audio: await record(server, folder, audio),
    token: TOKEN,
    page: await Deno.readTextFile(`${ROOT}/tests/api/playback.html`),
    references: {
      both: new Uint8Array(expectedAudio(audio, "pcm16").data),
      external: new Uint8Array(expectedAudio(audio, "pcm16", "external").data),
    },
  });
  const player = await browser.open(passage.url);

  for (const [query, bytesPerSecond] of [["", 2 * RATE], ["?format=pcm16", 4 * RATE]] as const) {
    const loaded = await ask<PlayerState>(player, `load("/part${query}")`);
    assertAlmostEquals(loaded.duration, seconds, 0.05, query);
    assertEquals(loaded.seekableSeconds, loaded.duration, query);
    assertLess(0.3, await ask<number>(player, "playFor(0.3)"), query);

    for (const target of [seconds / 2, seconds - 1]) {
      const before = passage.seen.length;
      const { currentTime, seekableSeconds } = await ask<PlayerState>(player, `seek(${target})`);
      assertAlmostEquals(currentTime, target, 0.05, query);
      assertEquals(seekableSeconds, loaded.duration, query);
      const ranges = passage.seen.slice(before);
      const place = Math.floor(target * bytesPerSecond);
      const told = `seeking to ${target} in ${query}: ${JSON.stringify(ranges)}`;
      const range = ranges.find(({ from = 0, to = 0 }) => from > 0 && from <= place && place < to);
      assertExists(range, told);
      for (const { asked, status } of ranges) assertEquals([asked !== null, status], [true, 206]);
      // From there it plays, too.
      assertLess(0.1, await ask<number>(player, "playFor(0.1)"), told);
    }
  }

  for (
    const [query, reference, channels] of [
      ["", "both", 2],
      ["?format=pcm16", "both", 2],
      ["?channel=external", "external", 1],
      ["?format=pcm16&channel=external", "external", 1],
    ] as const
  ) {
    const compared = await ask<Comparison>(
      player,
      `compare("/whole${query}", "/reference/${reference}")`,
    );
    const { largestDifference, ...shape } = compared;
    assertEquals(
      shape,
      { numberOfChannels: channels, length: data.length / 2, sampleRate: RATE },
      query,
    );
    assert(largestDifference <= TOLERANCE, `${query}: ${largestDifference}`);
  }
  assertEquals(player.troubles, []);
});
