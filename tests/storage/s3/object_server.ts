/**
 * A real S3 server for tests (`@20minutes/s3rver`, an npm package that Deno runs): it checks
 * signatures, knows ranges and uploads by parts, and can be killed and started again.
 *
 * Must not import: anything of lib.
 */
import { join } from "node:path";
import { Program, TemporaryFolder } from "../../helpers/program.ts";

/** The only keys that the server knows. */
export const CREDENTIALS = { accessKeyId: "S3RVER", secretAccessKey: "S3RVER" } as const;
export const BUCKET = "calls";

const FOLDER = import.meta.dirname ?? ".";
/** Of the server's own packages. */
const LOCK = join(FOLDER, "object_server.lock.json");

/** The first start may have to fetch the package. */
const START_MS = 120_000;

/** What a server is like: `""` for one as it should be. */
export type ServerKind = "" | "opaque" | "careless" | "old";

/** Make it by `await using server = await ObjectServer.start()`. */
export class ObjectServer implements AsyncDisposable {
  readonly #folder: TemporaryFolder;
  readonly #kind: ServerKind;
  #program: Program;
  /** The same after each start. */
  readonly port: number;

  private constructor(
    folder: TemporaryFolder,
    kind: ServerKind,
    program: Program,
    port: number,
  ) {
    this.#folder = folder;
    this.#kind = kind;
    this.#program = program;
    this.port = port;
  }

  /** Starts one with an empty bucket. */
  static async start(kind: ServerKind = ""): Promise<ObjectServer> {
    const folder = await TemporaryFolder.make();
    const program = run(folder, kind, 0);
    return new ObjectServer(folder, kind, program, await portOf(program));
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Makes an object as old as if it had been stored by so much earlier. */
  async age(key: string, byMs: number): Promise<void> {
    const path = this.#folder.join(BUCKET, `${key}._S3rver_object`);
    const { mtime } = await Deno.stat(path);
    const time = new Date((mtime?.getTime() ?? NaN) - byMs);
    await Deno.utime(path, time, time);
  }

  /** Ends it at once, whatever it is doing. What it has stored stays. */
  async kill(): Promise<void> {
    await this.#program[Symbol.asyncDispose]();
  }

  /** Starts it again, on the same port, with what it has stored. */
  async restart(): Promise<void> {
    await this.kill();
    this.#program = run(this.#folder, this.#kind, this.port);
    await portOf(this.#program);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.#folder[Symbol.asyncDispose]();
  }
}

function run(folder: TemporaryFolder, kind: ServerKind, port: number): Program {
  return new Program({
    args: [
      ...["run", "--quiet", "--no-prompt", "--no-config", `--lock=${LOCK}`, "--frozen"],
      ...["--allow-net=127.0.0.1", `--allow-write=${folder.path}`],
      ...["--allow-read", "--allow-env", "--allow-sys"],
      join(FOLDER, "object_server_program.ts"),
      ...[folder.path, String(port), BUCKET, kind],
    ],
    cwd: folder.path,
    env: certificates(),
  });
}

/** Whom the registry's certificate is from, where that is not one whom all trust. */
function certificates(): Record<string, string> {
  const names = ["SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"];
  return Object.fromEntries(
    names.map((name) => [name, Deno.env.get(name) ?? ""]).filter(([, value]) => value !== ""),
  );
}

async function portOf(program: Program): Promise<number> {
  const [, port] = await program.waitFor(/port (\d+)/, START_MS);
  return Number(port);
}
