/**
 * Makers of rows in which a client is told its fault by `disconnect`.
 */
import { assertEquals } from "@std/assert";
import type { Json, WireClient } from "../helpers/wire_client.ts";
import { openParameters } from "../helpers/wire_client.ts";
import { checkInfo, disconnectOutcome, MARK, type Row } from "./runner.ts";
import type { LineId } from "./table.ts";

/** How far the session is when the fault comes. */
export type Stage = "connected" | "opening" | "open";

/** A fault, and what the answer says of it. */
export interface Fault {
  readonly line: LineId;
  readonly name: string;
  readonly send: (client: WireClient) => void;
  /** Words that tell it. */
  readonly info: RegExp;
  /** `open` unless given. */
  readonly stage?: Stage;
  /** What is offered. */
  readonly media?: Json;
  readonly before?: (client: WireClient) => void;
  /** As a row's; a session that was never opened leaves nothing. */
  readonly recorded?: Row["recorded"];
}

/** The fault gets a `disconnect`, and the `close` after it a `closed`. */
export function faulty(fault: Fault): Row {
  const { line, name, send, info, stage = "open", media, before } = fault;
  const recorded = stage === "open" ? fault.recorded : "nothing";
  return {
    line,
    name,
    ...(recorded === undefined ? {} : { recorded }),
    async run(scene) {
      const go = stage === "opening" ? scene.hold("open") : () => {};
      const client = await scene.connect();
      if (stage === "opening") {
        client.send("open", openParameters());
        await scene.app.nextCall();
      } else if (stage === "open") {
        await client.open(media === undefined ? {} : { media });
      }
      before?.(client);
      send(client);
      const disconnect = await client.expect("disconnect");
      checkInfo(disconnect, info);
      await scene.bystander.goOn();
      assertEquals((await client.close("disconnect", 3000)).parameters, {});
      go();
      return disconnectOutcome(disconnect);
    },
  };
}

/** A fault in the envelope of a `ping`. */
export const envelope = (
  line: LineId,
  name: string,
  fields: Record<string, Json>,
  info: RegExp,
): Row => faulty({ line, name, send: (client) => client.send("ping", {}, fields), info });

/** A fault in the parameters of a message. */
export const parameters = (
  line: LineId,
  type: string,
  name: string,
  value: Json,
  info: RegExp,
): Row =>
  faulty({ line, name: `${type}: ${name}`, send: (client) => client.send(type, value), info });

/** A text whose number the server can't read. It is a message all the same: the client counts it. */
export const unreadable = (
  line: LineId,
  name: string,
  send: (client: WireClient) => void,
  info: RegExp,
): Row =>
  faulty({
    line,
    name,
    send(client) {
      const { seq } = client;
      send(client);
      client.seq = seq + 1;
    },
    info,
  });

/** Texts that are no durations, or none that are believed. */
export const BAD_DURATIONS: readonly string[] = [
  "PT-1S",
  "-PT1S",
  "PT9e-7S",
  "PT1E3S",
  "PTNaNS",
  "PTInfinityS",
  "PT99999999999S",
  "PT2678400.000000001S",
  "PT1M",
  "PT1.5",
  "1.5",
  "PTS",
  "",
  "pt1s",
  "PT1,5S",
  "PT0x10S",
  " PT1S",
  "PT1S\n",
  `PT${"9".repeat(400)}S`,
  `PT${MARK}S`,
];
