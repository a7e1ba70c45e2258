/**
 * What every message of a server has to keep, whatever the case is about (protocol sections 1, 4,
 * 5, 6, 11 to 14).
 *
 * It only watches: what a case awaits is the case's affair. Imports the protocol.
 */
import {
  bytesPerSampleFrame,
  isSupportedMedia,
  isUuid,
  MAX_AUDIO_FRAME_BYTES,
  MAX_SENT_TEXT_BYTES,
  type MediaOffer,
  sameUuid,
  SERVER_PARAMETERS,
  type ServerMessageType,
  takesPlayback,
} from "../../protocol/mod.ts";
import { describeProblem } from "../../protocol/schema_problem.ts";
import { isPaced, mayFollowDisconnect } from "../../protocol/server_rules.ts";
import { PERSONAL } from "./open_parameters.ts";

/** A message of the server, as far as it could be read. */
export interface ServerText {
  readonly type: string;
  readonly seq: number;
  readonly clientseq: number;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** Beyond that, a server only repeats itself. */
const MAX_FAULTS = 20;

/** Before `opened`, nothing else comes (section 6). */
const BEFORE_OPENED: readonly string[] = ["opened", "disconnect", "closed"];

/** As many messages at once are borne by every client. */
const MAX_BURST = 30;

/** The watch over one session. */
export class ServerRules {
  readonly #sessionId: string;
  readonly #faults: string[] = [];
  readonly #advice: string[] = [];
  /** When the last messages came that the server was not bound to send at once. */
  readonly #pacedMs: number[] = [];
  #offers: readonly unknown[] = [];
  #seq = 0;
  #clientseq = 0;
  #highestSentSeq = 0;
  #openSeq: number | undefined;
  #closeSeq: number | undefined;
  readonly #pingSeqs: number[] = [];
  #updates = 0;
  #media: MediaOffer | undefined;
  #wasOpened = false;
  #wasDisconnected = false;
  #wasClosed = false;

  constructor(sessionId: string) {
    this.#sessionId = sessionId;
  }

  /** What was broken so far, in words. */
  get faults(): readonly string[] {
    return this.#faults;
  }

  /** What is allowed, and would better be otherwise. */
  get advice(): readonly string[] {
    return this.#advice;
  }

  /** Tells of a message that was sent. */
  sent(type: string, seq: number, parameters: Readonly<Record<string, unknown>>): void {
    this.#highestSentSeq = Math.max(this.#highestSentSeq, seq);
    if (type === "open") {
      this.#openSeq = seq;
      if (Array.isArray(parameters.media)) this.#offers = parameters.media;
    } else if (type === "close") this.#closeSeq = seq;
    else if (type === "ping") this.#pingSeqs.push(seq);
    else if (type === "update") this.#updates++;
  }

  /**
   * Looks at a text frame.
   *
   * @param nowMs Present time, on any clock.
   * @returns The message; `undefined` if it cannot be read as one.
   */
  text(text: string, nowMs: number): ServerText | undefined {
    const bytes = new TextEncoder().encode(text).length;
    if (bytes > MAX_SENT_TEXT_BYTES) this.#fault(`a text frame of ${bytes} bytes`);
    const json = parseObject(text);
    if (json === undefined) {
      this.#fault("a text frame that is no JSON object");
      return undefined;
    }
    const { type } = json;
    if (typeof type !== "string" || type === "") {
      this.#fault("a message without a type");
      return undefined;
    }
    const message = this.#envelope(json, type);
    this.#order(message);
    this.#parameters(message);
    this.#pace(message, nowMs);
    return message;
  }

  /** Tells of what could not be read at all. */
  unreadable(what: string): void {
    this.#fault(what);
  }

  /** Looks at a binary frame. */
  audio(bytes: number): void {
    if (!this.#wasOpened) return this.#fault('audio before "opened"');
    if (this.#wasDisconnected || this.#wasClosed) {
      return this.#fault(`audio after "${this.#wasClosed ? "closed" : "disconnect"}"`);
    }
    const media = this.#media;
    if (media === undefined || !isSupportedMedia(media) || !takesPlayback(media)) {
      return this.#fault("audio in a session that is not a voice bot's");
    }
    if (bytes > MAX_AUDIO_FRAME_BYTES) this.#fault(`a frame of audio of ${bytes} bytes`);
    if (bytes % bytesPerSampleFrame(media) !== 0) this.#fault("a frame with part of a sample");
  }

  #envelope(json: Readonly<Record<string, unknown>>, type: string): ServerText {
    const { version, id, seq, clientseq, parameters } = json;
    const name = JSON.stringify(type.slice(0, 40));
    if (version !== "2") {
      this.#fault(`${name} with the version ${show(version)}; expected the text "2"`);
    }
    if (typeof id !== "string" || !isUuid(id) || !sameUuid(id, this.#sessionId)) {
      this.#fault(`${name} with the id ${show(id)}; expected that of the session`);
    }
    const expected = this.#seq + 1;
    if (seq !== expected) {
      this.#fault(`${name} with the seq ${show(seq)}; expected ${expected}`);
    }
    this.#seq = isCount(seq) ? seq : expected;
    if (!isCount(clientseq)) {
      this.#fault(`${name} with the clientseq ${show(clientseq)}; expected a number`);
    } else {
      this.#acknowledgement(name, clientseq);
    }
    if (!isObject(parameters)) {
      const what = parameters === undefined ? "no parameters" : `parameters ${show(parameters)}`;
      this.#fault(`${name} with ${what}; expected an object, even if it is empty`);
    }
    return {
      type,
      seq: this.#seq,
      clientseq: isCount(clientseq) ? clientseq : 0,
      parameters: isObject(parameters) ? parameters : {},
    };
  }

  #acknowledgement(name: string, clientseq: number): void {
    if (clientseq > this.#highestSentSeq) {
      this.#fault(
        `${name} with the clientseq ${clientseq}, but only ${this.#highestSentSeq} were sent`,
      );
    } else if (clientseq < this.#clientseq) {
      this.#fault(`${name} with the clientseq ${clientseq}, after ${this.#clientseq}`);
    }
    this.#clientseq = Math.max(this.#clientseq, clientseq);
  }

