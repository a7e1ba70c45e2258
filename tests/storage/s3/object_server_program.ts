/**
 * An S3 server in a process of its own. Arguments: its folder, its port (0 for any), the name of a
 * bucket, which is made, and perhaps `opaque`: ETags tell nothing, as those of encrypted objects,
 * `careless`: no checksum is checked, and ETags tell nothing, or `old`: it stores on no condition.
 * Prints its port. To be run with `--no-config`, and the lock file beside it.
 *
 * It is `@20minutes/s3rver`, which checks signatures. What that one lacks, and all of AWS, MinIO, R2
 * and Google have, is added here: uploads by parts that can be listed and aborted, conditions,
 * checks of Content-MD5, ETags of objects made of parts, and no access for those who sign nothing.
 */
import { Buffer } from "node:buffer";
import crypto, { createHash } from "node:crypto";
import { join } from "node:path";

// It enciphers the tokens of its pages by DES, which Deno does not have; plain ones do as well.
const plain = { update: (data: string) => Buffer.from(data), final: () => Buffer.alloc(0) };
Object.assign(crypto, { createCipheriv: () => plain, createDecipheriv: () => plain });

const [directory = "", port = "0", bucket = "", kind = ""] = Deno.args;
const UPLOADS = join(directory, bucket, "._S3rver_uploads");

/** What is used of Koa's context. */
interface Context {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string | undefined>>;
  readonly headers: Readonly<Record<string, string | undefined>>;
  params: { bucket?: string; key?: string };
  state: Record<string, unknown>;
  status: number;
  body: unknown;
  readonly response: { get(name: string): string | undefined };
  set(name: string, value: string): void;
}

type Next = () => Promise<void>;

/** Paths of what is being stored on a condition. */
const storing = new Map<string, Promise<void>>();

/** What is used of s3rver. */
interface ObjectServer {
  readonly middleware: ((ctx: Context, next: Next) => Promise<void>)[];
  readonly store: {
    existsObject(bucket: string, key: string): Promise<boolean>;
    getMetadata(bucket: string, key: string): Promise<{ readonly etag: string }>;
    getResourcePath(bucket: string, key: string, resource: string): string;
    deleteObject(bucket: string, key: string): Promise<void>;
  };
  httpServer: { keepAliveTimeout: number };
  run(): Promise<{ readonly port: number }>;
}

/**
 * Not by names that Deno finds by itself: what the project's lock file has is fetched by each first
 * start of the server, and goes into its binary.
 */
const S3RVER = ["npm:@20minutes", "s3rver@5.0.0"].join("/");
const { default: S3rver }: { default: new (options: unknown) => ObjectServer } = await import(
  S3RVER
);
const { default: authentication }: {
  default: () => (ctx: Context, next: Next) => Promise<void>;
} = await import(`${S3RVER}/lib/middleware/authentication.js`);
const { default: S3Error }: { default: new (code: string, message: string) => Error } =
  await import(`${S3RVER}/lib/models/error.js`);

const server = new S3rver({
  address: "127.0.0.1",
  port: Number(port),
  directory,
  silent: true,
  configureBuckets: [{ name: bucket, configs: [] }],
});
// When the object is gone, it removes folders that are empty: perhaps another removal just did.
const deleteObject = server.store.deleteObject.bind(server.store);
server.store.deleteObject = (bucket, key) =>
  deleteObject(bucket, key).catch((error: unknown) => {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  });
server.middleware.splice(2, 0, handle);
const address = await server.run();
// Proxies of tests hold requests back for seconds: their connections stay.
server.httpServer.keepAliveTimeout = 120_000;
Deno.stdout.writeSync(new TextEncoder().encode(`port ${address.port}\n`));

/** As the kind of server gives ETags. */
async function handle(ctx: Context, next: Next): Promise<void> {
  await handlePlain(ctx, next);
  const etag = ctx.response.get("etag");
  if (etag) ctx.set("ETag", shown(etag));
}

function shown(etag: string): string {
  if (kind === "" || kind === "old") return etag;
  return `"${createHash("md5").update(`opaque ${etag}`).digest("hex")}"`;
}

/** Does what is added, and leaves the rest to s3rver. */
async function handlePlain(ctx: Context, next: Next): Promise<void> {
  const isConditional = ctx.headers["if-none-match"] === "*" ||
    (ctx.method !== "GET" && ctx.headers["if-match"] !== undefined);
  if (!isConditional) return await handleAny(ctx, next);
  // Of several at the same moment, one is first.
  while (storing.has(ctx.path)) await storing.get(ctx.path);
  const { promise, resolve } = Promise.withResolvers<void>();
  storing.set(ctx.path, promise);
  try {
    await handleAny(ctx, next);
  } finally {
    storing.delete(ctx.path);
    resolve();
  }
}

