/**
 * README's section "Security" is the table of bad inputs.
 */
import { assert, assertEquals } from "@std/assert";
import { type CellGroup, cellsOf, printCells, readCells } from "./markdown.ts";
import { GROUPS } from "./table.ts";

const SECTION = "Security";

Deno.test("bad input: README says of each line what the tests check", async () => {
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  const hint = "paste what `deno run tests/bad_input/print_table.ts` prints into README";
  assertEquals(readCells(readme, SECTION), cellsOf(GROUPS), hint);
});

Deno.test("bad input: what is printed can be read", () => {
  const groups: readonly CellGroup[] = [
    { title: "One", rows: [["a", "`b`", "nothing"], ["a longer … cell", "c", "info: `{x}`"]] },
    { title: "Two", rows: [["d", "e", "f"]] },
  ];
  const printed = printCells(groups);
  const markdown = `# Title\n\n## ${SECTION}\n\nWords.\n\n${printed}\n## Next\n\n### Three\n`;
  assertEquals(readCells(markdown, SECTION), groups);
});

Deno.test("bad input: the cells are Markdown that a table can have", () => {
  for (const { rows } of cellsOf(GROUPS)) {
    for (const cell of rows.flat()) {
      assertEquals(/[|\n]|^\s|\s$|^$/.test(cell), false, cell);
      assert(cell.split("`").length % 2 === 1, `a backtick is missing: ${cell}`);
    }
  }
});
