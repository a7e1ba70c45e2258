/**
 * A disk that stalls: a few lines of C between a program and the system, which let it wait in each
 * call that touches a recording, for as long as a file exists. To the program it's a disk that does
 * not answer: whatever thread asks it for something hangs in the system.
 *
 * Must not import: anything of lib.
 */
import { join } from "node:path";

const SOURCE = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void stall(const char *path) {
  const char *switch_file = getenv("STALL_WHILE_EXISTS");
  if (switch_file == NULL || path == NULL || strstr(path, "/recordings/") == NULL) return;
  while (access(switch_file, F_OK) == 0) usleep(10000);
}

ssize_t write(int fd, const void *bytes, size_t count) {
  static ssize_t (*real)(int, const void *, size_t);
  if (real == NULL) real = dlsym(RTLD_NEXT, "write");
  if (fd > 2) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length > 0) {
      path[length] = 0;
      stall(path);
    }
  }
  return real(fd, bytes, count);
}

int open64(const char *path, int flags, ...) {
  static int (*real)(const char *, int, ...);
  if (real == NULL) real = dlsym(RTLD_NEXT, "open64");
  va_list rest;
  va_start(rest, flags);
  mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  stall(path);
  return real(path, flags, mode);
}

int rename(const char *from, const char *to) {
  static int (*real)(const char *, const char *);
  if (real == NULL) real = dlsym(RTLD_NEXT, "rename");
  stall(to);
  return real(from, to);
}
`;

/** Makes disks stall for programs that are started with its environment. */
export class StalledDisk {
  /** Of the program. */
  readonly env: Readonly<Record<string, string>>;
  readonly #switchFile: string;

  private constructor(library: string, switchFile: string) {
    this.env = { LD_PRELOAD: library, STALL_WHILE_EXISTS: switchFile };
    this.#switchFile = switchFile;
  }

  /**
   * Builds it in a folder, whose path must not have `/recordings/`.
   *
   * @returns The reason if that can't be done here.
   */
  static async make(folder: string): Promise<StalledDisk | string> {
    if (Deno.build.os !== "linux") return "it takes Linux";
    const source = join(folder, "stall.c");
    const library = join(folder, "stall.so");
    await Deno.writeTextFile(source, SOURCE);
    try {
      const args = ["-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"];
      const { success, stderr } = await new Deno.Command("cc", { args }).output();
      if (!success) return `cc cannot build it: ${new TextDecoder().decode(stderr)}`;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return "there is no C compiler (cc)";
      throw error;
    }
    return new StalledDisk(library, join(folder, "stalled"));
  }

  /** From now on, nothing that touches a recording returns. */
  async stall(): Promise<void> {
    await Deno.writeTextFile(this.#switchFile, "");
  }

  /** All that waits goes on. */
  async goOn(): Promise<void> {
    await Deno.remove(this.#switchFile);
  }
}
