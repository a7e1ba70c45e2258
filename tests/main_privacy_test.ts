/**
 * What is private never reaches the log, however talkative it is: keys, secrets, signatures, phone
 * numbers, names, what messages say. Calls of every kind have some of it in every place.
 */
import { assert, assertEquals, assertExists, assertFalse, assertGreater } from "@std/assert";
import { CallAudio } from "../lib/client/call_audio.ts";
import { connectionHeaders } from "../lib/client/connection_request.ts";
import { placeCall } from "../lib/client/place_call.ts";
import { CALL_WAV, Program, TemporaryFolder } from "./helpers/program.ts";

const KEY = "privacy-key/of+a_test==";
const UNSIGNED_KEY = "privacy-key-that-signs-nothing";
const SECRET = "cHJpdmFjeS10ZXN0LXNlY3JldC1wcml2YWN5LXRlc3Q=";

/** What must be in no log, besides signatures and nonces; each is said in each way that there is. */
const PRIVATE = {
  key: KEY,
  unsignedKey: UNSIGNED_KEY,
  secret: SECRET,
  secretInPlain: new TextDecoder().decode(Uint8Array.fromBase64(SECRET)),
  number: "5551234567",
  otherNumber: "5557654321",
  name: "Marker-Of-A-Name",
  content: "Marker-Of-A-Content",
} as const;

const PARTICIPANT = {
  id: crypto.randomUUID(),
  ani: `tel:+1${PRIVATE.number}`,
  aniName: PRIVATE.name,
  dnis: `tel:+1${PRIVATE.otherNumber}`,
};
const MEDIA = [{ type: "audio", format: "PCMU", channels: ["external"], rate: 8000 }];

/** A call from end to end, with the server's favourite client. */
async function goodCall(url: URL, clientSecret: string): Promise<boolean> {
  const audio = CallAudio.fromWav(await Deno.readFile(CALL_WAV));
  const organizationId = crypto.randomUUID();
  const { failure } = await placeCall({
    request: {
      url,
      organizationId,
      sessionId: crypto.randomUUID(),
      correlationId: crypto.randomUUID(),
      apiKey: KEY,
      clientSecret: Uint8Array.fromBase64(clientSecret),
    },
    audio,
    open: {
      organizationId,
      conversationId: crypto.randomUUID(),
      participant: PARTICIPANT,
      media: audio.offers("PCMU").map((offer) => ({ ...offer, channels: [...offer.channels] })),
      customConfig: { text: PRIVATE.content },
      inputVariables: { name: PRIVATE.name },
    },
    speed: 30,
  });
  return failure === undefined;
}

type Say = (type: string, parameters: unknown, envelope?: Record<string, unknown>) => string;

/** What a client says of itself after `open`, good and bad. */
const REMARKS: readonly ((say: Say) => string | Uint8Array<ArrayBuffer>)[] = [
  (say) => say(`${PRIVATE.name} ${PRIVATE.number}`, { text: PRIVATE.content }),
  (say) => say("ping", { rtt: "PT0.1S", name: PRIVATE.name }),
  (say) => say("ping", { rtt: PRIVATE.content }),
  (say) => say("ping", {}, { id: PRIVATE.content }),
  (say) => say("ping", {}, { position: PRIVATE.content }),
  (say) => say("ping", {}, { type: PRIVATE.content }),
  (say) => say("ping", {}, { [PRIVATE.name]: PRIVATE.content }),
  (say) => say("update", { language: `en-${PRIVATE.content}` }),
  (say) => say("update", { language: PRIVATE.number }),
  (say) => say("dtmf", { digit: PRIVATE.number }),
  (say) => say("discarded", { start: PRIVATE.content, discarded: PRIVATE.number }),
  (say) => say("error", { code: 400, message: `${PRIVATE.name} ${PRIVATE.number}` }),
  (say) => say("error", { code: 429, message: PRIVATE.content, retryAfter: "PT1S" }),
  (say) => say("close", { reason: `${PRIVATE.name} ${PRIVATE.number}` }),
  (say) => say("close", { reason: 7, name: PRIVATE.name }),
  () => `{"ani": "tel:+1${PRIVATE.number}", "${PRIVATE.content}`,
  () => JSON.stringify(PRIVATE),
  () => new TextEncoder().encode(PRIVATE.content.repeat(4001)),
];

/** What a client can say wrong in `open`. */
const OPENINGS: readonly ((say: Say, open: Record<string, unknown>) => string)[] = [
  (say, open) => say("open", { ...open, organizationId: crypto.randomUUID() }),
  (say, open) => say("open", { ...open, participant: { ...PARTICIPANT, ani: 1 } }),
  (say, open) => say("open", { ...open, participant: { ...PARTICIPANT, id: PRIVATE.content } }),
  (say, open) => say("open", { ...open, language: `${PRIVATE.content} ${PRIVATE.number}` }),
  (say, open) => say("open", { ...open, inputVariables: { [PRIVATE.name]: 7 } }),
  (say, open) => say("open", { ...open, customConfig: PRIVATE.content }),
  (say, open) => say("open", { ...open, media: [PRIVATE.content] }),
  (say, open) => say("open", { ...open, continuedSessions: [PRIVATE.content] }),
  (say, open) => say("open", open, { seq: 9 }),
  (say, open) => say("open", open, { id: PRIVATE.content }),
];

