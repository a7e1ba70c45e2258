/**
 * Connection requests by hand, to be spoilt.
 */
import { assertEquals } from "@std/assert";
import { HANDSHAKE, type RawSocket } from "../helpers/raw_socket.ts";
import { type ConnectOptions, ENDPOINT, requestHeaders } from "../helpers/wire_client.ts";
import type { Scene } from "./runner.ts";
import type { Outcome } from "./table_line.ts";

/** By name, in the order of the wire. */
export type Headers = Readonly<Record<string, string>>;

/** All headers of a valid request. */
export async function headersFor(
  { server, sessions }: Scene,
  options: ConnectOptions = {},
): Promise<Headers> {
  const { id = crypto.randomUUID() } = options;
  const headers = await requestHeaders(server.authority, { ...options, id });
  sessions.push(id);
  return { Host: server.authority, ...HANDSHAKE, ...headers };
}

/** A head, from its first line to the empty one. */
export function head(start: string, headers: Headers, more = ""): Uint8Array<ArrayBuffer> {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return latin1(`${start}\r\n${lines.join("")}${more}\r\n`);
}

/** One byte for each character. */
export const latin1 = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(text, (char) => char.charCodeAt(0));

/** The first line of a valid request. */
export const START = `GET ${ENDPOINT} HTTP/1.1`;

/** What is answered; a header that belongs to it is there. */
export async function answer(socket: RawSocket): Promise<Outcome> {
  const { status, headers, body } = await socket.response();
  const wanted: Readonly<Record<number, string>> = {
    405: "allow",
    426: "upgrade",
    429: "retry-after",
    503: "retry-after",
  };
  const name = wanted[status];
  if (name !== undefined) assertEquals(headers.has(name), true, name);
  if (status === 401) assertEquals(body, "");
  return `HTTP ${status}`;
}

/** Sends bytes on a connection of their own, and takes the answer. */
export async function ask(scene: Scene, bytes: Uint8Array): Promise<Outcome> {
  const socket = await scene.tcp();
  await socket.write(bytes);
  return await answer(socket);
}

/** Leaves headers out. */
export function without(...names: readonly string[]): (headers: Headers) => Headers {
  return (headers) =>
    Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)));
}

/** Adds headers, or replaces them. */
export function withHeaders(more: Headers): (headers: Headers) => Headers {
  return (headers) => ({ ...headers, ...more });
}
