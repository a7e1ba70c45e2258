/**
 * Connection requests that have to be refused, as bytes for a TCP connection.
 */
import { HANDSHAKE } from "../helpers/raw_socket.ts";
import { API_KEY, ENDPOINT, requestHeaders, SECRET } from "../helpers/wire_client.ts";

/**
 * Makes one of each kind, with signatures of this moment: wrong ones, which cost the server all of
 * the verification, of a known and of an unknown key; none; a malformed one; and a request that is
 * no WebSocket handshake.
 */
export async function badRequests(authority: string): Promise<Uint8Array<ArrayBuffer>[]> {
  const secret = SECRET.toReversed();
  const apiKey = [...API_KEY].toReversed().join("");
  const wrong = await requestHeaders(authority, { secret });
  const malformed = { ...wrong, "Signature-Input": `${wrong["Signature-Input"]};;` };
  const unsigned = await requestHeaders(authority, { secret: new Uint8Array() });
  return [
    { ...HANDSHAKE, ...wrong },
    { ...HANDSHAKE, ...await requestHeaders(authority, { secret, apiKey }) },
    { ...HANDSHAKE, ...unsigned },
    { ...HANDSHAKE, ...malformed },
    wrong,
  ].map((headers) => encode(authority, headers));
}

function encode(authority: string, headers: Record<string, string>): Uint8Array<ArrayBuffer> {
  const lines = Object.entries({ Host: authority, ...headers })
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return new TextEncoder().encode(`GET ${ENDPOINT} HTTP/1.1\r\n${lines.join("")}\r\n`);
}