/** Opens, makes a remark, and goes; all of it signed, with private data in each place. */
async function chattyCall(
  url: URL,
  opening: typeof OPENINGS[number],
  remark: typeof REMARKS[number] | undefined,
  sent: string[],
): Promise<void> {
  const id = crypto.randomUUID();
  const organizationId = crypto.randomUUID();
  const target = new URL(`${url.pathname}/${PRIVATE.name}?number=${PRIVATE.number}`, url);
  const headers = await connectionHeaders({
    url: target,
    organizationId,
    sessionId: id,
    correlationId: crypto.randomUUID(),
    apiKey: KEY,
    clientSecret: Uint8Array.fromBase64(SECRET),
  }, Math.floor(Date.now() / 1000));
  for (const [name, value] of Object.entries(headers)) {
    if (/^signature/i.test(name)) sent.push(value);
  }
  const socket = new WebSocket(target, {
    headers: { ...headers, "X-Caller": PRIVATE.name, "User-Agent": PRIVATE.content },
  });
  const isClosed = new Promise((resolve) => socket.onclose = resolve);
  let seq = 0;
  const say: Say = (type, parameters, envelope) =>
    JSON.stringify({
      version: "2",
      id,
      type,
      seq: ++seq,
      serverseq: 0,
      position: "PT0S",
      parameters,
      ...envelope,
    });
  socket.onerror = (event) => event.preventDefault();
  const conversationId = crypto.randomUUID();
  const open = { organizationId, conversationId, participant: PARTICIPANT, media: MEDIA };
  socket.onopen = () => socket.send(opening(say, open));
  socket.onmessage = ({ data }) => {
    const { type } = JSON.parse(data);
    if (type !== "opened") return socket.close();
    if (remark !== undefined) socket.send(remark(say));
    socket.send(say("close", { reason: "end" }));
  };
  await isClosed;
}

/** Requests that are refused, with keys and names in every header. */
async function refusedRequests(url: URL): Promise<void> {
  const http = new URL(url.href.replace(/^ws/, "http"));
  const attempts: Record<string, string>[] = [
    { "X-API-KEY": KEY },
    { "X-API-KEY": `${KEY}x`, "Signature-Input": PRIVATE.content, "Signature": SECRET },
    { "X-API-KEY": UNSIGNED_KEY, "Audiohook-Session-Id": PRIVATE.name },
    { "X-API-KEY": PRIVATE.name, "Authorization": `Bearer ${SECRET}` },
    { "X-API-KEY": KEY, "Signature-Input": `sig1=("@request-target");keyid="${KEY}"` },
  ];
  for (const headers of attempts) {
    const socket = new WebSocket(`${http.href.replace(/^http/, "ws")}?${PRIVATE.number}`, {
      headers,
    });
    const isClosed = new Promise((resolve) => socket.onclose = resolve);
    socket.onerror = (event) => event.preventDefault();
    assert(await isClosed);
  }
}

for (const format of ["json", "pretty"]) {
  Deno.test(`main: at LOG_LEVEL trace, form ${format}, the log of whole calls has nothing private`, async () => {
    await using folder = await TemporaryFolder.make();
    await using server = Program.server(folder.path, {
      AUDIOHOOK_KEYS: JSON.stringify({ [KEY]: SECRET, [UNSIGNED_KEY]: "" }),
      LOG_LEVEL: "trace",
      LOG_FORMAT: format,
      AUTH_FAILURE_DELAY_MS: "0",
    });
    const url = await server.url();
    const sent: string[] = [];
    assertEquals(await goodCall(url, SECRET), true);
    assertEquals(await goodCall(url, new Uint8Array(32).toBase64()), false);
    await refusedRequests(url);
    for (const opening of OPENINGS) await chattyCall(url, opening, undefined, sent);
    const good: typeof OPENINGS[number] = (say, open) => say("open", open);
    for (const remark of REMARKS) await chattyCall(url, good, remark, sent);
    const { code, stdout, output } = await server.stop();
    assertEquals(code, 0);
    for (const [what, text] of Object.entries(PRIVATE)) {
      assertFalse(output.toLowerCase().includes(text.toLowerCase()), `${what} is in:\n${output}`);
    }
    assertGreater(sent.length, 50);
    for (const header of sent) {
      const [, nonce] = /nonce="([^"]+)"/.exec(header) ?? [];
      const [, signature] = /:([^:]+):/.exec(header) ?? [];
      const value = nonce ?? signature;
      assertExists(value);
      assertFalse(output.includes(value), output);
    }
    assertFalse(/signature-input|x-api-key/i.test(output), output);
    assertFalse(/Defect/.test(output), output);
    // It did say something of each.
    const sessions = new Set(output.match(/[0-9a-f]{8}-[0-9a-f-]{27}/g));
    assertGreater(sessions.size, OPENINGS.length + REMARKS.length);
    if (format !== "json") return;
    for (const line of stdout.trimEnd().split("\n")) {
      const record = JSON.parse(line);
      assertEquals([typeof record.message, typeof record.level], ["string", "string"], line);
    }
  });
}
