/**
 * Prints the tables of README's section "Security", to be pasted there.
 */
import { cellsOf, printCells } from "./markdown.ts";
import { GROUPS } from "./table.ts";

await Deno.stdout.write(new TextEncoder().encode(printCells(cellsOf(GROUPS))));
