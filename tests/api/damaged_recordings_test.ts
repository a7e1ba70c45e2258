/**
 * What is answered of recordings that were never completed, or whose files were damaged: over real
 * HTTP, from real storage, as it is put together by the server.
 */
import { assertEquals } from "@std/assert";
import { Keyring } from "../../lib/protocol/keyring.ts";
import { startServer } from "../../lib/server/mod.ts";
import { DiskBackend, RecordingLibrary } from "../../lib/storage/mod.ts";
import { ADMIN_TOKEN, apiOf } from "../helpers/api_server.ts";
import { until, within } from "../helpers/deadline.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { type FilesByExtension, RecordedFiles } from "../helpers/recorded_files.ts";
import { type MadeAudio, makeRecording, wavFile } from "../helpers/recordings.ts";
import { noise } from "../helpers/wav_check.ts";

const AUDIO: MadeAudio = { format: "PCMU", channels: ["external", "internal"], data: noise(1000) };
const WHOLE = wavFile(AUDIO);
/** As it is while a call runs. */
const PART = wavFile(AUDIO, 0xFFFFFFFF);
const LOG = '{"time":"2026-11-22T09:30:00.000Z","position":"PT0S"}\n';
const PARTS = ["", "/audio", "/audio?format=pcm16&channel=internal", "/messages", "/peaks"];

/** A server with recordings in a folder, which completes none before it is told to. */
class Scene implements AsyncDisposable {
  readonly files: RecordedFiles;
  readonly library: RecordingLibrary;
  readonly #server: ReturnType<typeof startServer>;

  private constructor(
    files: RecordedFiles,
    library: RecordingLibrary,
    server: ReturnType<typeof startServer>,
  ) {
    this.files = files;
    this.library = library;
    this.#server = server;
  }

  static async start(): Promise<Scene> {
    const files = await RecordedFiles.create();
    const library = new RecordingLibrary({
      backend: new DiskBackend({ dataDir: files.dir.path, recordingsDir: files.folder }),
      index: { place: { kind: "memory" }, key: new Uint8Array(32) },
    });
    const server = startServer({
      keyring: await Keyring.create(new Map()),
      apps: [],
      routes: apiOf(library),
    });
    return new Scene(files, library, server);
  }

  /** Puts files of a new recording there. */
  async put(files: FilesByExtension): Promise<string> {
    const id = `2026-11-22.${crypto.randomUUID()}`;
    await this.files.put(id, files);
    return id;
  }

  /** Completes what can be. */
  async complete(): Promise<void> {
    const id = await this.put({ ".wav.part": PART, ".jsonl": LOG });
    this.library.start();
    await until(async () => await this.library.archive.metadata(id) !== undefined, "recovery");
    // All others were looked at when one that comes now is no longer taken for one of them.
    const other = await this.put({ ".wav.part": PART, ".jsonl": LOG });
    await until(async () => !await this.library.archive.isUnderWay(other), "end of recovery");
  }

  /** Status, and code of the error, of a part. */
  async ask(id: string, part = "", method = "GET"): Promise<string> {
    const url = `http://127.0.0.1:${this.#server.addr.port}/api/recordings/${id}${part}`;
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
    const response = await within(fetch(url, { method, headers }), url);
    const text = await response.text();
    return response.ok ? String(response.status) : `${response.status} ${codeIn(text)}`;
  }

  /** The same of all parts. */
  async askAll(id: string): Promise<string[]> {
    const answers = [];
    for (const part of PARTS) answers.push(await this.ask(id, part));
    return answers;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
    await this.library[Symbol.asyncDispose]();
    await this.files[Symbol.asyncDispose]();
  }
}

function codeIn(text: string): string {
  return JSON.parse(text).error.code;
}

const GOOD = "200";
const METADATA = "500 damaged_metadata";
const DAMAGED = "500 damaged_audio";
const NO_AUDIO = "404 no_audio";
const NO_MESSAGES = "404 no_messages";
const ABSENT = "404 not_found";

