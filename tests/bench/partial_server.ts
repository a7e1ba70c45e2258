/**
 * Our server with a part of what it does, to see what each part costs. The argument says how much:
 * `protocol` (no app has the calls), or `recorder` (what is recorded goes nowhere). Prints its port.
 */
import { Recorder } from "../../lib/app/mod.ts";
import { Keyring } from "../../lib/protocol/mod.ts";
import { startServer } from "../../lib/server/mod.ts";
import { NOWHERE } from "../helpers/nowhere_store.ts";
import { API_KEY, SECRET } from "../helpers/wire_client.ts";
import { printLine } from "./table.ts";

const server = startServer({
  keyring: await Keyring.create(new Map([[API_KEY, SECRET]])),
  apps: Deno.args[0] === "recorder" ? [new Recorder(NOWHERE)] : [],
});
printLine(String(server.addr.port));
