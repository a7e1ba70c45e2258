/**
 * Names and identifiers of recordings: what is one, and what is none.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import {
  isRecordingName,
  placeOf,
  recordingId,
  recordingIdSchema,
  sessionOf,
  uniqueRecordingName,
} from "../../lib/storage/mod.ts";

const DAY = "2026-01-31";
const ID = "30b0e395-84d3-4570-ac13-9a62d8f514c0";
const UUID = "d7934305-0972-4844-938e-9060eef73d05";

Deno.test("recording id: each kind of name is there and back", () => {
  for (const suffix of ["", ".2", ".9", ".10", ".0badcafe", ".12345678", `.${UUID}`]) {
    const place = { day: DAY, name: ID + suffix };
    assert(isRecordingName(place.name), place.name);
    assertEquals(placeOf(recordingId(place)), place);
    assertEquals(recordingIdSchema.parse(recordingId(place)), recordingId(place));
    assertEquals(sessionOf(place.name), ID);
  }
});

Deno.test("recording id: what is no name", () => {
  const names = [
    ...["", "x", ID.toUpperCase(), ID.slice(1), `${ID}.`, `${ID}.0`, `${ID}.1`, `${ID}.11`],
    ...[`${ID}.0badcaf`, `${ID}.0badcafe0`, `${ID}.0BADCAFE`, `${ID}.0badcafg`, `${ID}.json`],
    ...[`${ID}.2.0badcafe`, `${ID}.0badcafe.2`, `${ID}.0badcafe.0badcafe`, `${ID}0badcafe`],
    ...[`${ID}.0badcafe\n`, `${ID}.0badcafe.`, `../${ID}`, `${ID}/0badcafe`, `.0badcafe`],
  ];
  for (const name of names) {
    assert(!isRecordingName(name), name);
    assertEquals(placeOf(`${DAY}.${name}`), undefined, name);
  }
});

Deno.test("recording id: a unique name is another one each time, and of its session", () => {
  const names = Array.from({ length: 1000 }, () => uniqueRecordingName(ID));
  assertEquals(new Set(names).size, 1000);
  for (const name of names) {
    assert(isRecordingName(name), name);
    assertEquals(sessionOf(name), ID);
    assertMatch(name.slice(36), /^\.[\da-f]{8}$/);
  }
});

Deno.test("recording id: unique names of any session are names", () => {
  fc.assert(
    fc.property(fc.uuid(), (sessionId) => {
      const place = { day: DAY, name: uniqueRecordingName(sessionId) };
      assertEquals(placeOf(recordingId(place)), place);
      assertEquals(sessionOf(place.name), sessionId);
    }),
    { numRuns: 200 },
  );
});
