/**
 * The baseline: a WebSocket server that answers each text frame by one of fixed text, and does
 * nothing else. Prints its port.
 */
const REPLY = JSON.stringify({ type: "reply" });

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => Deno.stdout.writeSync(new TextEncoder().encode(`${port}\n`)),
}, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request);
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => {
    if (typeof data === "string") socket.send(REPLY);
  };
  return response;
});
