import { assertEquals, assertMatch } from "@std/assert";
import { AudioRing } from "../../../lib/client/load/load_audio.ts";
import { SentAudio } from "../../../lib/client/load/sent_audio.ts";
import { type SentSession, verifyRecordings } from "../../../lib/client/load/verify_recordings.ts";
import { TemporaryFolder } from "../../helpers/program.ts";
import { someMulaw, wavFile } from "../wav_files.ts";

const FRAME = 80;
const AUDIO = someMulaw(1000);
const ring = new AudioRing(AUDIO, 1, FRAME);

/** A session that sent ten frames. */
function session(endedWell: boolean): SentSession {
  const sent = new SentAudio(ring, 0);
  for (let i = 0; i < 10; i++) sent.add(FRAME);
  return { sessionId: crypto.randomUUID(), sent, endedWell };
}

const RIGHT = AUDIO.subarray(0, 800);
const WRONG = RIGHT.with(799, 0xfe);

Deno.test("verify: each recording is what it is, whatever the day", async () => {
  await using folder = await TemporaryFolder.make();
  const sessions: SentSession[] = [];
  async function recorded(endedWell: boolean, day: string, file: Uint8Array): Promise<void> {
    const made = session(endedWell);
    sessions.push(made);
    await Deno.mkdir(folder.join(day), { recursive: true });
    await Deno.writeFile(folder.join(day, `${made.sessionId}.wav`), file);
  }
  const wav = (data: Uint8Array) => wavFile("PCMU", 1, data);
  await recorded(true, "2026-01-01", wav(RIGHT));
  await recorded(true, "2026-01-02", wav(RIGHT));
  await recorded(true, "2026-01-02", wav(WRONG));
  await recorded(true, "2026-01-02", wav(RIGHT.subarray(0, 799)));
  await recorded(true, "2026-01-02", wav(Uint8Array.of(...RIGHT, 1)));
  await recorded(true, "2026-01-02", wav(new Uint8Array(100_000)));
  await recorded(true, "2026-01-02", Uint8Array.of(1, 2, 3));
  await recorded(false, "2026-01-02", wav(RIGHT));
  await recorded(false, "2026-01-02", wav(RIGHT.subarray(0, 300)));
  await recorded(false, "2026-01-02", wav(WRONG));
  sessions.push(session(true), session(false), session(false));
  const { examples, ...counts } = await verifyRecordings(folder.path, sessions, 0);
  assertEquals(counts, {
    exact: 2,
    different: 5,
    missing: 1,
    cutExact: 2,
    cutDifferent: 1,
    cutMissing: 2,
  });
  assertEquals(examples.length, 5);
  for (const example of examples) assertMatch(example, /^[0-9a-f-]{36}\.wav \S/);
});

Deno.test("verify: a recording of a unique name is its session's", async () => {
  await using folder = await TemporaryFolder.make();
  const [one, two, three] = [session(true), session(true), session(true)];
  await Deno.mkdir(folder.join("2026-01-01"));
  const put = (name: string, data: Uint8Array) =>
    Deno.writeFile(folder.join("2026-01-01", name), wavFile("PCMU", 1, data));
  await put(`${one.sessionId}.0badcafe.wav`, RIGHT);
  await put(`${two.sessionId}.12345678.wav`, WRONG);
  // No names of recordings.
  await put(`${three.sessionId}.0badcafe0.wav`, RIGHT);
  await put(`${three.sessionId}.0badcafe.wav.part`, RIGHT);
  const { exact, different, missing } = await verifyRecordings(folder.path, [one, two, three], 0);
  assertEquals([exact, different, missing], [1, 1, 1]);
});

Deno.test("verify: a recording that is finished only after a while is found", async () => {
  await using folder = await TemporaryFolder.make();
  const late = session(true);
  await Deno.mkdir(folder.join("2026-01-01"));
  const path = folder.join("2026-01-01", `${late.sessionId}.wav`);
  await Deno.writeFile(`${path}.part`, wavFile("PCMU", 1, RIGHT));
  const counts = verifyRecordings(folder.path, [late], 20_000);
  await Deno.rename(`${path}.part`, path);
  assertEquals((await counts).exact, 1);
});

Deno.test("verify: who sent nothing has no recording to be missed", async () => {
  await using folder = await TemporaryFolder.make();
  const silent = { sessionId: crypto.randomUUID(), sent: new SentAudio(ring, 0), endedWell: true };
  assertEquals((await verifyRecordings(folder.path, [silent], 0)).missing, 0);
});
