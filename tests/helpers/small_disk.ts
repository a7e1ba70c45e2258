/**
 * A disk that is full: a few lines of C between a program and the system. They add up what is below
 * a folder, as a disk does, in blocks, each file taking at least one; and refuse what would go beyond
 * a bound. What is removed or cut is free at once, for whoever is first.
 *
 * Must not import: anything of lib.
 */
import { join } from "node:path";
import { buildPreloadedLibrary } from "./preloaded_library.ts";

const SOURCE = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BLOCK 4096
static __thread double used_bytes, used_files;

static double blocks_of(off_t size) {
  return size <= BLOCK ? BLOCK : (double)((size + BLOCK - 1) / BLOCK) * BLOCK;
}

static int add(const char *path, const struct stat *info, int type, struct FTW *at) {
  (void)path, (void)at;
  if (type == FTW_F || type == FTW_D) {
    /* A file that has several names is there once. */
    double names = type == FTW_F && info->st_nlink > 1 ? info->st_nlink : 1;
    used_bytes += blocks_of(type == FTW_D ? 0 : info->st_size) / names;
    used_files += 1 / names;
  }
  return 0;
}

/* Returns 0 if there is room, or the error. The bound is "<bytes> <files> <error>". */
static int refuse(double bytes, double files) {
  const char *bound = getenv("DISK_BOUND"), *folder = getenv("DISK_FOLDER");
  char text[96];
  double max_bytes, max_files;
  int error, fd = bound == NULL ? -1 : syscall(SYS_openat, AT_FDCWD, bound, O_RDONLY, 0);
  if (fd < 0 || folder == NULL) return 0;
  ssize_t length = syscall(SYS_read, fd, text, sizeof text - 1);
  syscall(SYS_close, fd);
  if (length <= 0) return 0;
  text[length] = 0;
  if (sscanf(text, "%lf %lf %d", &max_bytes, &max_files, &error) != 3) return 0;
  used_bytes = used_files = 0;
  nftw(folder, add, 8, FTW_PHYS);
  return used_bytes + bytes > max_bytes || used_files + files > max_files ? error : 0;
}

static int is_inside(const char *path) {
  const char *folder = getenv("DISK_FOLDER");
  return folder != NULL && strncmp(path, folder, strlen(folder)) == 0;
}

static int refuse_growth(int fd, off_t end) {
  char link[64], path[PATH_MAX];
  struct stat info;
  if (fd <= 2 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  double growth = blocks_of(end) - blocks_of(info.st_size);
  return growth > 0 && is_inside(path) ? refuse(growth, 0) : 0;
}

static int refuse_new(const char *path) {
  struct stat info;
  return is_inside(path) && lstat(path, &info) != 0 ? refuse(BLOCK, 1) : 0;
}

static int failed(int error) {
  errno = error;
  return -1;
}

ssize_t write(int fd, const void *bytes, size_t count) {
  static ssize_t (*real)(int, const void *, size_t);
  if (real == NULL) real = dlsym(RTLD_NEXT, "write");
  int is_appending = fd > 2 && (fcntl(fd, F_GETFL) & O_APPEND);
  off_t from = fd > 2 ? lseek(fd, 0, is_appending ? SEEK_END : SEEK_CUR) : -1;
  int error = from < 0 ? 0 : refuse_growth(fd, from + count);
  return error ? failed(error) : real(fd, bytes, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
  static ssize_t (*real)(int, const void *, size_t, off64_t);
  if (real == NULL) real = dlsym(RTLD_NEXT, "pwrite64");
  int error = refuse_growth(fd, offset + count);
  return error ? failed(error) : real(fd, bytes, count, offset);
}

int ftruncate64(int fd, off64_t length) {
  static int (*real)(int, off64_t);
  if (real == NULL) real = dlsym(RTLD_NEXT, "ftruncate64");
  int error = refuse_growth(fd, length);
  return error ? failed(error) : real(fd, length);
}

int open64(const char *path, int flags, ...) {
  static int (*real)(const char *, int, ...);
  if (real == NULL) real = dlsym(RTLD_NEXT, "open64");
  va_list rest;
  va_start(rest, flags);
  mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  int error = flags & O_CREAT ? refuse_new(path) : 0;
  return error ? failed(error) : real(path, flags, mode);
}

int mkdir(const char *path, mode_t mode) {
  static int (*real)(const char *, mode_t);
  if (real == NULL) real = dlsym(RTLD_NEXT, "mkdir");
  int error = refuse_new(path);
  return error ? failed(error) : real(path, mode);
}
`;

/** Errors of Linux. */
const ERRORS = { ENOSPC: 28, EDQUOT: 122 } as const;

/** How full a disk is. */
export interface Fullness {
  /** Bytes that are left; none unless given. */
  readonly freeBytes?: number;
  /** How many files may be added; any unless given. */
  readonly freeFiles?: number;
  /** What the system says then; `ENOSPC` unless given. */
  readonly error?: keyof typeof ERRORS;
}

/** Makes the disk small for programs that are started with its environment. */
export class SmallDisk {
  /** Of the program. */
  readonly env: Readonly<Record<string, string>>;
  readonly #folder: string;
  readonly #boundFile: string;

  private constructor(library: string, folder: string, boundFile: string) {
    this.env = { LD_PRELOAD: library, DISK_FOLDER: folder, DISK_BOUND: boundFile };
    this.#folder = folder;
    this.#boundFile = boundFile;
  }

  /**
   * Builds it.
   *
   * @param tools Folder for what is built, not below the other one.
   * @param folder All that the disk has. It is as large as can be, until it is said to be full.
   * @returns The reason if that can't be done here.
   */
  static async make(tools: string, folder: string): Promise<SmallDisk | string> {
    const library = await buildPreloadedLibrary(tools, "small", SOURCE);
    if (typeof library === "string") return library;
    return new SmallDisk(library.path, folder, join(tools, "disk_bound"));
  }

  /** From now on, there is no more room than that. */
  async fillUp({ freeBytes = 0, freeFiles, error = "ENOSPC" }: Fullness = {}): Promise<void> {
    const used = await usageOf(this.#folder);
    const bytes = freeFiles === undefined ? used.bytes + freeBytes : Number.MAX_SAFE_INTEGER;
    const files = used.files + (freeFiles ?? Number.MAX_SAFE_INTEGER / 2);
    // As a whole: the program reads it at any moment.
    await Deno.writeTextFile(`${this.#boundFile}.new`, `${bytes} ${files} ${ERRORS[error]}`);
    await Deno.rename(`${this.#boundFile}.new`, this.#boundFile);
  }

  /** There is room again. */
  async empty(): Promise<void> {
    await Deno.remove(this.#boundFile);
  }
}

/** As the library counts: the folder itself, too. */
async function usageOf(folder: string): Promise<{ bytes: number; files: number }> {
  const used = { bytes: 4096, files: 1 };
  for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) {
      const below = await usageOf(path);
      used.bytes += below.bytes;
      used.files += below.files;
    } else if (isFile) {
      used.bytes += Math.max(1, Math.ceil((await Deno.lstat(path)).size / 4096)) * 4096;
      used.files++;
    }
  }
  return used;
}
