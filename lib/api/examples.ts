/**
 * Bodies as they may be, for the description of the API.
 *
 * Imports types only.
 */
import type { z } from "zod";
import type {
  endedRecordingSchema,
  holdRequestSchema,
  legalHoldSchema,
  peaksSchema,
  recordingListSchema,
} from "./api_schemas.ts";

const call = {
  sessionId: "e160e428-53e2-487c-977d-96989bf5c99d",
  organizationId: "d7934305-0972-4844-938e-9060eef73d05",
  conversationId: "090eaa2f-72fa-480a-83e0-8667ff89c0ec",
  participant: {
    id: "883efee8-3d6c-4537-b500-6d7ca4b92fa0",
    ani: "tel:+15551234567",
    aniName: "Jane Roe",
    dnis: "tel:+18005550100",
  },
  language: "en-US",
  media: {
    format: "PCMU" as const,
    channels: ["external" as const, "internal" as const],
    rate: 8000,
  },
  startedAt: "2026-11-22T09:30:00.000Z",
  endedAt: "2026-11-22T09:30:43.008Z",
  duration: "PT43.008S",
  closeReason: "end",
  isComplete: true,
};

const id = `2026-11-22.${call.sessionId}`;
const state = "finished" as const;

/** A reason for a hold. */
export const HOLD_REQUEST_EXAMPLE: z.input<typeof holdRequestSchema> = { reason: "Case 4711" };

/** A hold. */
export const LEGAL_HOLD_EXAMPLE: z.output<typeof legalHoldSchema> = {
  since: "2026-11-23T10:00:00.000Z",
  reason: "Case 4711",
};

/** A page that has one recording, and another page after it. */
export const RECORDING_LIST_EXAMPLE: z.output<typeof recordingListSchema> = {
  recordings: [{ id, state, ...call }],
  cursor: "AAABk1IhbYA",
};

/** A recording that was finished. */
export const RECORDING_DETAILS_EXAMPLE: z.output<typeof endedRecordingSchema> = {
  version: 1,
  ...call,
  durationSamples: 344_064,
  recordedSamples: 344_064,
  gaps: [{ startSamples: 80_000, samples: 8_000, silenceSamples: 8_000, cause: "discarded" }],
  unlistedGaps: 0,
  recovered: false,
  unloggedMessages: 0,
  id,
  state,
  legalHold: LEGAL_HOLD_EXAMPLE,
  audioBytes: 688_186,
  messagesBytes: 2_481,
};

/** An outline of three parts. */
export const PEAKS_EXAMPLE: z.output<typeof peaksSchema> = {
  rate: 8000,
  samples: 344_064,
  fromSamples: 0,
  toSamples: 344_064,
  channels: [
    { channel: "external", min: [-1, -74, -61], max: [0, 88, 57] },
    { channel: "internal", min: [-80, -3, -77], max: [85, 2, 71] },
  ],
};

/** Two lines of a message log. */
export const MESSAGES_EXAMPLE =
  `{"time":"2026-11-22T09:30:00.012Z","position":"PT0S","from":"client","message":{"type":"open"}}
{"time":"2026-11-22T09:30:00.020Z","position":"PT0S","from":"server","message":{"type":"opened"}}
`;
