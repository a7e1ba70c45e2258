/**
 * The body of a request as JSON, of a bounded size and in a bounded time.
 *
 * Imports its neighbours.
 */
import { type Checked, refused } from "./check_input.ts";

/** What a body may be. */
export interface BodyLimits {
  /** Its size. */
  readonly maxBytes: number;
  /** How long it may take to come. */
  readonly timeoutMs: number;
}

/** Reads a body. */
export async function readJson(request: Request, limits: BodyLimits): Promise<Checked<unknown>> {
  const [type = ""] = (request.headers.get("content-type") ?? "").split(";", 1);
  if (type.trim().toLowerCase() !== "application/json") {
    return refused("unsupported_media_type", "Expected Content-Type: application/json");
  }
  const bytes = await readBytes(request, limits);
  if (bytes.outcome === "refused") return bytes;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes.value);
    return { outcome: "right", value: JSON.parse(text) };
  } catch {
    return refused("invalid_body", "Expected JSON in UTF-8");
  }
}

async function readBytes(
  request: Request,
  { maxBytes, timeoutMs }: BodyLimits,
): Promise<Checked<Uint8Array>> {
  const reader = request.body?.getReader();
  if (reader === undefined) return { outcome: "right", value: new Uint8Array() };
  const late = Promise.withResolvers<"late">();
  const timer = setTimeout(() => late.resolve("late"), timeoutMs);
  const bytes = new Uint8Array(maxBytes);
  let length = 0;
  try {
    while (true) {
      const next = await Promise.race([reader.read(), late.promise]);
      if (next === "late") {
        return refused("body_timeout", `Expected the whole body within ${timeoutMs / 1000} s`);
      }
      if (next.done) return { outcome: "right", value: bytes.subarray(0, length) };
      if (length + next.value.length > maxBytes) {
        return refused("body_too_large", `Expected a body of at most ${maxBytes} bytes`);
      }
      bytes.set(next.value, length);
      length += next.value.length;
    }
  } catch {
    return refused("invalid_body", "Expected a whole body, got a part of one");
  } finally {
    clearTimeout(timer);
    // Of no use to anybody if it has ended.
    reader.cancel().catch(() => {});
  }
}
