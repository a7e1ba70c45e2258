/**
 * A folder with recordings, put there file by file, for tests of what reads and removes them.
 */
import { dirname, join } from "node:path";
import { TempDir } from "./temp_dir.ts";

/** Extension of each file to what is in it. */
export type FilesByExtension = Readonly<Record<string, string | Uint8Array>>;

/** Make it by `await using recordings = await RecordedFiles.create()`. */
export class RecordedFiles implements AsyncDisposable {
  /** The data folder. */
  readonly dir: TempDir;

  private constructor(dir: TempDir) {
    this.dir = dir;
  }

  static async create(): Promise<RecordedFiles> {
    return new RecordedFiles(await TempDir.create());
  }

  /** The folder that has a folder for each day. */
  get folder(): string {
    return join(this.dir.path, "recordings");
  }

  /** Path of a recording's file. */
  path(id: string, extension: string): string {
    return join(this.folder, id.slice(0, 10), id.slice(11) + extension);
  }

  /** Puts files of a recording there. */
  async put(id: string, files: FilesByExtension): Promise<void> {
    for (const [extension, content] of Object.entries(files)) {
      await this.putFile(`${id.slice(0, 10)}/${id.slice(11)}${extension}`, content);
    }
  }

  /** Puts any file there. */
  async putFile(path: string, content: string | Uint8Array = "foreign"): Promise<void> {
    const file = join(this.folder, path);
    await Deno.mkdir(dirname(file), { recursive: true });
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await Deno.writeFile(file, bytes);
  }

  /** Files of all recordings, relative, sorted; and folders that are empty, with a slash. */
  async names(): Promise<string[]> {
    const found: string[] = [];
    const walk = async (folder: string, path: string): Promise<void> => {
      const entries = await Array.fromAsync(Deno.readDir(folder));
      if (entries.length === 0 && path !== "") found.push(path);
      for (const { name, isDirectory } of entries) {
        if (isDirectory) await walk(join(folder, name), `${path}${name}/`);
        else found.push(path + name);
      }
    };
    try {
      await walk(this.folder, "");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return found.sort();
  }

  /** The lock that whoever makes a recording holds, until it is disposed of. */
  async lock(id: string): Promise<Disposable> {
    const file = await Deno.open(this.path(id, ".jsonl"), { read: true, write: true });
    if (!await file.tryLock(true)) throw new Error(`The messages of ${id} are locked already`);
    return file;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dir[Symbol.asyncDispose]();
  }
}