async function handleAny(ctx: Context, next: Next): Promise<void> {
  if (ctx.headers.authorization === undefined) throw new S3Error("AccessDenied", "Sign it");
  const [, name, ...rest] = ctx.path.split("/").map(decodeURIComponent);
  const key = rest.join("/");
  if (name !== bucket) return await next();
  const { uploadId } = ctx.query;
  const isList = ctx.method === "GET" && "uploads" in ctx.query;
  const isOfUpload = uploadId !== undefined && (ctx.method === "GET" || ctx.method === "DELETE");
  if (isList || isOfUpload) {
    ctx.params = key === "" ? { bucket } : { bucket, key };
    await authentication()(ctx, () => isList ? listUploads(ctx) : doUpload(ctx, uploadId ?? ""));
    return;
  }
  if (uploadId !== undefined) await partsOf(uploadId);
  const stores = ctx.method === "PUT" || (ctx.method === "POST" && uploadId !== undefined);
  const etag = ctx.headers["if-match"];
  const isNew = ctx.headers["if-none-match"] === "*";
  if (stores && kind === "old" && (isNew || etag !== undefined)) {
    throw Object.assign(new S3Error("NotImplemented", "A header is not"), { status: 501 });
  }
  if (stores && isNew && await server.store.existsObject(bucket, key)) failCondition();
  if (stores && etag !== undefined) {
    const metadata = await server.store.getMetadata(bucket, key).catch(() => undefined);
    if (metadata === undefined) {
      throw Object.assign(new S3Error("NoSuchKey", "There is none"), { status: 404 });
    }
    if (shown(metadata.etag) !== etag) failCondition();
  }
  await doPlain(ctx, next, key);
}

/** Checks conditions and checksums around what s3rver does. */
async function doPlain(ctx: Context, next: Next, key: string): Promise<void> {
  const { uploadId } = ctx.query;
  const etag = ctx.headers["if-match"];
  if (ctx.method === "GET" && etag !== undefined) {
    const metadata = await server.store.getMetadata(bucket, key).catch(() => undefined);
    if (metadata !== undefined && shown(metadata.etag) !== etag) failCondition();
  }
  const parts = ctx.method === "POST" && uploadId ? await partsOf(uploadId) : undefined;
  await next();
  if (parts !== undefined && ctx.status === 200) {
    const md5s = parts.map(({ md5 }) => md5);
    const all = createHash("md5").update(Uint8Array.fromHex(md5s.join("")));
    const path = server.store.getResourcePath(bucket, key, "object.md5");
    await Deno.writeTextFile(path, `${all.digest("hex")}-${md5s.length}`);
  }
  const md5 = ctx.headers["content-md5"];
  if (ctx.method === "PUT" && md5 !== undefined && ctx.status === 200 && kind !== "careless") {
    const stored = ctx.response.get("etag")?.replaceAll('"', "");
    if (stored === Uint8Array.fromBase64(md5).toHex()) return;
    if (uploadId === undefined) await server.store.deleteObject(bucket, key);
    else await Deno.remove(join(UPLOADS, uploadId, ctx.query.partNumber ?? ""));
    throw Object.assign(new S3Error("BadDigest", "Content-MD5 is not that"), { status: 400 });
  }
}

async function listUploads(ctx: Context): Promise<void> {
  const uploads = [];
  for (const { name } of await entriesOf(UPLOADS)) {
    const key = await Deno.readTextFile(join(UPLOADS, name, "key"));
    const { mtime } = await Deno.stat(join(UPLOADS, name, "key"));
    if (!key.startsWith(ctx.query.prefix ?? "")) continue;
    uploads.push({ Key: key, UploadId: name, Initiated: mtime?.toISOString() });
  }
  ctx.body = { ListMultipartUploadsResult: { IsTruncated: false, Upload: uploads } };
}

/** Lists parts, two on a page, or ends the upload. */
async function doUpload(ctx: Context, uploadId: string): Promise<void> {
  const parts = await partsOf(uploadId);
  if (ctx.method === "DELETE") {
    await Deno.remove(join(UPLOADS, uploadId), { recursive: true });
    ctx.status = 204;
    return;
  }
  const after = Number(ctx.query["part-number-marker"] ?? 0);
  const rest = parts.filter(({ number }) => number > after);
  const page = rest.slice(0, 2);
  ctx.body = {
    ListPartsResult: {
      IsTruncated: rest.length > page.length,
      NextPartNumberMarker: page.at(-1)?.number ?? 0,
      Part: page.map(({ number, md5, size }) => ({
        PartNumber: number,
        ETag: `"${md5}"`,
        Size: size,
      })),
    },
  };
}

async function partsOf(uploadId: string) {
  const folder = join(UPLOADS, uploadId.replace(/\W/g, ""));
  const parts = [];
  let isThere = false;
  for (const { name } of await entriesOf(folder)) {
    isThere = true;
    // What a killed server had not written to its end has no checksum.
    const [, number] = /^(\d+)\.md5$/.exec(name) ?? [];
    if (number === undefined) continue;
    const md5 = await Deno.readTextFile(join(folder, name));
    parts.push({ number: Number(number), md5, size: (await Deno.stat(join(folder, number))).size });
  }
  if (isThere) return parts.toSorted((a, b) => a.number - b.number);
  throw Object.assign(new S3Error("NoSuchUpload", "There is none"), { status: 404 });
}

async function entriesOf(folder: string): Promise<Deno.DirEntry[]> {
  return await Array.fromAsync(Deno.readDir(folder)).catch(() => []);
}

function failCondition(): never {
  throw Object.assign(new S3Error("PreconditionFailed", "It is another one"), { status: 412 });
}
