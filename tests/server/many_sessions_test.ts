/**
 * Two hundred calls at once on one server, each recorded exactly.
 */
import { assert, assertEquals } from "@std/assert";
import { watchDefects } from "../helpers/defects.ts";
import { until } from "../helpers/deadline.ts";
import { TestApp } from "../helpers/test_app.ts";
import { TestServer } from "../helpers/test_server.ts";
import { assertWav, concat, noise, silence } from "../helpers/wav_check.ts";
import {
  duration,
  EXTERNAL,
  L16_EXTERNAL,
  STEREO,
  type WireClient,
} from "../helpers/wire_client.ts";

const SESSIONS = 200;
const FRAMES = 20;
const MEDIA = [STEREO, EXTERNAL, L16_EXTERNAL];

Deno.test(`many: ${SESSIONS} sessions at once, every recording exact`, async () => {
  using _defects = watchDefects();
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  const clients = await Promise.all(Array.from({ length: SESSIONS }, () => server.connect()));
  await using cleanup = new AsyncDisposableStack();
  for (const client of clients) cleanup.use(client);
  assertEquals(server.server.connectionCount, SESSIONS);

  const expected = await Promise.all(clients.map(async (client, n) => {
    const media = MEDIA[n % MEDIA.length] ?? STEREO;
    await client.open({ media: [media] });
    const parts: Uint8Array[] = [];
    for (let frame = 0; frame < FRAMES; frame++) {
      if (frame === n % FRAMES) parts.push(lose(client, n + 1, media.format === "L16" ? 0 : 0xFF));
      const audio = noise(client.sampleFrameBytes * (700 + n), n * FRAMES + frame);
      client.sendAudio(audio);
      parts.push(audio);
      await client.ping();
    }
    return concat(...parts);
  }));
  assertEquals(server.server.connectionCount, SESSIONS);
  await Promise.all(clients.map((client) => client.close()));
  await until(() => server.server.connectionCount === 0, "end of all connections");

  for (const [n, client] of clients.entries()) {
    const media = MEDIA[n % MEDIA.length] ?? STEREO;
    const { wav, metadata, lines } = await server.recording(client.id);
    const data = expected[n];
    assert(data !== undefined);
    const channels = media.channels.length as 1 | 2;
    assertWav(wav, { format: media.format as "PCMU" | "L16", channels, data });
    assertEquals(metadata.isComplete, true);
    assertEquals(metadata.sessionId, client.id);
    assertEquals(lines.length, client.transcript.length);
    assert(lines.every(({ message }) => message.id === client.id));
  }
  assertEquals(app.count("close"), SESSIONS);
  assertEquals(app.count("ended"), SESSIONS);
  assertEquals((await server.data.files()).length, 3 * SESSIONS);
});

Deno.test("many: sessions one after the other leave nothing behind", async () => {
  await using server = await TestServer.start();
  for (let n = 0; n < 100; n++) {
    await using client = await server.connect();
    await client.open();
    client.sendAudio(noise(160));
    await client.close();
  }
  await server.idle();
  await server.recorder.finished();
  assertEquals((await server.data.files()).length, 300);
  // What is still open, the sanitizers tell.
});

/** Audio that the client lost: silence in the recording. */
function lose(client: WireClient, samples: number, silenceByte: number): Uint8Array {
  client.send("discarded", { start: duration(client.samples), discarded: duration(samples) });
  client.samples += samples;
  return silence(samples * client.sampleFrameBytes, silenceByte);
}
