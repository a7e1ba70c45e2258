/**
 * The least that recording can cost: the bare server, and each second's audio of a connection
 * written to a file of its own, at once and by the same thread. It has no header, waits for the
 * disk, and knows nothing of a call.
 *
 * Arguments: a folder; and `append` to write as a recording is written, or `overwrite` to write each
 * second where the first one is, which takes no new memory for the file. Prints its port.
 */
import { join } from "node:path";

/** A second of stereo µ-law. */
const CHUNK_BYTES = 16_000;

const [folder = "", where = ""] = Deno.args;
const overwrites = where === "overwrite";

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => Deno.stdout.writeSync(new TextEncoder().encode(`${port}\n`)),
}, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request);
  const path = join(folder, `${crypto.randomUUID()}.ulaw`);
  const file = Deno.openSync(path, { write: true, createNew: true });
  const chunk = new Uint8Array(CHUNK_BYTES);
  let used = 0;
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => {
    if (typeof data === "string") return socket.send("{}");
    const frame = new Uint8Array(data);
    if (used + frame.length > CHUNK_BYTES) {
      if (overwrites) file.seekSync(0, Deno.SeekMode.Start);
      file.writeSync(chunk.subarray(0, used));
      used = 0;
    }
    chunk.set(frame, used);
    used += frame.length;
  };
  socket.onclose = () => file.close();
  return response;
});
