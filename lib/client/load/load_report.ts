/**
 * What a load was like, as a table for a person.
 *
 * Imports types only.
 */
import type { CpuUse, LoadResult, Tally } from "./load_result.ts";

/** What may help, by the kind of a failure. */
const HINTS: Readonly<Record<string, string>> = {
  "refused 401": "Are the key and the secret those of the server?",
  "refused 429":
    "The server refuses who failed too often: wait a minute (MAX_AUTH_FAILURES_PER_MINUTE)",
  "refused 503": "The server is full: raise its MAX_SESSIONS",
  "unreachable ECONNREFUSED": "Does a server listen there?",
  "unreachable EMFILE": "No more files may be open here: raise ulimit -n",
  "unreachable ETIMEDOUT":
    "The server does not answer: may it have as many files open (ulimit -n) as there are sessions?",
};

/** Milliseconds with three digits that matter. */
export function formatMs(ms: number | null): string {
  if (ms === null) return "-";
  const digits = ms < 1 ? 3 : ms < 10 ? 2 : ms < 100 ? 1 : 0;
  return `${ms.toFixed(digits)} ms`;
}

/** The table, in lines. What steers a terminal may be in them: it is the server's text. */
export function reportLines(result: LoadResult): string[] {
  const { sessions, times, sent, faults, sessionMinutes } = result;
  const lines = [
    ...(result.stopped === null ? [] : [`Stopped: ${result.stopped.why}`]),
    `Sessions: ${sessions.started} started, ${sessions.opened} opened, ` +
    `${sessions.mostOpen} at a time; ${sessions.well} ended well, ${sessions.failed} failed, ` +
    `${sessions.faulted} broken on purpose, ${sessions.cancelled} cancelled`,
    `Time: ${result.wallSeconds.toFixed(1)} s, ${sessionMinutes.toFixed(1)} session-minutes`,
    "",
    ...timeTable(times),
    "",
    `Sent: ${sent.frames} frames, ${sent.bytes} bytes, ${sent.audioSeconds.toFixed(1)} s of audio`,
    `Left out: ${sent.framesThrottled} frames because the socket was backed up, ` +
    `${sent.framesNotWanted} not wanted by the server, ` +
    `${sent.framesSkipped} because this program was late`,
  ];
  if (sessions.faulted > 0) {
    lines.push(
      `Faults (seed ${result.seed}): ${faults.drop} dropped, ${faults.reset} reset, ` +
        `${faults.stall} stalled (${faults.stallsEndedWell} of them ended well)`,
    );
  }
  lines.push("", ...tallyLines("Failures", result.failures, HINTS));
  lines.push(...tallyLines("Violations of the server, by section", result.violations, {}));
  lines.push(...verifyLines(result));
  lines.push(...processLines(result));
  for (const warning of result.warnings) lines.push(`Warning: ${warning}`);
  return lines;
}

function timeTable(times: LoadResult["times"]): string[] {
  const rows = [
    ["", "count", "p50", "p90", "p99", "max"],
    ...([
      ["connect", times.connect],
      ["open -> opened", times.opened],
      ["ping -> pong", times.pong],
      ["close -> closed", times.closed],
      ["late here", times.lateness],
    ] as const).map(([name, time]) => [
      name,
      String(time.count),
      ...[time.p50Ms, time.p90Ms, time.p99Ms, time.maxMs].map(formatMs),
    ]),
  ];
  const widths = [16, 10, 12, 12, 12, 12];
  return rows.map((row) =>
    row.map((cell, i) => i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))
      .join("")
  );
}

function tallyLines(
  title: string,
  tallies: Readonly<Record<string, Tally>>,
  hints: Readonly<Record<string, string>>,
): string[] {
  const kinds = Object.entries(tallies);
  if (kinds.length === 0) return [`${title}: none`];
  return [
    `${title}:`,
    ...kinds.flatMap(([kind, { count, examples }]) => {
      const hint = hints[kind];
      return [
        `  ${count} x ${kind}${hint === undefined ? "" : `. ${hint}`}`,
        ...examples.map((example) => `      ${example}`),
      ];
    }),
  ];
}

function verifyLines({ verify }: LoadResult): string[] {
  if (verify === null) return [];
  return [
    `Recordings: ${verify.exact} exact, ${verify.different} different, ${verify.missing} missing`,
    `  of sessions that broke off: ${verify.cutExact} exact as far as they go, ` +
    `${verify.cutDifferent} different, ${verify.cutMissing} missing`,
    ...verify.examples.map((example) => `  ${example}`),
  ];
}

function processLines({ server, client }: LoadResult): string[] {
  const lines = [`CPU here: ${cpuText(client)}`];
  if (server === null) return lines;
  const kb = server.kbPerSession === null ? "-" : server.kbPerSession.toFixed(0);
  lines.push(
    `CPU of the server: ${cpuText(server)}`,
    `Memory of the server: ${server.idleKb} KB idle, ${server.highestKb} KB at most, ` +
      `${server.endKb} KB at the end; ${kb} KB per session above idle`,
  );
  if (server.isGone) lines.push(`The server's process ${server.pid} was gone before the end`);
  return lines;
}

function cpuText(use: CpuUse): string {
  const perMinute = (seconds: number | null) => seconds === null ? "-" : seconds.toFixed(4);
  return `${use.cpuSeconds.toFixed(2)} s, ${perMinute(use.cpuSecondsPerSessionMinute)} s per ` +
    `session-minute (${perMinute(use.steadyCpuSecondsPerSessionMinute)} s while all were open)`;
}
