/**
 * How many signed connection requests are verified a second, as the server does it: headers read,
 * signature parsed and verified, nonce remembered. The baseline is the HMAC alone, over a text of
 * the same length. And what a refusal costs: time must not tell an unknown key from a known one.
 */
import process from "node:process";
import { Keyring, MemoryNonceStore } from "../../lib/protocol/mod.ts";
import { parseSignatureInput } from "../../lib/protocol/signature_input.ts";
import { signatureBase } from "../../lib/protocol/signature_base.ts";
import { Authenticator } from "../../lib/server/authenticator.ts";
import {
  API_KEY,
  type ConnectOptions,
  ENDPOINT,
  requestHeaders,
  SECRET,
} from "../helpers/wire_client.ts";
import { median, percentile } from "./distribution.ts";
import { printLine, printTable } from "./table.ts";

const HOST = "audiohook.example.com";
/** All at one moment: it takes longer to make the requests than they are valid. */
const NOW_SECONDS = 1_800_000_000;
const REQUESTS = 10_000;
const ROUNDS = 7;
const IN_FLIGHT = [1, 64];
const REFUSALS_OF_EACH = 4_000;

const keyring = await Keyring.create(new Map([[API_KEY, SECRET]]));

async function makeHeaders(options: ConnectOptions = {}): Promise<Headers> {
  const headers = await requestHeaders(HOST, { created: NOW_SECONDS, ...options });
  return new Headers({ host: HOST, ...headers });
}

/** Authenticates as a server does that has just started; what the outcome has to be is checked. */
function authenticate(expected: string): (headers: Headers) => Promise<void> {
  const authenticator = new Authenticator({ keyring, nonces: new MemoryNonceStore() });
  return async (headers) => {
    const result = await authenticator.authenticate(ENDPOINT, headers, NOW_SECONDS);
    const actual = result.outcome === "refused" ? result.reason : result.outcome;
    if (actual !== expected) throw new Error(`Expected ${expected}, got ${actual}`);
  };
}

/** The HMAC of a request and nothing else, made ready before. */
function bareVerify(headers: Headers): () => Promise<void> {
  const input = parseSignatureInput(headers.get("signature-input"), headers.get("signature"));
  if ("problem" in input) throw new Error(input.problem);
  const header = (name: string) => headers.get(name);
  const request = { requestTarget: ENDPOINT, authority: HOST, header };
  const built = signatureBase(request, input.signatureParams);
  if ("problem" in built) throw new Error(built.problem);
  const base = new TextEncoder().encode(built.base);
  const entry = keyring.lookup(API_KEY);
  if (entry.kind !== "signed") throw new Error("Expected a secret");
  return async () => {
    if (!await crypto.subtle.verify("HMAC", entry.key, input.signature, base)) {
      throw new Error("Expected a good signature");
    }
  };
}

/** Requests a second of CPU time, that of all threads, and of time that passed. */
interface Rate {
  readonly cpu: number;
  readonly wall: number;
}

async function measureRate(
  work: (headers: Headers) => Promise<void>,
  requests: readonly Headers[],
  inFlight: number,
): Promise<Rate> {
  let next = 0;
  const takeTurns = async () => {
    for (let headers = requests[next++]; headers !== undefined; headers = requests[next++]) {
      await work(headers);
    }
  };
  const cpuBefore = process.cpuUsage();
  const startMs = performance.now();
  await Promise.all(Array.from({ length: inFlight }, takeTurns));
  const seconds = (performance.now() - startMs) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { cpu: requests.length * 1e6 / (user + system), wall: requests.length / seconds };
}

async function compareRates(): Promise<void> {
  const requests: Headers[] = [];
  for (let i = 0; i < REQUESTS; i++) requests.push(await makeHeaders());
  const bare = bareVerify(requests[0] ?? new Headers());
  const kinds = IN_FLIGHT.flatMap((inFlight) => [
    { what: "signed request", inFlight, work: () => authenticate("accepted"), rates: [] as Rate[] },
    { what: "baseline: HMAC only", inFlight, work: () => bare, rates: [] as Rate[] },
  ]);
  for (let round = -2; round < ROUNDS; round++) {
    for (const { work, inFlight, rates } of kinds) {
      const rate = await measureRate(work(), requests, inFlight);
      if (round >= 0) rates.push(rate);
    }
  }
  const cells = (values: number[]) => [
    median(values).toFixed(0),
    Math.min(...values).toFixed(0),
  ];
  printTable(
    `Verified a second, ${ROUNDS} rounds of ${REQUESTS}, median and lowest`,
    ["what", "in flight", "per CPU second", "lowest", "per second", "lowest"],
    kinds.map(({ what, inFlight, rates }) => [
      what,
      String(inFlight),
      ...cells(rates.map(({ cpu }) => cpu)),
      ...cells(rates.map(({ wall }) => wall)),
    ]),
  );
}

/** Each is refused. Keys and secrets are as long as the real ones. */
async function refusals(): Promise<{ what: string; reason: string; headers: Headers }[]> {
  const apiKey = [...API_KEY].toReversed().join("");
  const secret = SECRET.toReversed();
  const short = await makeHeaders({ secret });
  short.set("signature", `sig1=:${new Uint8Array(16).fill(1).toBase64()}:`);
  const malformed = await makeHeaders({ secret });
  malformed.set("signature-input", `${malformed.get("signature-input")};;`);
  const wrong = await makeHeaders({ secret });
  return [
    { what: "unknown key", reason: "unknown_key", headers: await makeHeaders({ apiKey, secret }) },
    { what: "known key, wrong signature", reason: "mismatch", headers: wrong },
    { what: "the same again, to see the noise", reason: "mismatch", headers: wrong },
    { what: "known key, short signature", reason: "bad_signature_length", headers: short },
    {
      what: "no signature",
      reason: "missing_signature_input",
      headers: await makeHeaders({ secret: new Uint8Array() }),
    },
    { what: "malformed signature", reason: "malformed_signature_input", headers: malformed },
  ];
}

/** In an order of chance, so that none is always the one after the same other. */
function shuffled<T>(values: readonly T[]): T[] {
  return values.map((value) => ({ value, place: Math.random() }))
    .sort((one, other) => one.place - other.place)
    .map(({ value }) => value);
}

async function compareRefusals(): Promise<void> {
  const kinds = (await refusals()).map(({ what, reason, headers }) => ({
    what,
    headers,
    work: authenticate(reason),
    microseconds: [] as number[],
  }));
  for (let i = -1_000; i < REFUSALS_OF_EACH; i++) {
    for (const kind of shuffled(kinds)) {
      const startMs = performance.now();
      await kind.work(kind.headers);
      if (i >= 0) kind.microseconds.push((performance.now() - startMs) * 1000);
    }
  }
  printTable(
    `One refusal after the other, by its cause, ${REFUSALS_OF_EACH} of each, microseconds`,
    ["what", "lower quartile", "median", "upper quartile"],
    kinds.map(({ what, microseconds }) => [
      what,
      ...[0.25, 0.5, 0.75].map((fraction) => percentile(microseconds, fraction).toFixed(1)),
    ]),
  );
}

printLine(`\nOn ${navigator.hardwareConcurrency} of this machine's cores:`);
await compareRates();
await compareRefusals();
