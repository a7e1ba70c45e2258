/**
 * Bad input: what is sent, what comes back, and what the log says. README's section "Security" is
 * made of it; each line is played by at least one row.
 */
import { CONNECTION_GROUPS } from "./table_of_connections.ts";
import { SESSION_GROUPS } from "./table_of_sessions.ts";
import type { Group, Line } from "./table_line.ts";

const groups = [...CONNECTION_GROUPS, ...SESSION_GROUPS] as const;

/** The lines in their groups. */
export const GROUPS: readonly Group[] = groups;

/** All lines. */
export const BAD_INPUT: readonly Line[] = GROUPS.flatMap(({ lines }) => lines);

/** Id of a line. */
export type LineId = typeof groups[number]["lines"][number]["id"];
