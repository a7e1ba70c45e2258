/**
 * The settings of what is kept: recordings, their index, and who may read them. Their defaults are
 * those of the library; tests compare them.
 *
 * Must not import: anything of lib outside this folder.
 */
import { z } from "zod";
import { adminTokenSchema } from "./admin_token.ts";
import { wholeNumber } from "./whole_number.ts";

/** Names of the settings. */
export const STORAGE_NAMES = [
  "RECORDINGS",
  "SYNC_SECONDS",
  "MIN_FREE_MB",
  "RETENTION_DAYS",
  "KV_URL",
  "INDEX_PERSONAL_DATA",
  "ADMIN_TOKEN",
] as const;

/** What each may be. */
export const STORAGE_SCHEMAS = {
  RECORDINGS: z.enum(["files", "off"], { error: "expected files or off" }).prefault("files"),
  SYNC_SECONDS: wholeNumber(0, 3_600).prefault("5"),
  MIN_FREE_MB: wholeNumber(0, 1_000_000_000).prefault("500"),
  RETENTION_DAYS: wholeNumber(0, 36_500).prefault("0"),
  KV_URL: z.url({ protocol: /^https?$/, error: "expected an https: address of a Deno KV" })
    .optional(),
  INDEX_PERSONAL_DATA: z.enum(["on", "off"], { error: "expected on or off" }).prefault("off"),
  ADMIN_TOKEN: adminTokenSchema.optional(),
} satisfies Record<typeof STORAGE_NAMES[number], z.ZodType>;

/** The values of the settings, by their names. */
type StorageValues = z.output<z.ZodObject<typeof STORAGE_SCHEMAS>>;

/** What is kept, where, and for how long. */
export interface StorageSettings {
  /** Whether calls are recorded, to files. */
  readonly recordings: "files" | "off";
  /** How often the disk is made to keep what was written, in seconds; 0 = never. */
  readonly syncSeconds: number;
  /** With less free, no new call is recorded; bytes. */
  readonly minFreeBytes: number;
  /** How long recordings are kept, in days; 0 = for ever. */
  readonly retentionDays: number;
  /** Address of a Deno KV; undefined: a file in the data folder. */
  readonly kvUrl: string | undefined;
  /** Whether the index has the participant in plain. */
  readonly indexPersonalData: boolean;
  /** Who has it may read and remove recordings; undefined: one is made at the first start. */
  readonly adminToken: string | undefined;
}

/** What the parts of the program take. */
export function storageSettings(values: StorageValues): StorageSettings {
  return {
    recordings: values.RECORDINGS,
    syncSeconds: values.SYNC_SECONDS,
    minFreeBytes: values.MIN_FREE_MB * 1_000_000,
    retentionDays: values.RETENTION_DAYS,
    kvUrl: values.KV_URL,
    indexPersonalData: values.INDEX_PERSONAL_DATA === "on",
    adminToken: values.ADMIN_TOKEN,
  };
}
