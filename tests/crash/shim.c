/*
 * shim.c - one failure of the disk, or a death, at a chosen file-changing call.
 *
 * LD_PRELOADed into pbt_mpi.  Every call that changes something under CRASH_UNDER is
 * counted, on each rank for itself, and written to CRASH_LOG.RANK as "COUNT CALL PATH".
 * On rank CRASH_RANK, at call CRASH_AT, CRASH_MODE happens:
 *
 *   kill     SIGKILL before the call
 *   half     half of the bytes of a write arrive, then SIGKILL (other calls: as kill)
 *   page     the bytes up to the end of a page of memory arrive, then SIGKILL: where
 * Linux cuts a write for a signal short    half of the bytes of a write arrive and the
 * call says so, once enospc   the call fails with "no space left"; what frees space still
 * works eio      the call fails with "input/output error"
 *
 * The last two happen once, or with CRASH_ON=1 to every call from then on.  Libraries are
 * interposed too: HDF5 calls libc through the same symbols.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum mode { NONE, KILL, HALF, PAGE, SHORT, ENOSPC_MODE, EIO_MODE };

static struct {
  char under[PATH_MAX];
  size_t n_under;
  int log; // descriptor, or -1
  bool chosen, again;
  enum mode mode;
  long at, count;
} order = {.log = -1};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const char *rank_text(void) {
  static const char *const name[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK",
                                     "SLURM_PROCID"};
  for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
    if (getenv(name[i]) != NULL) {
      return getenv(name[i]);
    }
  }
  return "0";
}

static void read_order(void) {
  static const char *const name[] = {"none",  "kill",   "half", "page",
                                     "short", "enospc", "eio"};
  const char *under = getenv("CRASH_UNDER"), *at = getenv("CRASH_AT");
  const char *mode = getenv("CRASH_MODE"), *on = getenv("CRASH_ON");
  const char *rank = getenv("CRASH_RANK"), *log = getenv("CRASH_LOG");
  snprintf(order.under, sizeof order.under, "%s", under == NULL ? "" : under);
  order.n_under = strlen(order.under);
  order.at = at == NULL ? 0 : atol(at);
  order.again = on != NULL && strcmp(on, "1") == 0;
  order.chosen = rank != NULL && strcmp(rank, rank_text()) == 0;
  for (int i = 0; mode != NULL && i < (int)(sizeof name / sizeof *name); i++) {
    order.mode = strcmp(mode, name[i]) == 0 ? (enum mode)i : order.mode;
  }
  if (log != NULL) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s.%s", log, rank_text());
    order.log = (int)syscall(SYS_openat, AT_FDCWD, path,
                             O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  }
}

/* What is to happen to the call that is about to be made, or NONE. */
static enum mode tick(const char *call, const char *path) {
  char whole[PATH_MAX + 64];
  pthread_once(&once, read_order);
  if (path[0] != '/' && getcwd(whole, PATH_MAX) != NULL) {
    size_t n = strlen(whole);
    snprintf(whole + n, sizeof whole - n, "/%s", path);
    path = whole;
  }
  if (order.n_under == 0 || strncmp(path, order.under, order.n_under) != 0) {
    return NONE;
  }
  pthread_mutex_lock(&lock);
  long k = ++order.count;
  if (order.log >= 0) {
    char line[PATH_MAX + 128];
    int n = snprintf(line, sizeof line, "%ld %s %s\n", k, call, path + order.n_under);
    syscall(SYS_write, order.log, line, (size_t)n);
  }
  pthread_mutex_unlock(&lock);
  bool now = order.chosen && (k == order.at || (order.again && k > order.at));
  if (!now || order.at == 0) {
    return NONE;
  }
  if (order.mode == KILL) {
    raise(SIGKILL);
  }
  return order.mode;
}

static enum mode tick_file(const char *call, int file) {
  int before = errno;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t n = readlink(link, path, sizeof path - 1);
  errno = before;
  if (n <= 0) {
    return NONE;
  }
  path[n] = '\0';
  return tick(call, path);
}

/* True if the call must fail: errno is set.  `frees`: it would not need space. */
static bool fails(enum mode mode, bool frees) {
  if (mode == HALF || mode == PAGE) {
    raise(SIGKILL);
  }
  if (mode == EIO_MODE || (mode == ENOSPC_MODE && !frees)) {
    errno = mode == EIO_MODE ? EIO : ENOSPC;
    return true;
  }
  return false;
}

#define NEXT(name, type)                                                                 \
  static type *next;                                                                     \
  if (next == NULL) {                                                                    \
    *(void **)&next = dlsym(RTLD_NEXT, name);                                            \
  }

/* ---- bytes ---- */

/* How much of a write arrives before what is ordered happens; 0: nothing. */
static size_t part_of(enum mode mode, size_t n, off_t at) {
  size_t page = 4096 - (size_t)at % 4096;
  return mode == HALF || mode == SHORT ? n / 2 : mode == PAGE && page < n ? page : 0;
}

/* After that part: true if it is all that the caller hears of. */
static bool cut(enum mode mode) {
  if (mode == HALF || mode == PAGE) {
    raise(SIGKILL);
  }
  return mode == SHORT;
}