  /** Whether the message may come now, and whether it acknowledges what it answers. */
  #order({ type, clientseq }: ServerText): void {
    if (this.#wasClosed) return this.#fault(`"${type}" after "closed", which is to be the last`);
    if (this.#wasDisconnected && !mayFollowDisconnect(type)) {
      this.#fault(`"${type}" after "disconnect"`);
    }
    const isKnown = Object.hasOwn(SERVER_PARAMETERS, type);
    if (isKnown && !this.#wasOpened && !BEFORE_OPENED.includes(type)) {
      this.#fault(`"${type}" before "opened"`);
    }
    switch (type) {
      case "opened":
        if (this.#wasOpened) this.#fault('a second "opened"');
        this.#wasOpened = true;
        return this.#answers(type, clientseq, this.#openSeq, "open");
      case "pong":
        return this.#pong(clientseq);
      case "updated":
        if (this.#updates === 0) this.#fault('"updated" without an "update"');
        else this.#updates--;
        return;
      case "disconnect":
        this.#wasDisconnected = true;
        return;
      case "closed":
        this.#wasClosed = true;
        return this.#answers(type, clientseq, this.#closeSeq, "close");
    }
  }

  #answers(type: string, clientseq: number, seq: number | undefined, what: string): void {
    if (seq === undefined) this.#fault(`"${type}" without "${what}"`);
    else if (clientseq < seq) {
      this.#fault(`"${type}" with the clientseq ${clientseq}, which answers "${what}", seq ${seq}`);
    }
  }

  #pong(clientseq: number): void {
    const seq = this.#pingSeqs.shift();
    if (seq === undefined) this.#fault('"pong" without a "ping"');
    else if (clientseq !== seq) {
      this.#fault(`"pong" with the clientseq ${clientseq}; expected the seq of the "ping", ${seq}`);
    }
  }

  #parameters({ type, parameters }: ServerText): void {
    if (!Object.hasOwn(SERVER_PARAMETERS, type)) {
      return this.#advise(`a message of the unknown type ${show(type)}, which clients ignore`);
    }
    const schema = SERVER_PARAMETERS[type as ServerMessageType];
    const { error } = schema.safeParse(parameters);
    if (error !== undefined) {
      this.#fault(`"${type}" with bad parameters: ${describeProblem(error)}`);
    }
    if (type === "opened" && Array.isArray(parameters.media)) this.#selection(parameters.media);
    const { info } = parameters;
    if (typeof info === "string" && Object.values(PERSONAL).some((word) => info.includes(word))) {
      this.#fault(`personal data of the customer in the info of "${type}"`);
    }
  }

  /** Section 12: the client answers 429 when more comes, or drops the session. */
  #pace({ type }: ServerText, nowMs: number): void {
    if (!isPaced(type)) return;
    this.#pacedMs.push(nowMs);
    if (this.#pacedMs.length <= MAX_BURST) return;
    const [firstMs = 0] = this.#pacedMs.splice(0, 1);
    if (nowMs - firstMs < 1000) {
      this.#advise(`more than ${MAX_BURST} messages within a second, which clients may refuse`);
    }
  }

  #selection(media: readonly unknown[]): void {
    for (const one of media) {
      if (!this.#offers.some((offer) => canonical(offer) === canonical(one))) {
        this.#fault(`"opened" with media that was not offered: ${show(one)}`);
      }
    }
    const [selected] = media;
    this.#media = isObject(selected) ? selected : undefined;
  }

  #advise(what: string): void {
    if (this.#advice.length < MAX_FAULTS && !this.#advice.includes(what)) this.#advice.push(what);
  }

  #fault(what: string): void {
    if (this.#faults.length < MAX_FAULTS && !this.#faults.includes(what)) this.#faults.push(what);
  }
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const json: unknown = JSON.parse(text);
    return isObject(json) ? json : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** JSON in which the order of an object's fields does not matter. */
function canonical(value: unknown): string {
  return JSON.stringify(
    value,
    (_, inner: unknown) =>
      isObject(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => a < b ? -1 : 1))
        : inner,
  );
}

function show(value: unknown): string {
  return value === undefined ? "undefined" : (JSON.stringify(value) ?? String(value)).slice(0, 80);
}
