/**
 * Structure-aware mutations of JSON messages and of their text.
 *
 * A mutation changes one thing and leaves the rest as it was, so that what comes behind the first
 * check is reached as well. It is made of four numbers, which shrink to the simplest mutation.
 */
import fc from "fast-check";
import type { Json, JsonObject } from "../helpers/protocol_wire.ts";
import {
  ANYTHING,
  DURATIONS,
  KEYS,
  LANGUAGES,
  LITERALS,
  NUMBERS,
  pick,
  TEXTS,
  UUIDS,
} from "./hostile_values.ts";

/** One mutation: of which kind, where, to what, and how much. */
export interface Edit {
  readonly how: number;
  readonly at: number;
  readonly to: number;
  readonly size: number;
}

/** Any number, all alike probable: picked by its remainder, small ones must not be more frequent. */
export const ANY_NUMBER: fc.Arbitrary<number> = fc.noBias(fc.nat(0xffff));

export const EDIT: fc.Arbitrary<Edit> = fc.record({
  how: ANY_NUMBER,
  at: ANY_NUMBER,
  to: ANY_NUMBER,
  size: ANY_NUMBER,
});

/** Where a value is: what holds it, and under which key. */
interface Place {
  readonly holder: JsonObject | Json[];
  readonly key: string | number;
}

function valueAt({ holder, key }: Place): Json {
  return (holder as JsonObject)[key] as Json;
}

/** An assignment would call the setter of `__proto__`. */
function put({ holder, key }: Place, value: Json): void {
  // In JSON a list has nothing but its entries; by now anything may be one.
  if (typeof holder !== "object" || Array.isArray(holder) && typeof key === "string") return;
  Object.defineProperty(holder, key, {
    value,
    configurable: true,
    enumerable: true,
    writable: true,
  });
}

function remove({ holder, key }: Place): void {
  if (Array.isArray(holder)) holder.splice(Number(key), 1);
  else delete holder[key];
}

/** Its own copy each time: later edits change it. */
function anything(by: number): Json {
  return structuredClone(pick(ANYTHING, by));
}

/** Deeper, all places are alike. */
const MAX_DEPTH = 100;

/** All places in a value, outer ones first. */
function placesIn(value: Json, found: Place[] = [], depth = 0): Place[] {
  if (typeof value !== "object" || value === null || depth > MAX_DEPTH) return found;
  const keys = Array.isArray(value) ? value.keys() : Object.keys(value);
  for (const key of keys) {
    const place = { holder: value, key };
    found.push(place);
    placesIn(valueAt(place), found, depth + 1);
  }
  return found;
}

/** A value of the same kind, at an edge of what that kind allows. */
function edgeValue(value: Json, { to, size }: Edit): Json {
  switch (typeof value) {
    case "string":
      if (/^PT.*S$/.test(value)) {
        return size % 3 === 0 ? `PT${to}.${size}S` : pick(DURATIONS, to);
      }
      if (/^[0-9a-f]{8}-/i.test(value)) return pick(UUIDS, to);
      if (/^[a-z]{2,3}(-|$)/.test(value) && size % 2 === 0) return pick(LANGUAGES, to);
      return pick(TEXTS, to);
    case "number":
      return size % 2 === 0 ? pick(NUMBERS, to) : value + to % 5 - 2;
    case "boolean":
      return !value;
  }
  if (value === null) return anything(to);
  if (Array.isArray(value)) return size % 2 === 0 ? [...value, ...value] : value.slice(1);
  return size % 2 === 0 ? {} : { ...value, added: anything(to) };
}

function nested(value: Json, { to, size }: Edit): Json {
  const depth = pick([1, 60, 61, 62, 63, 64, 65, 1000], to);
  let outer = value;
  for (let i = 0; i < depth; i++) outer = size % 2 === 0 ? [outer] : { a: outer };
  return outer;
}

/** Text that makes the message nearly as large as is allowed, or a little larger. */
function padding({ to, size }: Edit): string {
  const unit = pick(["x", "é", "€", "😀", "\ud800", "\0", '"'], size);
  const bytes = pick([60_000, 63_000, 63_500, 63_600, 64_000, 64_600, 65_000, 65_535, 70_000], to);
  return unit.repeat(Math.floor(bytes / new TextEncoder().encode(unit).length) - to % 300);
}

type Change = (message: JsonObject, place: Place, edit: Edit) => void;

