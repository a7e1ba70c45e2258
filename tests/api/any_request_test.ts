/**
 * Whatever is asked, the answer is one of the API: made-up requests, by their thousands.
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { API_ERRORS } from "../../lib/api/api_error.ts";
import { createApi } from "../../lib/api/mod.ts";
import { evaluateConditions } from "../../lib/api/preconditions.ts";
import { parseRange } from "../../lib/api/byte_range.ts";
import { ADMIN_TOKEN, ANY_TRIES } from "../helpers/api_server.ts";
import { FolderArchive } from "../helpers/folder_archive.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { MemoryIndex } from "../helpers/memory_index.ts";
import { makeRecording } from "../helpers/recordings.ts";
import { TempDir } from "../helpers/temp_dir.ts";
import { noise } from "../helpers/wav_check.ts";

/** What the value of a header may be made of. */
const headerValue = fc.string({
  unit: fc.integer({ min: 0x20, max: 0x7E }).map((code) => String.fromCharCode(code)),
});

Deno.test("any request: is answered as the table of errors says, and nothing is left open", async () => {
  await using logs = await LogRecords.watch();
  await using folder = await TempDir.create();
  const archive = new FolderArchive(folder.path);
  const index = new MemoryIndex();
  const ids: string[] = [];
  for (const isBeingMade of [false, true]) {
    const { id, entry } = await makeRecording(folder.path, {
      audio: { format: "PCMU", channels: ["external", "internal"], data: noise(2000) },
      isBeingMade,
    });
    ids.push(id);
    await index.put(entry);
  }
  const api = createApi({
    archive,
    index,
    adminToken: ADMIN_TOKEN,
    failedTries: ANY_TRIES,
    remove: () => Promise.resolve("on_hold"),
  });

  const word = fc.oneof(
    fc.constantFrom(
      "recordings",
      "audio",
      "messages",
      "peaks",
      "hold",
      "openapi.json",
      "",
      "..",
      ...ids,
    ),
    fc.webSegment(),
  );
  const known = fc.tuple(
    fc.constantFrom(...ids),
    fc.constantFrom("", "/audio", "/messages", "/peaks", "/hold"),
  )
    .map(([id, part]) => `recordings/${id}${part}`);
  const path = fc.oneof(
    known,
    fc.constant("recordings"),
    fc.array(word, { maxLength: 5 }).map((words) => words.join("/")),
  );
  const parameter = fc.tuple(
    fc.oneof(
      fc.constantFrom("from", "to", "limit", "cursor", "state", "format", "channel", "pixels"),
      fc.webQueryParameters(),
    ),
    fc.oneof(
      fc.constantFrom("1", "10", "0.5", "external", "pcm16", "recording", "2026-11-22"),
      fc.webQueryParameters(),
    ),
  ).map(([name, value]) => `${name}=${value}`);
  const request = fc.record({
    method: fc.constantFrom("GET", "GET", "GET", "HEAD", "PUT", "DELETE", "POST", "PATCH"),
    path,
    query: fc.array(parameter, { maxLength: 3 }).map((all) => all.join("&")),
    headers: fc.dictionary(
      fc.constantFrom(
        "range",
        "if-range",
        "if-none-match",
        "if-match",
        "if-modified-since",
        "content-type",
      ),
      fc.oneof(
        fc.constantFrom("bytes=0-9", "bytes=-5", "*", '"x"', "application/json"),
        headerValue,
      ),
    ),
    body: fc.oneof(fc.constant('{"reason":"x"}'), fc.json(), fc.string()),
  });
  await fc.assert(
    fc.asyncProperty(request, async ({ method, path, query, headers, body }) => {
      const target = `/api/${path}${query && `?${query}`}`;
      const response = await api(
        new Request("http://localhost/", {
          method,
          headers: { ...headers, authorization: `Bearer ${ADMIN_TOKEN}` },
          body: method === "GET" || method === "HEAD" ? undefined : body,
        }),
        { remoteAddress: "192.0.2.1", requestTarget: target, completed: Promise.resolve() },
      );
      assert(response !== undefined);
      const bytes = await response.bytes();
      assert(response.status < 500, target);
      const length = response.headers.get("content-length");
      if (length !== null && method !== "HEAD") assertEquals(String(bytes.length), length);
      if (method === "HEAD") assertEquals(bytes.length, 0);
      else if (response.status >= 400) {
        const { code, message } = JSON.parse(new TextDecoder().decode(bytes)).error;
        assertEquals(API_ERRORS[code as keyof typeof API_ERRORS].status, response.status);
        assert(message.length > 10 && message.length < 500, message);
      }
    }),
    { numRuns: 2000 },
  );
  assertEquals(archive.openCount, 0);
  assertEquals(logs.text, "");
});

Deno.test("any request: a range is within what there is", () => {
  fc.assert(fc.property(
    fc.oneof(
      fc.string(),
      headerValue.map((text) => `bytes=${text}`),
      fc.stringMatching(/^bytes=[0-9]{0,20}-[0-9]{0,20}$/),
    ),
    fc.nat(),
    (header, size) => {
      const range = parseRange(header, size);
      if (range.outcome !== "part") return;
      const { from, to } = range;
      assert(Number.isInteger(from) && Number.isInteger(to));
      assert(0 <= from && from < to && to <= size);
    },
  ));
});

Deno.test("any request: conditions come to something", () => {
  const names = ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];
  fc.assert(fc.property(
    fc.dictionary(fc.constantFrom(...names), headerValue),
    (headers) => {
      const validators = { etag: '"x"', modifiedAt: new Date() };
      const condition = evaluateConditions(new Headers(headers), validators);
      assert(["proceed", "not_modified", "failed"].includes(condition));
    },
  ));
});
