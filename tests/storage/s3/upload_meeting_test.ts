/**
 * Uploads that others get in the way of, at the worst moment: a hold, a removal, another server's
 * retention.
 */
import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { FileAuditLog } from "../../../lib/storage/file_audit_log.ts";
import { FileRecordingArchive } from "../../../lib/storage/file_recording_archive.ts";
import { RecordingRemoval } from "../../../lib/storage/recording_removal.ts";
import { Retention } from "../../../lib/storage/retention.ts";
import { CombinedArchive, S3Client, S3RecordingArchive } from "../../../lib/storage/s3/mod.ts";
import { RECORDING_EXTENSIONS, RecordingKeys } from "../../../lib/storage/s3/recording_keys.ts";
import type { PutOptions } from "../../../lib/storage/s3/s3_client.ts";
import { uploadRecording } from "../../../lib/storage/s3/upload_recording.ts";
import { LogRecords } from "../../helpers/log_records.ts";
import { TempDir } from "../../helpers/temp_dir.ts";
import { BUCKET, CREDENTIALS } from "./object_server.ts";
import { DAY, idOf, nameOf, Scene } from "./upload_scene.ts";

const ID = idOf(1);
const HOLD = { since: "2026-11-22T00:00:00Z", reason: "Case 4711" };

/** Does something before the metadata is stored, once. */
class MeetingClient extends S3Client {
  readonly #meet: () => Promise<unknown>;
  #hasMet = false;

  constructor(scene: Scene, meet: () => Promise<unknown> = () => Promise.resolve()) {
    super({ endpoint: scene.server.url, bucket: BUCKET }, CREDENTIALS);
    this.#meet = meet;
  }

  override async put(
    key: string,
    body: Uint8Array<ArrayBuffer>,
    options?: PutOptions,
  ): Promise<string> {
    if (key.endsWith(".json") && !this.#hasMet) {
      this.#hasMet = true;
      await this.#meet();
    }
    return await super.put(key, body, options);
  }
}

/** Both places of a server's recordings. */
function archiveOf(scene: Scene, folder = scene.dir.path): CombinedArchive {
  return new CombinedArchive([
    new FileRecordingArchive(folder),
    new S3RecordingArchive(scene.direct),
  ]);
}

/** Uploads it; what it failed by is its result. */
async function upload(scene: Scene, client: S3Client, removesLocal = true): Promise<string> {
  try {
    return await uploadRecording({
      client,
      removesLocal,
      keys: new RecordingKeys("recordings"),
      folder: scene.dir.path,
      place: { day: DAY, name: nameOf(1) },
      signal: new AbortController().signal,
      isStopping: () => false,
    });
  } catch (error) {
    return error instanceof Error ? error.name : String(error);
  }
}

/** Breaks off behind the metadata, before that is noted. */
async function uploadHalf(scene: Scene): Promise<void> {
  await Deno.mkdir(scene.path(1, ".s3.part"));
  await upload(scene, new MeetingClient(scene), false);
  await Deno.remove(scene.path(1, ".s3.part"));
}

/** Extensions of its objects. */
async function objects(scene: Scene): Promise<string[]> {
  const found: string[] = [];
  for (const extension of RECORDING_EXTENSIONS) {
    if (await scene.stored(1, extension) !== undefined) found.push(extension);
  }
  return found.sort();
}

const WHOLE = [".json", ".jsonl", ".wav"];

Deno.test("upload: what another server's retention removed of it meanwhile is stored again", async () => {
  await using scene = await Scene.set();
  await scene.record(1);
  await archiveOf(scene).setHold(ID, HOLD);
  const client = new MeetingClient(scene, async () => {
    for (const extension of [".hold", ".jsonl", ".wav"]) {
      await scene.direct.delete(`recordings/${DAY}/${nameOf(1)}${extension}`);
    }
  });
  assertEquals(await upload(scene, client), "S3Error");
  assertEquals(await upload(scene, client), "uploaded");
  assertEquals(await objects(scene), [".hold", ...WHOLE].sort());
  assertEquals(await archiveOf(scene).hold(ID), HOLD);
});

Deno.test("retention: what is just being uploaded by another server is left alone", async () => {
  await using _log = await LogRecords.watch();
  await using scene = await Scene.set();
  await scene.record(1);
  await using other = await TempDir.create();
  const theirs = archiveOf(scene, join(other.path, "recordings"));
  const audit = new FileAuditLog(other.path, { reserve: { reserveBytes: 0 } });
  const index = { remove: () => Promise.resolve() };
  await using retention = new Retention({
    archive: theirs,
    removal: new RecordingRemoval({ archive: theirs, index, audit }),
    newestDay: () => Promise.resolve(undefined),
    retentionDays: 90,
  });
  const client = new MeetingClient(scene, () => retention.run());
  assertEquals(await upload(scene, client), "uploaded");
  assertEquals(await objects(scene), WHOLE);
});

Deno.test("upload: a hold that is set while it ends is there, and one that is lifted is not", async () => {
  for (const isLifted of [false, true]) {
    await using scene = await Scene.set();
    await scene.record(1);
    const archive = archiveOf(scene);
    if (isLifted) await archive.setHold(ID, HOLD);
    const client = new MeetingClient(
      scene,
      () => archive.setHold(ID, isLifted ? undefined : HOLD),
    );
    assertEquals(await upload(scene, client), "FileChangedError");
    assertEquals(await upload(scene, client), "uploaded");
    assertEquals(await objects(scene), isLifted ? WHOLE : [".hold", ...WHOLE].sort());
    assertEquals(await archive.hold(ID), isLifted ? undefined : HOLD);
  }
});

Deno.test("upload: one that goes on leaves the hold that another server has set", async () => {
  for (const removesLocal of [true, false]) {
    await using scene = await Scene.set();
    await scene.record(1);
    await uploadHalf(scene);
    const other = new S3RecordingArchive(scene.direct);
    assertEquals(await other.setHold(ID, HOLD), true);
    assertEquals(await upload(scene, scene.direct, removesLocal), "uploaded");
    assertEquals(await other.hold(ID), HOLD);
  }
});

Deno.test("upload: what was held after its removal broke off is not cleared away", async () => {
  await using scene = await Scene.set();
  await scene.record(1);
  await uploadHalf(scene);
  const local = new FileRecordingArchive(scene.dir.path);
  assertEquals(await local.remove(ID), "removed");
  const archive = archiveOf(scene);
  assertEquals(await archive.setHold(ID, HOLD), true);
  assertEquals(await upload(scene, scene.direct), "gone");
  assertEquals(await objects(scene), [".hold", ...WHOLE].sort());
});

Deno.test("upload: on a full disk, what is removed in its midst does not come back", async () => {
  await using scene = await Scene.set();
  await scene.record(1);
  // Nothing can be made beside it.
  await Deno.mkdir(scene.path(1, ".s3.upload.part"));
  const archive = archiveOf(scene);
  const client = new MeetingClient(scene, () => archive.remove(ID));
  assertEquals(await upload(scene, client), "gone");
  assertEquals(await objects(scene), []);
});
