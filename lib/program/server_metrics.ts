/**
 * The metrics of a server, from its parts.
 *
 * A part of main.ts, which alone imports it.
 */
import type { Metric } from "../api/metrics_text.ts";
import type { Recorder } from "../app/recorder.ts";
import type { AudioHookServer } from "../server/mod.ts";
import type { Storage } from "./open_storage.ts";

/** The parts, as far as there are numbers of them. */
export interface MetricsParts {
  readonly server: Pick<AudioHookServer, "connectionCount" | "socketCount">;
  readonly recorder: Pick<Recorder, "status">;
  readonly storage: Storage;
}

/** The metrics, none of which has personal data; what the storage has no notion of is left out. */
export function serverMetrics({ server, recorder, storage }: MetricsParts): Metric[] {
  const { connectionCount, socketCount } = server;
  const { status } = recorder;
  const { backend: { status: kept }, library } = storage;
  return [
    gauge("sessions", "Sessions that have not ended.", connectionCount),
    gauge("sockets", "WebSockets that are open.", socketCount),
    gauge("recordings", "Recordings that are being made.", status.recordings),
    gauge("recordings_failing", "Of these, those that cannot be written.", status.failing),
    counter("recordings_given_up", "Recordings that were given up.", status.givenUp),
    counter("calls_not_recorded", "Calls for which there was no room.", status.notRecorded),
    gauge(
      "disk_busy_seconds",
      "How long the disk has been busy with one thing.",
      kept.diskBusySeconds,
    ),
    gauge(
      "object_storage_busy_seconds",
      "How long the object storage that recordings are made in has not answered.",
      kept.objectStorageBusySeconds,
    ),
    gauge(
      "unsynced_seconds",
      "Age of the oldest audio that a power cut would lose.",
      kept.unsyncedSeconds,
    ),
    gauge("disk_free_bytes", "Free bytes of the recordings' disk.", kept.freeBytes),
    gauge("uploads_waiting", "Recordings that wait to be uploaded.", kept.waitingForUpload),
    gauge("index_waiting", "Changes that wait for the index.", library.waitingForIndex),
  ];
}

function gauge(name: string, help: string, value: number | undefined): Metric {
  return { name: `audiohook_${name}`, help, type: "gauge", value };
}

function counter(name: string, help: string, value: number): Metric {
  return { name: `audiohook_${name}_total`, help, type: "counter", value };
}
