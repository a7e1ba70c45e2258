/**
 * What a server session sends, and when: events and audio at the rate that the client takes, all
 * else at once (protocol sections 12 and 15).
 *
 * A message gets its number only when it goes into the output, so that none is numbered and then
 * not sent. Imports nothing but its neighbours.
 */
import type { EventEntity } from "./entities.ts";
import { EntityQueue } from "./entity_queue.ts";
import { type Media, takesPlayback } from "./media.ts";
import type { MessageExchange } from "./message_exchange.ts";
import { PlaybackQueue } from "./playback_queue.ts";
import { LocalProtocolError } from "./protocol_error.ts";
import type { ServerMessage } from "./server_messages.ts";
import { TokenBucket, type TokenBucketOptions } from "./token_bucket.ts";

/** Rates of a {@link ServerOutbox}. */
export interface ServerOutboxRates {
  /** Text messages to the client, of which `event`s wait for their turn. */
  readonly textRate: TokenBucketOptions;
  /** Binary frames to the client. */
  readonly audioRate: TokenBucketOptions;
}

/** Frames on their way to the client. */
export class ServerOutbox {
  readonly #exchange: MessageExchange<"server">;
  readonly #entities = new EntityQueue();
  readonly #textBucket: TokenBucket;
  readonly #audioBucket: TokenBucket;
  #playback: PlaybackQueue | undefined;
  #output: (string | Uint8Array)[] = [];

  /** @param exchange Numbers the messages, and knows what the state allows. */
  constructor(exchange: MessageExchange<"server">, rates: ServerOutboxRates, nowMs: number) {
    this.#exchange = exchange;
    this.#textBucket = new TokenBucket(rates.textRate, nowMs);
    this.#audioBucket = new TokenBucket(rates.audioRate, nowMs);
  }

  /** When {@link ServerOutbox.flush} will have something to send; `Infinity` if never. */
  get nextMs(): number {
    const text = this.#entities.length > 0 ? this.#textBucket.nextMs : Infinity;
    const audio = this.#playback?.nextMs ?? Infinity;
    return Math.min(text, audio === Infinity ? audio : Math.max(audio, this.#audioBucket.nextMs));
  }

  /** Takes what has to be sent, in this order: strings as text frames, bytes as binary ones. */
  take(): readonly (string | Uint8Array)[] {
    const output = this.#output;
    if (output.length > 0) this.#output = [];
    return output;
  }

  /**
   * Sends a message at once.
   *
   * @throws {LocalProtocolError} See {@link MessageExchange.send}.
   */
  send(message: ServerMessage, nowMs: number): void {
    this.#output.push(this.#exchange.send(message));
    this.#textBucket.take(nowMs);
  }

  /**
   * Sends entities, in order, as soon as the client takes them. `barge_in` is never delayed, and
   * drops the audio that waits.
   *
   * @throws {LocalProtocolError} See {@link EntityQueue.add}.
   */
  sendEntities(entities: readonly EventEntity[], nowMs: number): void {
    this.#entities.add(entities);
    if (entities.some((entity) => entity.type === "barge_in")) {
      this.clearPlayback();
      this.sendWaitingEntities(nowMs);
    } else {
      this.flush(nowMs);
    }
  }

  /** Sends all entities that wait, whatever the rate. */
  sendWaitingEntities(nowMs: number): void {
    while (this.#entities.length > 0) this.#sendNextEvent(nowMs);
  }

  /**
   * Sends audio when it is time for it.
   *
   * @param media What the client sends: only a bot's session takes audio.
   * @throws {LocalProtocolError} If it is no bot's session; see also {@link PlaybackQueue.add}.
   */
  play(frame: Uint8Array, media: Media | undefined, nowMs: number): void {
    if (!takesPlayback(media)) {
      throw new LocalProtocolError(
        "Cannot play audio: only a session with just the external channel takes any",
      );
    }
    this.#playback ??= new PlaybackQueue(media);
    this.#playback.add(frame);
    this.flush(nowMs);
  }

  /** Drops all: there is nobody to send it to. */
  clear(): void {
    this.#entities.clear();
    this.clearPlayback();
    this.#output = [];
  }

  /** Drops the audio that waits. */
  clearPlayback(): void {
    this.#playback?.clear();
  }

  /** Sends nothing that can wait before a time: the client asked for it. */
  block(untilMs: number, nowMs: number): void {
    this.#textBucket.block(untilMs, nowMs);
    this.#audioBucket.block(untilMs, nowMs);
  }

  /** Sends what has waited long enough. */
  flush(nowMs: number): void {
    while (this.#entities.length > 0 && this.#textBucket.nextMs <= nowMs) {
      this.#sendNextEvent(nowMs);
    }
    if (this.#playback === undefined) return;
    while (this.#playback.nextMs <= nowMs && this.#audioBucket.tryTake(nowMs)) {
      const frame = this.#playback.take(nowMs);
      if (frame === undefined) return;
      this.#output.push(frame);
    }
  }

  #sendNextEvent(nowMs: number): void {
    this.send({ type: "event", parameters: { entities: this.#entities.takeMessage() } }, nowMs);
  }
}