const CHANGES: readonly Change[] = [
  (_, place, edit) => put(place, edgeValue(valueAt(place), edit)),
  (_, place, edit) => put(place, edgeValue(valueAt(place), edit)),
  (_, place, edit) => put(place, edgeValue(valueAt(place), edit)),
  (_, place) => remove(place),
  (_, place, { to }) => put(place, anything(to)),
  ({ parameters }, { holder }, { to, size }) => {
    const key = pick(KEYS, size);
    if (!Array.isArray(holder)) put({ holder, key }, anything(to));
    else if (parameters) put({ holder: parameters as JsonObject, key }, anything(to));
  },
  (_, place, { to }) => {
    if (Array.isArray(place.holder)) return;
    const value = valueAt(place);
    remove(place);
    put({ holder: place.holder, key: pick(KEYS, to) }, value);
  },
  (message, _, { at, to, size }) => {
    const key = pick(["seq", "serverseq" in message ? "serverseq" : "clientseq"], at);
    const value = message[key];
    const number = typeof value === "number" ? value : 0;
    message[key] = size % 3 === 0 ? pick(NUMBERS, to) : number + pick([1, -1, 2, -2, 1000], to);
  },
  (message, { holder, key }, { to }) => {
    const others = placesIn(message).filter((place) => place.holder === holder);
    const other = pick(others, to);
    const value = valueAt({ holder, key });
    put({ holder, key }, valueAt(other));
    put(other, value);
  },
  (_, place, edit) => {
    if (edit.size % 4 === 0) put(place, nested(valueAt(place), edit));
    else put(place, edgeValue(valueAt(place), edit));
  },
  (_, place, edit) => {
    if (edit.size % 4 === 0) put(place, padding(edit));
    else put(place, pick(TEXTS, edit.to));
  },
];

type TextChange = (text: string, edit: Edit) => string;

const TEXT_CHANGES: readonly TextChange[] = [
  (text, { at }) => text.slice(0, at % (text.length + 1)),
  (text, { at, to }) => {
    const index = at % Math.max(1, text.length);
    const flipped = String.fromCharCode(text.charCodeAt(index) ^ (1 << to % 8));
    return text.slice(0, index) + flipped + text.slice(index + 1);
  },
  (text, { at, to, size }) => {
    const start = at % (text.length + 1);
    return text.slice(0, start) + text.slice(to % (text.length + 1)).slice(0, size % 64) +
      text.slice(start + size % 7);
  },
  (text, { at, to }) => {
    const index = at % (text.length + 1);
    return text.slice(0, index) + pick(TEXTS, to) + text.slice(index);
  },
  (text, { at, to }) => {
    const numbers = [...text.matchAll(/(?<=[:[,])-?\d[\d.eE+-]*/g)];
    const found = numbers[at % Math.max(1, numbers.length)];
    if (found === undefined) return text;
    return text.slice(0, found.index) + pick(LITERALS, to) +
      text.slice(found.index + found[0].length);
  },
  // Which of two fields of one name counts is not said anywhere.
  (text, { to, size }) => text.replace("{", () => `{"${pick(KEYS, size)}":${to},`),
  (text, { to }) => pick(["\ufeff", " ", "\n\t", "\0", "[", "//"], to) + text,
  (text, { to }) => text + pick([" ", "\0", "}", ",", text, "\u00a0"], to),
];

/** Three of four edits change the message, the others its text. */
function isTextEdit({ how }: Edit): boolean {
  return how % 4 === 3;
}

/** Changes a message in place. */
export function mutateMessage(message: JsonObject, edit: Edit): void {
  // As often within the parameters as anywhere: most faults of the envelope hide all others.
  const inner = edit.size % 2 === 0 ? placesIn(message.parameters ?? null) : [];
  const place = pick(inner.length > 0 ? inner : placesIn(message), edit.at);
  if (place !== undefined) pick(CHANGES, Math.floor(edit.how / 4))(message, place, edit);
}

/** Changes a text, be it JSON or not. */
export function mutateText(text: string, edit: Edit): string {
  return pick(TEXT_CHANGES, Math.floor(edit.how / 4))(text, edit);
}

/** The text of a message with all edits, first those of its structure. The message is not kept. */
export function mutatedText(message: JsonObject, edits: readonly Edit[]): string {
  for (const edit of edits) if (!isTextEdit(edit)) mutateMessage(message, edit);
  let text = JSON.stringify(message);
  for (const edit of edits) if (isTextEdit(edit)) text = mutateText(text, edit);
  return text;
}
