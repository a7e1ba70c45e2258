/**
 * The request target as it was on the wire, which is what the client signed (protocol section 3).
 *
 * Imports nothing.
 */

/**
 * Path and query of a request, exactly as sent.
 *
 * `Request.url` of `Deno.serve` is scheme, authority and request target, put together without
 * change; `new URL(…)` would rewrite `..`, percent encodings and more.
 */
export function requestTargetOf(request: Request): string {
  const { url } = request;
  const authorityStart = url.indexOf("://") + "://".length;
  // A hostile Host header may have a slash, so it is not enough to look for the first one.
  const host = request.headers.get("host") ?? "";
  const targetStart = url.startsWith(host, authorityStart)
    ? url.indexOf("/", authorityStart + host.length)
    : url.indexOf("/", authorityStart);
  return targetStart < 0 ? "/" : url.slice(targetStart);
}
