/**
 * Connection requests over bare TCP, whose answer is what a test looks at.
 */
import { HANDSHAKE, rawRequest, type RawResponse, RawSocket } from "./raw_socket.ts";
import { type ConnectOptions, ENDPOINT, requestHeaders } from "./wire_client.ts";

/** A server on this machine. */
export interface Target {
  readonly addr: Deno.NetAddr;
  /** What clients sign, unless they say otherwise. */
  readonly authority: string;
}

/** A connection request over bare TCP, with these headers and no others. */
export function knock(
  server: Target,
  headers: Readonly<Record<string, string>>,
  target = ENDPOINT,
  host = server.authority,
): Promise<RawResponse> {
  return rawRequest(server.addr.port, target, { Host: host, ...HANDSHAKE, ...headers });
}

/** Signs, and lets a test spoil what was signed. */
export async function knockWith(
  server: Target,
  options: ConnectOptions = {},
  spoil: (headers: Record<string, string>) => void = () => {},
): Promise<RawResponse> {
  const headers = await requestHeaders(server.authority, options);
  spoil(headers);
  return await knock(server, headers, options.target);
}

/** A session over bare TCP, just upgraded. */
export async function upgrade(server: Target, options: ConnectOptions = {}): Promise<RawSocket> {
  const socket = await RawSocket.connect(server.addr.port);
  const headers = await requestHeaders(server.authority, options);
  await socket.request(ENDPOINT, { Host: server.authority, ...HANDSHAKE, ...headers });
  const { status } = await socket.response();
  if (status !== 101) {
    socket.drop();
    throw new Error(`The connection was refused: ${status}`);
  }
  return socket;
}
