import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  isUuid,
  languageSchema,
  NIL_UUID,
  sameLanguage,
  sameUuid,
  uuidSchema,
} from "../../lib/protocol/identifiers.ts";

Deno.test("identifiers: UUIDs of any version and variant are accepted", () => {
  for (const version of "0123456789abcdef") {
    for (const variant of "0123456789abcdef") {
      const uuid = `9a1e7c5a-4f1b-${version}d2e-${variant}f00-3c2b1a098765`;
      assertEquals(isUuid(uuid), true, uuid);
      assertEquals(uuidSchema.parse(uuid), uuid);
      assertEquals(isUuid(uuid.toUpperCase()), true);
    }
  }
});

Deno.test("identifiers: the nil UUID and the largest UUID are accepted", () => {
  assertEquals(NIL_UUID, "00000000-0000-0000-0000-000000000000");
  assertEquals(isUuid("00000000-0000-0000-0000-000000000000"), true);
  assertEquals(isUuid("ffffffff-ffff-ffff-ffff-ffffffffffff"), true);
});

Deno.test("identifiers: what is no UUID is refused", () => {
  for (
    const text of [
      "",
      "9a1e7c5a",
      "9a1e7c5a4f1b1d2e8f003c2b1a098765",
      "{9a1e7c5a-4f1b-1d2e-8f00-3c2b1a098765}",
      "9a1e7c5a-4f1b-1d2e-8f00-3c2b1a09876",
      "9a1e7c5a-4f1b-1d2e-8f00-3c2b1a0987655",
      "9a1e7c5a-4f1b-1d2e-8f00-3c2b1a09876g",
      "9a1e7c5a-4f1b-1d2e-8f00-3c2b1a098765\n",
      " 9a1e7c5a-4f1b-1d2e-8f00-3c2b1a098765",
      "../../../../etc/passwd",
    ]
  ) {
    assertEquals(isUuid(text), false, JSON.stringify(text));
    assertEquals(uuidSchema.safeParse(text).success, false);
  }
  for (const value of [null, undefined, 0, {}, []]) {
    assertEquals(uuidSchema.safeParse(value).success, false);
  }
});

Deno.test("identifiers: any generated UUID is accepted", () => {
  fc.assert(fc.property(fc.uuid(), (uuid) => assertEquals(isUuid(uuid), true)));
});

Deno.test("identifiers: UUIDs are the same whatever their case", () => {
  const uuid = "9a1e7c5a-4f1b-1d2e-8f00-3c2b1a098765";
  assertEquals(sameUuid(uuid, uuid.toUpperCase()), true);
  assertEquals(sameUuid(uuid, NIL_UUID), false);
});

Deno.test("identifiers: language tags as found in the wild are accepted and kept", () => {
  for (
    const tag of [
      "en-US",
      "en-us",
      "es-419",
      "cmn-CN",
      "es",
      "cmn-Hans-CN",
      "zh-Hant-TW",
      "de-DE-1996",
      "sl-rozaj-biske",
      "en-GB-oed",
      "x-klingon",
      "i-klingon",
      "de-CH-x-phonebk",
      "EN",
    ]
  ) {
    assertEquals(languageSchema.parse(tag), tag);
  }
});

Deno.test("identifiers: what can't be a language tag is refused", () => {
  for (const tag of ["", " ", "en US", "-en", "en-", "a".repeat(100), "en-US\n", "<b>", "é"]) {
    assertEquals(languageSchema.safeParse(tag).success, false, JSON.stringify(tag));
  }
  for (const value of [null, undefined, 1, {}, ["en"]]) {
    assertEquals(languageSchema.safeParse(value).success, false);
  }
});

Deno.test("identifiers: language tags are compared without regard to case", () => {
  assertEquals(sameLanguage("en-US", "en-us"), true);
  assertEquals(sameLanguage("CMN-cn", "cmn-CN"), true);
  assertEquals(sameLanguage("en-US", "en-GB"), false);
  assertEquals(sameLanguage("en", "en-US"), false);
});
