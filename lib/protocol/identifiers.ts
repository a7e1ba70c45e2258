/**
 * Identifiers on the wire: UUIDs and language tags (protocol section 4).
 *
 * Imports nothing but zod.
 */
import { z } from "zod";

/** The UUID that the connection probe uses for conversation and participant. */
export const NIL_UUID = "00000000-0000-0000-0000-000000000000";

const UUID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
// As found in the wild: looser than BCP 47, because a tag that we don't know harms nobody.
const LANGUAGE_PATTERN = /^[a-z0-9]{1,8}(?:[-_][a-z0-9]{1,8}){0,7}$/i;

/** Tells whether a text is a UUID of any version, the nil UUID included. */
export function isUuid(text: string): boolean {
  return UUID_PATTERN.test(text);
}

/** Tells whether two UUIDs are the same; UUIDs are compared without regard to case (RFC 9562). */
export function sameUuid(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/** Tells whether two language tags are the same, without regard to case (RFC 5646). */
export function sameLanguage(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/** Schema of a UUID of any version; the version nibble is not restricted. */
export const uuidSchema: z.ZodString = z.string().regex(UUID_PATTERN, { error: "expected a UUID" });

/** Schema of a language tag such as `en-US`; it stays the string that was sent. */
export const languageSchema: z.ZodString = z.string().regex(LANGUAGE_PATTERN, {
  error: "expected a language tag such as en-US",
});
