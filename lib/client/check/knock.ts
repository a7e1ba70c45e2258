/**
 * A connection request whose whole answer is of interest: {@link ClientSocket} keeps the status
 * only.
 *
 * By the same package as all other connections, so that this one needs no permission and trusts no
 * certificate that those don't. Imports types of its neighbours only.
 */
// @ts-types="ws/types"
import { WebSocket as WsSocket } from "ws";
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
  const socket = new WsSocket(url, { headers, perMessageDeflate: false, followRedirects: false });
  const timer = setTimeout(() => resolve(undefined), timeoutMs);
  let giveUp = () => socket.terminate();
  socket.on("unexpected-response", (request, response) => {
    // The package leaves the rest of this connection to whoever takes the answer.
    giveUp = () => void request.destroy();
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
  socket.on("open", () => resolve({ status: 101, body: "" }));
  socket.on("error", () => resolve(undefined));
  const answer = await promise;
  clearTimeout(timer);
  giveUp();
  return answer;
}
