/**
 * A disk that stalls or fails: a few lines of C between a program and the system. In each call that
 * touches a recording, they let it wait, or give it an error, for as long as a file says so. To the
 * program it's a disk that does not answer, is full, or is broken: whatever thread asks it for
 * something hangs in the system, or gets the error.
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
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Not by the functions below, which would come here again. */
static int open_raw(const char *path, int flags) {
  return syscall(SYS_openat, AT_FDCWD, path, flags, 0600);
}

/* A line for each call, in the order in which they begin. */
static void note(const char *call, const char *path) {
  const char *notes = getenv("DISK_NOTES");
  if (notes == NULL) return;
  char line[PATH_MAX + 32];
  int length = snprintf(line, sizeof line, "%s %s\\n", call, path);
  int fd = open_raw(notes, O_WRONLY | O_APPEND | O_CREAT);
  if (fd < 0) return;
  syscall(SYS_write, fd, line, length);
  syscall(SYS_close, fd);
}

/* What the file says of a call: "<call or *> <error, or 0 to stall>". -1 if it says nothing. */
static int trouble(const char *call) {
  const char *file = getenv("DISK_TROUBLE");
  char text[64], name[32];
  int error;
  int fd = file == NULL ? -1 : open_raw(file, O_RDONLY);
  if (fd < 0) return -1;
  ssize_t length = syscall(SYS_read, fd, text, sizeof text - 1);
  syscall(SYS_close, fd);
  if (length <= 0) return -1;
  text[length] = 0;
  if (sscanf(text, "%31s %d", name, &error) != 2) return -1;
  return strcmp(name, "*") == 0 || strcmp(name, call) == 0 ? error : -1;
}

/* Returns 0 if the call may go on, or its error. */
static int touch(const char *call, const char *path) {
  if (path == NULL || strstr(path, "/recordings/") == NULL) return 0;
  if (strcmp(call, "read") != 0) note(call, path);
  int error;
  while ((error = trouble(call)) == 0) usleep(10000);
  return error < 0 ? 0 : error;
}

static int touch_fd(const char *call, int fd) {
  char link[64], path[PATH_MAX];
  if (fd <= 2) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return touch(call, path);
}

static int failed(int error) {
  errno = error;
  return -1;
}

ssize_t write(int fd, const void *bytes, size_t count) {
  static ssize_t (*real)(int, const void *, size_t);
  if (real == NULL) real = dlsym(RTLD_NEXT, "write");
  int error = touch_fd("write", fd);
  return error ? failed(error) : real(fd, bytes, count);
}

/* Without a note: who looks at the order of calls wants those that change something. */
ssize_t read(int fd, void *bytes, size_t count) {
  static ssize_t (*real)(int, void *, size_t);
  if (real == NULL) real = dlsym(RTLD_NEXT, "read");
  int error = touch_fd("read", fd);
  return error ? failed(error) : real(fd, bytes, count);
}

int fdatasync(int fd) {
  static int (*real)(int);
  if (real == NULL) real = dlsym(RTLD_NEXT, "fdatasync");
  int error = touch_fd("fdatasync", fd);
  return error ? failed(error) : real(fd);
}

int fsync(int fd) {
  static int (*real)(int);
  if (real == NULL) real = dlsym(RTLD_NEXT, "fsync");
  int error = touch_fd("fsync", fd);
  return error ? failed(error) : real(fd);
}

int open64(const char *path, int flags, ...) {
  static int (*real)(const char *, int, ...);
  if (real == NULL) real = dlsym(RTLD_NEXT, "open64");
  va_list rest;
  va_start(rest, flags);
  mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  int error = touch("open", path);
  return error ? failed(error) : real(path, flags, mode);
}

int rename(const char *from, const char *to) {
  static int (*real)(const char *, const char *);
  if (real == NULL) real = dlsym(RTLD_NEXT, "rename");
  int error = touch("rename", to);
  return error ? failed(error) : real(from, to);
}
`;

/** What a program asks the disk for. */
export type DiskCall = "open" | "read" | "write" | "fdatasync" | "fsync" | "rename";

/** Errors of Linux. */
const ERRORS = { EIO: 5, EINVAL: 22, ENOSPC: 28 } as const;

/** Makes disks stall, or fail, for programs that are started with its environment. */
export class StalledDisk {
  /** Of the program. */
  readonly env: Readonly<Record<string, string>>;
  /** The same, for {@link StalledDisk.calls}. */
  readonly notingEnv: Readonly<Record<string, string>>;
  readonly #troubleFile: string;
  readonly #notesFile: string;

  private constructor(library: string, troubleFile: string, notesFile: string) {
    this.env = { LD_PRELOAD: library, DISK_TROUBLE: troubleFile };
    this.notingEnv = { ...this.env, DISK_NOTES: notesFile };
    this.#troubleFile = troubleFile;
    this.#notesFile = notesFile;
  }

  /**
   * Builds it in a folder, whose path must not have `/recordings/`.
   *
   * @returns The reason if that can't be done here.
   */
  static async make(folder: string): Promise<StalledDisk | string> {
    const library = await buildPreloadedLibrary(folder, "stall", SOURCE);
    if (typeof library === "string") return library;
    return new StalledDisk(library.path, join(folder, "disk_trouble"), join(folder, "disk_notes"));
  }

  /** From now on, nothing that touches a recording returns; or only calls of one kind don't. */
  async stall(call: DiskCall | "*" = "*"): Promise<void> {
    await this.#say(`${call} 0`);
  }

  /** From now on, calls of one kind fail. */
  async fail(call: DiskCall, error: keyof typeof ERRORS): Promise<void> {
    await this.#say(`${call} ${ERRORS[error]}`);
  }

  /** All that waits goes on, and nothing fails. */
  async goOn(): Promise<void> {
    await Deno.remove(this.#troubleFile);
  }

  /** All calls so far that touched a recording: what, and the name of the file or folder. */
  async calls(): Promise<string[]> {
    const text = await Deno.readTextFile(this.#notesFile);
    return text.trimEnd().split("\n").map((line) => line.replace(/ .*\//, " "));
  }

  /** As a whole: the program reads it at any moment. */
  async #say(text: string): Promise<void> {
    await Deno.writeTextFile(`${this.#troubleFile}.new`, text);
    await Deno.rename(`${this.#troubleFile}.new`, this.#troubleFile);
  }
}