typedef ssize_t write_function(int, const void *, size_t);
ssize_t write(int file, const void *data, size_t n) {
  NEXT("write", write_function)
  enum mode mode = tick_file("write", file);
  size_t part = mode == NONE ? 0 : part_of(mode, n, lseek(file, 0, SEEK_CUR));
  ssize_t done = part > 0 ? next(file, data, part) : 0;
  if (part > 0 && cut(mode)) {
    return done;
  }
  return fails(mode, false) ? -1 : next(file, data, n);
}

typedef ssize_t pwrite_function(int, const void *, size_t, off_t);
static ssize_t pwrite_at(pwrite_function *next, int file, const void *data, size_t n,
                         off_t at) {
  enum mode mode = tick_file("pwrite", file);
  size_t part = part_of(mode, n, at);
  ssize_t done = part > 0 ? next(file, data, part, at) : 0;
  if (part > 0 && cut(mode)) {
    return done;
  }
  return fails(mode, false) ? -1 : next(file, data, n, at);
}
ssize_t pwrite(int file, const void *data, size_t n, off_t at) {
  NEXT("pwrite", pwrite_function)
  return pwrite_at(next, file, data, n, at);
}
ssize_t pwrite64(int file, const void *data, size_t n, off_t at) {
  NEXT("pwrite64", pwrite_function)
  return pwrite_at(next, file, data, n, at);
}

typedef ssize_t writev_function(int, const struct iovec *, int);
ssize_t writev(int file, const struct iovec *part, int n) {
  NEXT("writev", writev_function)
  enum mode mode = tick_file("writev", file);
  if (mode == HALF || mode == SHORT) {
    ssize_t done = next(file, part, (n + 1) / 2);
    if (cut(mode)) {
      return done;
    }
  }
  return fails(mode, false) ? -1 : next(file, part, n);
}

typedef int fsync_function(int);
int fsync(int file) {
  NEXT("fsync", fsync_function)
  return fails(tick_file("fsync", file), false) ? -1 : next(file);
}
int fdatasync(int file) {
  NEXT("fdatasync", fsync_function)
  return fails(tick_file("fdatasync", file), false) ? -1 : next(file);
}

typedef int ftruncate_function(int, off_t);
int ftruncate(int file, off_t length) {
  NEXT("ftruncate", ftruncate_function)
  return fails(tick_file("ftruncate", file), false) ? -1 : next(file, length);
}
int ftruncate64(int file, off_t length) {
  NEXT("ftruncate64", ftruncate_function)
  return fails(tick_file("ftruncate", file), false) ? -1 : next(file, length);
}

/* ---- names ---- */

typedef int two_function(const char *, const char *);
int rename(const char *from, const char *to) {
  NEXT("rename", two_function)
  return fails(tick("rename", to), false) ? -1 : next(from, to);
}
int link(const char *from, const char *to) {
  NEXT("link", two_function)
  return fails(tick("link", to), false) ? -1 : next(from, to);
}

typedef int one_function(const char *);
int unlink(const char *path) {
  NEXT("unlink", one_function)
  return fails(tick("unlink", path), true) ? -1 : next(path);
}
int rmdir(const char *path) {
  NEXT("rmdir", one_function)
  return fails(tick("rmdir", path), true) ? -1 : next(path);
}
int remove(const char *path) {
  NEXT("remove", one_function)
  return fails(tick("remove", path), true) ? -1 : next(path);
}

typedef int mkdir_function(const char *, mode_t);
int mkdir(const char *path, mode_t mode) {
  NEXT("mkdir", mkdir_function)
  struct stat info;
  if (stat(path, &info) == 0) { // changes nothing
    return next(path, mode);
  }
  return fails(tick("mkdir", path), false) ? -1 : next(path, mode);
}

/* ---- opening for change ---- */

static bool open_fails(const char *path, int flags) {
  return (flags & (O_CREAT | O_TRUNC)) != 0 && fails(tick("open", path), false);
}

static mode_t mode_of(int flags, va_list more) {
  return (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
}

#define OPEN(name)                                                                       \
  int name(const char *path, int flags, ...) {                                           \
    NEXT(#name, open_function)                                                           \
    va_list more;                                                                        \
    va_start(more, flags);                                                               \
    mode_t mode = mode_of(flags, more);                                                  \
    va_end(more);                                                                        \
    return open_fails(path, flags) ? -1 : next(path, flags, mode);                       \
  }
typedef int open_function(const char *, int, ...);
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                     \
  int name(int folder, const char *path, int flags, ...) {                               \
    NEXT(#name, openat_function)                                                         \
    va_list more;                                                                        \
    va_start(more, flags);                                                               \
    mode_t mode = mode_of(flags, more);                                                  \
    va_end(more);                                                                        \
    return open_fails(path, flags) ? -1 : next(folder, path, flags, mode);               \
  }
typedef int openat_function(int, const char *, int, ...);
OPENAT(openat)
OPENAT(openat64)

typedef int creat_function(const char *, mode_t);
int creat(const char *path, mode_t mode) {
  NEXT("creat", creat_function)
  return open_fails(path, O_CREAT) ? -1 : next(path, mode);
}
