/**
 * The sections of the protocol by which a report is ordered.
 *
 * Imports types of its neighbours only.
 */

/** Sections of `docs/protocol.md` that have cases. */
const TITLES: Readonly<Record<number, string>> = {
  1: "Roles and transport",
  2: "The connection request",
  3: "Authentication",
  4: "The envelope",
  5: "Messages",
  6: "Open transaction",
  7: "Audio",
  8: "Pausing",
  9: "Discarded audio",
  10: "Update",
  11: "Ping",
  12: "Events",
  13: "Close",
  15: "Audio Connector",
  16: "Reconnection",
};

/** What belongs to one section. */
export interface SectionGroup<T> {
  readonly section: number;
  readonly title: string;
  readonly members: readonly T[];
}

/** Orders cases or results by the first of their sections. */
export function bySection<T extends { readonly sections: readonly number[] }>(
  all: readonly T[],
): readonly SectionGroup<T>[] {
  const groups = Map.groupBy(all, ({ sections: [first = 0] }) => first);
  return [...groups].sort(([one], [other]) => one - other).map(([section, members]) => ({
    section,
    title: TITLES[section] ?? "Other",
    members,
  }));
}
