/**
 * Addresses of objects, for each kind of server.
 */
import { assertEquals, assertThrows } from "@std/assert";
import {
  checkPrefix,
  S3Address,
  type S3Place,
  S3PlaceError,
} from "../../../lib/storage/s3/s3_address.ts";

const KEY = "recordings/2026-01-31/a.wav";

const RIGHT: readonly [what: string, place: S3Place, url: string][] = [
  [
    "AWS",
    { region: "eu-central-1", bucket: "calls" },
    `https://calls.s3.eu-central-1.amazonaws.com/${KEY}`,
  ],
  [
    "AWS, with dots in the bucket's name",
    { bucket: "calls.example.com" },
    `https://s3.us-east-1.amazonaws.com/calls.example.com/${KEY}`,
  ],
  [
    "MinIO",
    { endpoint: "http://127.0.0.1:9000", bucket: "calls" },
    `http://127.0.0.1:9000/calls/${KEY}`,
  ],
  [
    "R2",
    { endpoint: "https://1a2b.r2.cloudflarestorage.com", region: "auto", bucket: "calls" },
    `https://1a2b.r2.cloudflarestorage.com/calls/${KEY}`,
  ],
  [
    "R2, by a virtual host",
    {
      endpoint: "https://1a2b.r2.cloudflarestorage.com",
      region: "auto",
      bucket: "calls",
      addressing: "virtual-host",
    },
    `https://calls.1a2b.r2.cloudflarestorage.com/${KEY}`,
  ],
  [
    "Google",
    { endpoint: "https://storage.googleapis.com/", region: "auto", bucket: "calls" },
    `https://storage.googleapis.com/calls/${KEY}`,
  ],
  [
    "AWS, path-style",
    { region: "eu-west-1", bucket: "calls", addressing: "path" },
    `https://s3.eu-west-1.amazonaws.com/calls/${KEY}`,
  ],
];

for (const [what, place, url] of RIGHT) {
  Deno.test(`S3 address: ${what}`, () => {
    assertEquals(new S3Address(place).url(KEY).href, url);
  });
}

Deno.test("S3 address: queries are encoded", () => {
  const address = new S3Address({ endpoint: "http://127.0.0.1:9000", bucket: "calls" });
  assertEquals(
    address.url(undefined, { "list-type": "2", "continuation-token": "a+b/c=" }).href,
    "http://127.0.0.1:9000/calls?list-type=2&continuation-token=a%2Bb%2Fc%3D",
  );
});

const WRONG: readonly S3Place[] = [
  { bucket: "Calls" },
  { bucket: "ca" },
  { bucket: "../calls" },
  { bucket: "calls", region: "eu central" },
  { bucket: "calls", endpoint: "s3.example.com" },
  { bucket: "calls", endpoint: "ftp://s3.example.com" },
  { bucket: "calls", endpoint: "https://user:secret@s3.example.com" },
  { bucket: "calls", endpoint: "https://s3.example.com/path" },
  { bucket: "calls", endpoint: "https://s3.example.com/?query" },
  { bucket: "calls", endpoint: "http://127.0.0.1:9000", addressing: "virtual-host" },
];

for (const place of WRONG) {
  Deno.test(`S3 address: ${JSON.stringify(place)} is refused`, () => {
    assertThrows(() => new S3Address(place), S3PlaceError, "Expected");
  });
}

Deno.test("S3 address: keys and prefixes that would need encoding, or leave the bucket, are refused", () => {
  const address = new S3Address({ bucket: "calls" });
  for (const key of ["", "a b", "/a", "a/", "a//b", "a/../b", "..", "ä", "a?b", "a#b", "a%2Fb"]) {
    assertThrows(() => address.url(key), S3PlaceError);
    if (key !== "") assertThrows(() => checkPrefix(key), S3PlaceError);
  }
  assertThrows(() => checkPrefix("a".repeat(600)), S3PlaceError);
  assertEquals(checkPrefix("some/folder-1"), "some/folder-1");
});