/** What is left of recordings, and what is answered of the audio, and of the messages. */
const ROWS: readonly (readonly [
  what: string,
  files: FilesByExtension,
  audio: string,
  messages: string,
])[] = [
  ["garbage", { ".wav.part": noise(5000), ".jsonl": LOG }, DAMAGED, GOOD],
  ["garbage without messages", { ".wav.part": noise(5000) }, DAMAGED, GOOD],
  ["zeros without messages", { ".wav.part": new Uint8Array(5000) }, DAMAGED, GOOD],
  ["something else", { ".wav.part": "ID3\x04".padEnd(3000), ".jsonl": LOG }, DAMAGED, GOOD],
  ["an empty file", { ".wav.part": "", ".jsonl": "garbage" }, DAMAGED, GOOD],
  ["messages that are none", { ".jsonl": noise(300) }, NO_AUDIO, GOOD],
  ["both", { ".wav": WHOLE, ".wav.part": PART, ".jsonl": LOG }, GOOD, GOOD],
  ["no metadata that are any", { ".wav": WHOLE, ".jsonl": LOG, ".json": "" }, GOOD, GOOD],
  ["half of its metadata", { ".wav": WHOLE, ".jsonl": LOG, ".json": '{"version":1,' }, GOOD, GOOD],
  ["metadata as a list", { ".wav": WHOLE, ".json": "[]" }, GOOD, NO_MESSAGES],
  ["metadata without audio", { ".jsonl": LOG, ".json": "{}" }, NO_AUDIO, GOOD],
];

Deno.test("damaged recordings: are said to be, whatever is left of them", async () => {
  await using logs = await LogRecords.watch();
  await using scene = await Scene.start();
  const ids = new Map<string, string>();
  for (const [what, files] of ROWS) ids.set(what, await scene.put(files));
  const newer = await makeRecording(scene.files.folder, { audio: AUDIO });
  const text = JSON.stringify({ ...newer.metadata, version: 2 });
  await Deno.writeTextFile(`${newer.path}.json`, text);
  await scene.complete();
  for (const [what, , audio, messages] of ROWS) {
    const id = ids.get(what) ?? "";
    logs.records.length = 0;
    assertEquals(await scene.askAll(id), [METADATA, audio, audio, messages, audio], what);
    const said = logs.records.filter(({ properties }) => properties.id === id);
    assertEquals(said.every(({ level }) => level === "error"), true, what);
    assertEquals(said.some(({ rawMessage }) => /no metadata/.test(String(rawMessage))), true, what);
    // Nothing was changed, and they can be removed.
    assertEquals(await scene.ask(id, "", "DELETE"), "204", what);
    assertEquals(await scene.ask(id), ABSENT, what);
  }
  assertEquals(await scene.askAll(newer.id), [METADATA, GOOD, GOOD, GOOD, GOOD]);
});

Deno.test("damaged recordings: what is still to be completed is not said to be damaged", async () => {
  await using _logs = await LogRecords.watch();
  await using scene = await Scene.start();
  const id = await scene.put({ ".wav.part": noise(5000), ".jsonl": LOG });
  const good = await scene.put({ ".wav.part": PART, ".jsonl": LOG });
  assertEquals(await scene.ask(id), "503 unavailable");
  assertEquals(await scene.ask(id, "/audio"), NO_AUDIO);
  assertEquals(await scene.ask(good), "503 unavailable");
  assertEquals(await scene.ask(good, "/audio"), GOOD);
  await scene.complete();
  assertEquals(await scene.ask(id), METADATA);
  assertEquals(await scene.ask(id, "/audio"), DAMAGED);
  assertEquals(await scene.ask(good), GOOD);
});

Deno.test("damaged recordings: what somebody writes is not said to be damaged", async () => {
  await using _logs = await LogRecords.watch();
  await using scene = await Scene.start();
  await scene.complete();
  const begun = await scene.put({ ".jsonl": "" });
  assertEquals(await scene.ask(begun), "503 unavailable");
  assertEquals(await scene.ask(begun, "/audio"), NO_AUDIO);
  const id = await scene.put({ ".wav.part": "", ".jsonl": LOG });
  {
    using _lock = await scene.files.lock(id);
    assertEquals(await scene.ask(id), "503 unavailable");
    assertEquals(await scene.ask(id, "/audio"), NO_AUDIO);
    assertEquals(await scene.ask(id, "/messages"), GOOD);
  }
  // Whoever wrote it did not end it.
  assertEquals(await scene.ask(id), METADATA);
  assertEquals(await scene.ask(id, "/audio"), DAMAGED);
});
