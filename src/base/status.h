/*
 * status.h - one status type from the lowest call up to main, and the one message that
 * goes with it.
 *
 * A status is its process exit code (sysexits).  Whoever finds a failure records it once,
 * at the origin, with pbt_fail(); callers may add context in front; main.c prints it. All
 * calls are local and thread-safe: the message belongs to the calling thread.
 */
#ifndef PBT_BASE_STATUS_H
#define PBT_BASE_STATUS_H

#include <stddef.h>

#define PBT_STATUS_LIST(X)                                                               \
  X(PBT_OK, 0, "done")                                                                   \
  X(PBT_ERR_USAGE, 64, "wrong command line")                                             \
  X(PBT_ERR_DATA, 65, "bad job file or data")                                            \
  X(PBT_ERR_MISSING, 66, "input missing")                                                \
  X(PBT_ERR_UNAVAILABLE, 69, "device, MPI or memory unavailable")                        \
  X(PBT_ERR_INTERNAL, 70, "broken invariant: please report")                             \
  X(PBT_ERR_IO, 74, "input or output failed")                                            \
  X(PBT_STOPPED, 75, "stopped early, can be resumed")

typedef enum {
#define PBT_STATUS_ENUM(name, code, text) name = code,
  PBT_STATUS_LIST(PBT_STATUS_ENUM)
#undef PBT_STATUS_ENUM
} pbt_status;

/* "bad job file or data"; static storage. */
const char *pbt_status_text(pbt_status status);

/* Records the message (unless one is recorded already: the first error wins) and returns
 * `status`.  The text is one line, without "pbt_mpi:" and without a full stop. */
pbt_status pbt_fail(pbt_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* As pbt_fail, with ": <strerror(errno)>" added; errno is read first. */
pbt_status pbt_fail_errno(pbt_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts "text: " in front of the recorded message; returns `status` for chaining. */
pbt_status pbt_context(pbt_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The recorded message, "" if none.  Valid until the next call on this thread. */
const char *pbt_error(void);
void pbt_error_clear(void);
/* Replaces whatever is recorded (a message that came from another thread or rank). */
void pbt_error_set(const char *text);

enum { PBT_ERROR_BYTES = 1024 };

/* A broken invariant, with its place. */
#define PBT_BUG(what)                                                                    \
  pbt_fail(PBT_ERR_INTERNAL, "%s [%s:%d %s]; please report this", (what), __FILE__,      \
           __LINE__, __func__)

#define PBT_TRY(call)                                                                    \
  do {                                                                                   \
    pbt_status status_of_call_ = (call);                                                 \
    if (status_of_call_ != PBT_OK) {                                                     \
      return status_of_call_;                                                            \
    }                                                                                    \
  } while (0)

#define PBT_TRY_TO(label, status, call)                                                  \
  do {                                                                                   \
    (status) = (call);                                                                   \
    if ((status) != PBT_OK) {                                                            \
      goto label;                                                                        \
    }                                                                                    \
  } while (0)

#endif
