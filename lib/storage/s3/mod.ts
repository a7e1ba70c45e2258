/** Recordings in object storage that speaks the S3 API. */
export { BucketBackend } from "./bucket_backend.ts";
export { CombinedArchive } from "./combined_archive.ts";
export type { ObjectStorage } from "./object_storage.ts";
export { type S3Place, S3PlaceError } from "./s3_address.ts";
export { S3AuditLog, type S3AuditLogOptions } from "./s3_audit_log.ts";
export { S3Client } from "./s3_client.ts";
export { S3Error } from "./s3_error.ts";
export { S3RecordingArchive } from "./s3_recording_archive.ts";
export { S3RecordingStore, type S3RecordingStoreOptions } from "./s3_recording_store.ts";
export type { S3Credentials, S3Patience } from "./s3_requests.ts";
export { UploadQueue, type UploadQueueOptions, type UploadStatus } from "./upload_queue.ts";
