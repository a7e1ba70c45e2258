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
  "S3_ENDPOINT",
  "S3_REGION",
  "S3_ACCESS_KEY_ID",
  "S3_SECRET_ACCESS_KEY",
  "S3_KEEP_LOCAL",
  "SYNC_SECONDS",
  "MIN_FREE_MB",
  "RETENTION_DAYS",
  "KV_URL",
  "INDEX_PERSONAL_DATA",
  "ADMIN_TOKEN",
] as const;

/** Where calls are recorded. */
export type RecordingsPlace =
  | { readonly kind: "files" }
  | { readonly kind: "off" }
  /** To files, which are then uploaded. */
  | { readonly kind: "s3"; readonly bucket: string; readonly prefix: string };

/** Of the bucket, what all servers take; of the prefix, what needs no encoding anywhere. */
const S3_URL =
  /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/((?:[\w-][\w.-]*\/)*[\w-][\w.-]*)?)?$/;
const DEFAULT_PREFIX = "recordings";

const KV_URL_ERROR = "expected an https: or http: address of a Deno KV, without a user's name";
const onOrOff = z.enum(["on", "off"], { error: "expected on or off" });
const secretSchema = z.string().regex(/^[\x21-\x7e]{1,1000}$/, {
  error: "expected printable ASCII characters, without spaces",
});

/** What each may be. */
export const STORAGE_SCHEMAS = {
  RECORDINGS: z.string().transform((text, context): RecordingsPlace => {
    const place = recordingsPlace(text);
    if (place !== undefined) return place;
    context.addIssue({
      code: "custom",
      message: "expected files, off, or s3://bucket or s3://bucket/prefix",
    });
    return z.NEVER;
  }).prefault("files"),
  S3_ENDPOINT: z.url({
    protocol: /^https?$/,
    error: "expected an address such as https://s3.example.com, without a path",
  }).optional(),
  S3_REGION: z.string().regex(/^[a-z0-9-]{1,64}$/, {
    error: "expected a region such as eu-central-1, or auto",
  }).optional(),
  S3_ACCESS_KEY_ID: secretSchema.optional(),
  S3_SECRET_ACCESS_KEY: secretSchema.optional(),
  S3_KEEP_LOCAL: onOrOff.prefault("on"),
  SYNC_SECONDS: wholeNumber(0, 3_600).prefault("10"),
  MIN_FREE_MB: wholeNumber(0, 1_000_000_000).prefault("500"),
  RETENTION_DAYS: wholeNumber(0, 36_500).prefault("0"),
  // Its name is in the log; the token has a variable of its own.
  KV_URL: z.url({ protocol: /^https?$/, error: KV_URL_ERROR })
    .refine((text) => !URL.parse(text)?.username, { error: KV_URL_ERROR })
    .optional(),
  INDEX_PERSONAL_DATA: onOrOff.prefault("off"),
  ADMIN_TOKEN: adminTokenSchema.optional(),
} satisfies Record<typeof STORAGE_NAMES[number], z.ZodType>;

/** The values of the settings, by their names. */
type StorageValues = z.output<z.ZodObject<typeof STORAGE_SCHEMAS>>;

/** Object storage that speaks the S3 API. */
export interface ObjectStorageSettings {
  readonly bucket: string;
  /** What keys begin with, without a slash at its end. */
  readonly prefix: string;
  /** Undefined: that of AWS in the region. */
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** What is kept, where, and for how long. */
export interface StorageSettings {
  /** Whether calls are recorded, to files; those may then be uploaded. */
  readonly recordings: "on" | "off";
  /**
   * Where recordings are uploaded: when they have ended, or while they are made where no disk lasts;
   * undefined: nowhere.
   */
  readonly objects: ObjectStorageSettings | undefined;
  /** Whether uploaded recordings stay on the disk. */
  readonly keepsUploaded: boolean;
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
    recordings: values.RECORDINGS.kind === "off" ? "off" : "on",
    objects: objectStorage(values),
    keepsUploaded: values.S3_KEEP_LOCAL === "on",
    syncSeconds: values.SYNC_SECONDS,
    minFreeBytes: values.MIN_FREE_MB * 1_000_000,
    retentionDays: values.RETENTION_DAYS,
    kvUrl: values.KV_URL,
    indexPersonalData: values.INDEX_PERSONAL_DATA === "on",
    adminToken: values.ADMIN_TOKEN,
  };
}

function objectStorage(values: StorageValues): ObjectStorageSettings | undefined {
  const { RECORDINGS: place, S3_ACCESS_KEY_ID = "", S3_SECRET_ACCESS_KEY = "" } = values;
  if (place.kind !== "s3") return undefined;
  return {
    bucket: place.bucket,
    prefix: place.prefix,
    endpoint: values.S3_ENDPOINT,
    region: values.S3_REGION,
    accessKeyId: S3_ACCESS_KEY_ID,
    secretAccessKey: S3_SECRET_ACCESS_KEY,
  };
}

function recordingsPlace(text: string): RecordingsPlace | undefined {
  if (text === "files" || text === "off") return { kind: text };
  const [, bucket, prefix = DEFAULT_PREFIX] = S3_URL.exec(text) ?? [];
  return bucket === undefined ? undefined : { kind: "s3", bucket, prefix };
}
