/**
 * Every line of the table of bad inputs, played in every way that is known.
 */
import { assert, assertEquals } from "@std/assert";
import { AFTERMATH_ROWS } from "./aftermath_rows.ts";
import { FRAME_ROWS } from "./frame_rows.ts";
import { HEAD_ROWS } from "./head_rows.ts";
import { LOAD_ROWS } from "./load_rows.ts";
import { LOST_ROWS } from "./lost_rows.ts";
import { MESSAGE_ROWS } from "./message_rows.ts";
import { OPEN_ROWS } from "./open_rows.ts";
import { REQUEST_ROWS } from "./request_rows.ts";
import { type Row, testRow } from "./runner.ts";
import { BAD_INPUT, type LineId } from "./table.ts";
import { TIME_ROWS } from "./time_rows.ts";

const ROWS: readonly Row[] = [
  ...REQUEST_ROWS,
  ...HEAD_ROWS,
  ...FRAME_ROWS,
  ...LOST_ROWS,
  ...MESSAGE_ROWS,
  ...OPEN_ROWS,
  ...AFTERMATH_ROWS,
  ...TIME_ROWS,
  ...LOAD_ROWS,
];

Deno.test("bad input: the lines have ids that differ", () => {
  assertEquals(new Set(BAD_INPUT.map(({ id }) => id)).size, BAD_INPUT.length);
});

Deno.test("bad input: the rows have names that differ", () => {
  const names = ROWS.map(({ line, name }) => `${line}: ${name}`);
  assertEquals(names.filter((name, index) => names.indexOf(name) !== index), []);
});

Deno.test("bad input: every line has a row, and every row a line", () => {
  const played = new Set<LineId>(ROWS.map(({ line }) => line));
  assertEquals([...played].sort(), BAD_INPUT.map(({ id }) => id).sort());
  assert(ROWS.length > 130);
});

for (const row of ROWS) testRow(row);
