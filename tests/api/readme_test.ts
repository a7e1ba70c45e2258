/**
 * README's table of the API's errors.
 */
import { assertEquals } from "@std/assert";
import { API_ERRORS } from "../../lib/api/api_error.ts";
import { ROOT } from "../helpers/program.ts";

Deno.test("api: README names every error, with its status", async () => {
  const readme = await Deno.readTextFile(`${ROOT}/README.md`);
  const [, section = ""] = /\n### Finding and hearing recordings\n([\s\S]*?)\n### /.exec(readme) ??
    [];
  const named = section.matchAll(/\b([45]\d\d) `(\w+)`/g).map(([, status, code]) =>
    `${status} ${code}`
  );
  const all = Object.entries(API_ERRORS).map(([code, { status }]) => `${status} ${code}`);
  assertEquals([...named].sort(), all.sort());
});
