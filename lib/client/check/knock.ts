/**
 * A connection request whose whole answer is of interest: the WebSocket's client keeps the status
 * only.
 *
 * Imports types of its neighbours only.
 */
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { CheckRequest } from "./check_request.ts";

/** What a server answered to a connection request. */
export interface KnockAnswer {
  readonly status: number;
  /** Its beginning. */
  readonly body: string;
}

const MAX_BODY_CHARACTERS = 2_000;

/**
 * Asks for a WebSocket, and gives it up at once.
 *
 * @returns The answer; `undefined` if there was none in time.
 */
export async function knock(
  { url, headers }: CheckRequest,
  timeoutMs: number,
): Promise<KnockAnswer | undefined> {
  const { promise, resolve } = Promise.withResolvers<KnockAnswer | undefined>();
  const address = new URL(url);
  const isSecure = url.protocol === "wss:";
  address.protocol = isSecure ? "https:" : "http:";
  const request = (isSecure ? httpsRequest : httpRequest)(address, {
    headers: {
      ...headers,
      "Connection": "Upgrade",
      "Upgrade": "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": crypto.getRandomValues(new Uint8Array(16)).toBase64(),
    },
  });
  const timer = setTimeout(() => resolve(undefined), timeoutMs);
  request.on("response", (response) => {
    let body = "";
    const answer = () => resolve({ status: response.statusCode ?? 0, body });
    response.setEncoding("utf-8");
    response.on("data", (text: string) => {
      body = (body + text).slice(0, MAX_BODY_CHARACTERS);
      if (body.length === MAX_BODY_CHARACTERS) answer();
    });
    response.on("end", answer);
    response.on("error", answer);
  });
  request.on("upgrade", (_response, socket) => {
    socket.destroy();
    resolve({ status: 101, body: "" });
  });
  request.on("error", () => resolve(undefined));
  request.end();
  const answer = await promise;
  clearTimeout(timer);
  request.destroy();
  return answer;
}
