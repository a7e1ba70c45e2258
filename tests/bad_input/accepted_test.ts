/**
 * What is within the limits, however odd, is taken (protocol sections 1 and 4).
 */
import { assertEquals } from "@std/assert";
import { TestServer } from "../helpers/test_server.ts";
import { assertWav, noise } from "../helpers/wav_check.ts";

Deno.test("limits: a text of 65,535 bytes is taken", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open();
  const message = {
    version: "2",
    id: client.id,
    type: "ping",
    seq: ++client.seq,
    serverseq: 1,
    position: "PT0S",
    parameters: {},
    fill: "",
  };
  message.fill = "x".repeat(65_535 - JSON.stringify(message).length);
  client.sendText(JSON.stringify(message));
  await client.expect("pong");
  await client.close();
});

Deno.test("limits: audio of 64,000 bytes is taken, of none too", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open();
  const audio = noise(64_000);
  client.sendAudio(new Uint8Array(0));
  client.sendAudio(audio);
  client.sendAudio(new Uint8Array(0));
  await client.ping();
  await client.close();
  assertWav((await server.recording(client.id)).wav, { format: "PCMU", channels: 2, data: audio });
});

Deno.test("limits: durations of many digits, and JSON in any dress, are taken", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open();
  for (
    const position of ["PT0S", "PT1.5S", "PT0.0001250S", "PT0.00012500000000000001S", "PT86400S"]
  ) {
    client.send("ping", { rtt: position }, { position });
    await client.expect("pong");
  }
  const { id, serverseq } = client;
  const seq = ++client.seq;
  client.sendText(
    `\n\t{ "parameters" : { } ,"position":"PT0S","serverseq":${serverseq}.0,"seq":${seq},` +
      `"type":"\\u0070ing","id":"${id}","version":"2" }\r\n`,
  );
  assertEquals((await client.expect("pong")).clientseq, seq);
  await client.close();
});
