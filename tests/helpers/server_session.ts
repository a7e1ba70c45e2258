/** Sessions of the server in a wanted state, and what is checked of many of them. */
import { assertEquals } from "@std/assert";
import {
  type EventEntity,
  type MediaOffer,
  type OpenedAnswer,
  ServerSession,
  type ServerSessionLimits,
} from "../../lib/protocol/mod.ts";
import {
  EXTERNAL,
  type JsonObject,
  openParameters,
  ORGANIZATION_ID,
  SESSION_ID,
  STEREO,
  WireClient,
  type WireMessage,
} from "./protocol_wire.ts";

export const offer = (json: JsonObject): MediaOffer => json as MediaOffer;
export const entity = (json: JsonObject): EventEntity => json as EventEntity;
export const note = (n: number): EventEntity => ({ type: "note", data: { n } });
export const BARGE_IN: EventEntity = { type: "barge_in", data: {} };

export function connect(limits: Partial<ServerSessionLimits> = {}): WireClient {
  return new WireClient(
    new ServerSession({ id: SESSION_ID, organizationId: ORGANIZATION_ID, nowMs: 0, limits }),
  );
}

export function open(
  answer: OpenedAnswer = { media: offer(STEREO) },
  parameters: JsonObject = {},
  limits: Partial<ServerSessionLimits> = {},
): WireClient {
  const client = connect(limits);
  client.send("open", openParameters(parameters));
  client.session.opened(answer, client.nowMs);
  client.receive();
  client.events();
  return client;
}

export function openBot(limits: Partial<ServerSessionLimits> = {}): WireClient {
  return open({ media: offer(EXTERNAL) }, { media: [EXTERNAL] }, limits);
}

/** Checks that the session answered a fault as section 4 demands. */
export function assertRefused(client: WireClient, reason = "error"): void {
  const disconnect = client.receiveOne("disconnect");
  assertEquals(disconnect.parameters.reason, reason);
  assertEquals(typeof disconnect.parameters.info, "string");
  assertEquals(client.eventTypes().includes("violation"), true);
}

/** Closes, and checks that `closed` acknowledges the `close`. */
export function assertCloses(client: WireClient): void {
  client.send("close", { reason: "disconnect" });
  assertEquals(client.eventTypes().at(-1), "close");
  client.session.closed(undefined, client.nowMs);
  assertEquals(client.receiveOne("closed").clientseq, client.seq);
  assertEquals(client.session.state, "closed");
}

/** All entities in frames. */
export function entitiesOf(frames: readonly unknown[]): unknown[] {
  return (frames as WireMessage[]).flatMap((frame) =>
    frame.type === "event" ? frame.parameters.entities as unknown[] : []
  );
}
