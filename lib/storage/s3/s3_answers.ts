/**
 * What S3 servers answer, as values.
 *
 * Imports zod and its neighbours.
 */
import { z } from "zod";
import { childrenOf, childText, parseXml, type XmlElement, XmlError } from "./xml_element.ts";

const count = z.string().regex(/^\d{1,15}$/).transform(Number);
const time = z.string().max(64).refine((text) => !Number.isNaN(Date.parse(text)))
  .transform((text) => new Date(text));
/** Some servers give it with quotation marks, some without. */
const etag = z.string().max(256).transform(plainETag);
const text = z.string().min(1).max(2048);

const objectSchema = z.object({ key: text, sizeBytes: count, etag, modifiedAt: time });
const uploadSchema = z.object({ key: text, uploadId: text, initiatedAt: time });
const partSchema = z.object({ number: count, sizeBytes: count, etag });

/** An object in a list. */
export type ListedObject = z.infer<typeof objectSchema>;
/** A multipart upload that is neither completed nor aborted. */
export type ListedUpload = z.infer<typeof uploadSchema>;
/** A part of such an upload. */
export type ListedPart = z.infer<typeof partSchema>;

/** Part of a list. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Query parameters of the next page; `undefined` after the last one. */
  readonly next: Readonly<Record<string, string>> | undefined;
}

/** What an ETag is, without quotation marks. */
export function plainETag(value: string): string {
  return value.replace(/^"(.*)"$/, "$1");
}

/**
 * Reads an answer to ListObjectsV2.
 *
 * @throws {XmlError} As all of these functions, if it is none.
 */
export function readObjects(answer: string): Page<ListedObject> {
  const xml = rootOf(answer, "ListBucketResult");
  const items = childrenOf(xml, "Contents").map((item) =>
    checked(objectSchema, {
      key: childText(item, "Key"),
      sizeBytes: childText(item, "Size"),
      etag: childText(item, "ETag") ?? "",
      modifiedAt: childText(item, "LastModified"),
    })
  );
  return pageOf(xml, items, { "continuation-token": "NextContinuationToken" });
}

/** Reads an answer to CreateMultipartUpload: the upload's id. */
export function readUploadId(answer: string): string {
  return checked(text, childText(rootOf(answer, "InitiateMultipartUploadResult"), "UploadId"));
}

/** Reads an answer to ListMultipartUploads. */
export function readUploads(answer: string): Page<ListedUpload> {
  const xml = rootOf(answer, "ListMultipartUploadsResult");
  const items = childrenOf(xml, "Upload").map((item) =>
    checked(uploadSchema, {
      key: childText(item, "Key"),
      uploadId: childText(item, "UploadId"),
      initiatedAt: childText(item, "Initiated"),
    })
  );
  return pageOf(xml, items, {
    "key-marker": "NextKeyMarker",
    "upload-id-marker": "NextUploadIdMarker",
  });
}

/** Reads an answer to ListParts. */
export function readParts(answer: string): Page<ListedPart> {
  const xml = rootOf(answer, "ListPartsResult");
  const items = childrenOf(xml, "Part").map((item) =>
    checked(partSchema, {
      number: childText(item, "PartNumber"),
      sizeBytes: childText(item, "Size"),
      etag: childText(item, "ETag") ?? "",
    })
  );
  return pageOf(xml, items, { "part-number-marker": "NextPartNumberMarker" });
}

/** Whether an answer, of status 200, is an error: S3 sends it when it takes long. */
export function isError(answer: string): boolean {
  return parseXml(answer).name === "Error";
}

function rootOf(answer: string, name: string): XmlElement {
  const xml = parseXml(answer);
  if (xml.name !== name) throw new XmlError(`Expected ${name}`);
  return xml;
}

function pageOf<T>(
  xml: XmlElement,
  items: readonly T[],
  markers: Readonly<Record<string, string>>,
): Page<T> {
  if (childText(xml, "IsTruncated") !== "true") return { items, next: undefined };
  const next: Record<string, string> = {};
  for (const [parameter, name] of Object.entries(markers)) {
    const value = childText(xml, name);
    if (value) next[parameter] = value;
  }
  // Or the first page would be read for ever.
  if (Object.keys(next).length === 0) throw new XmlError("There is no next page, but should be");
  return { items, next };
}

function checked<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (!result.success) throw new XmlError("An element is missing, or has a wrong value");
  return result.data;
}
