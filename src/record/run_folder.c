/*
 * run_folder.c - one writer a run, and the log that can be read anywhere.
 *
 * flock is not reliable on NFS and Lustre, so the lock is a file whose name can be taken
 * once: it is written under another name and linked to RUN/lock, which either fails or
 * shows the whole text (where there are no links: O_EXCL).  It says who holds it, so that
 * a later start can judge whether the holder still lives: on this host by pid and the
 * process' start time, across a reboot by the boot's id, in SLURM by the job's id (a
 * requeued job is its own earlier start).  What cannot be judged is left to the user.
 *
 * Of several that find a dead lock at once only one may have it.  Who wants to replace a
 * lock first takes a second one, whose name is the digest of the dead lock's text, looks
 * again whether the first is still that one, and replaces it in one rename; so nobody can
 * replace a lock that he has not judged.  The second lock follows the same rules, should
 * its holder die in between.
 */
#include "record/run_folder.h"

#include "base/clock.h"  // pbt_time_text
#include "base/digest.h" // pbt_digest
#include "base/log.h"    // pbt_warn
#include "base/memory.h" // pbt_mem_alloc
#include "base/text.h"   // pbt_text_add

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_LIMIT = 4096, WORD = 128 };

/* What a lock says; "-" where something is unknown. */
struct holder {
  char host[WORD], boot[WORD], space[WORD]; // host name, boot id, pid namespace
  char job[WORD];                           // SLURM job id
  char time[WORD];
  long long pid;
  long long start; // of the process, clock ticks since boot
};

/* ---- who we are, who they are ---- */

/* The first word of a small file. */
static void read_word(const char *path, char word[WORD]) {
  FILE *file = fopen(path, "re");
  if (file == NULL || fscanf(file, "%127s", word) != 1) {
    snprintf(word, WORD, "-");
  }
  if (file != NULL) {
    fclose(file);
  }
}

enum { ENDED = -2 };

/* Field 22 of /proc/PID/stat, counted after the name, which may hold anything; -1 if it
 * cannot be read, ENDED for a process that only waits to be collected. */
static long long start_of(long long pid) {
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/%lld/stat", pid);
  FILE *file = fopen(path, "re");
  if (file == NULL) {
    return -1;
  }
  size_t n = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[n] = '\0';
  char *at = strrchr(text, ')');
  if (at != NULL && (strncmp(at, ") Z", 3) == 0 || strncmp(at, ") X", 3) == 0)) {
    return ENDED;
  }
  for (int field = 2; at != NULL && field < 22; field++) {
    at = strchr(at + 1, ' ');
  }
  return at == NULL ? -1 : strtoll(at, NULL, 10);
}

/* A word of a line: no spaces, never empty. */
static void as_word(char word[WORD], const char *text) {
  snprintf(word, WORD, "%s", text == NULL || text[0] == '\0' ? "-" : text);
  for (char *c = word; *c != '\0'; c++) {
    *c = *c > ' ' ? *c : '_';
  }
}

static struct holder ourselves(void) {
  struct holder us = {.pid = getpid(), .start = start_of(getpid())};
  char text[WORD] = "";
  gethostname(text, sizeof text - 1);
  as_word(us.host, text);
  read_word("/proc/sys/kernel/random/boot_id", us.boot);
  ssize_t n = readlink("/proc/self/ns/pid", text, sizeof text - 1);
  text[n > 0 ? n : 0] = '\0';
  as_word(us.space, text);
  as_word(us.job, getenv("SLURM_JOB_ID"));
  pbt_time_text(us.time, sizeof us.time);
  return us;
}

static void holder_text(const struct holder *holder, char text[LOCK_LIMIT]) {
  snprintf(text, LOCK_LIMIT,
           "pbt_mpi lock 1\nhost %s\npid %lld\nstart %lld\nboot %s\nspace %s\njob %s\n"
           "time %s\n",
           holder->host, holder->pid, holder->start, holder->boot, holder->space,
           holder->job, holder->time);
}

static bool parse_holder(const char *text, struct holder *holder) {
  *holder = (struct holder){0};
  return sscanf(text,
                "pbt_mpi lock 1 host %127s pid %lld start %lld boot %127s space %127s "
                "job %127s time %127s",
                holder->host, &holder->pid, &holder->start, holder->boot, holder->space,
                holder->job, holder->time) == 7;
}

static bool same_process(const struct holder *a, const struct holder *b) {
  return a->pid == b->pid && a->start == b->start && strcmp(a->host, b->host) == 0 &&
         strcmp(a->boot, b->boot) == 0 && strcmp(a->space, b->space) == 0;
}

enum life { ALIVE, DEAD, UNKNOWN };

static enum life life_of(const struct holder *holder, const struct holder *us) {
  if (strcmp(holder->host, us->host) != 0) {
    return UNKNOWN;
  }
  if (strcmp(holder->boot, us->boot) != 0) {
    return DEAD; // this host has been started again since
  }
  if (strcmp(holder->space, us->space) != 0) {
    return UNKNOWN; // a container whose processes we cannot see
  }
  if (kill((pid_t)holder->pid, 0) != 0 && errno == ESRCH) {
    return DEAD;
  }
  long long start = start_of(holder->pid);
  bool used_again = start >= 0 && start != holder->start;
  return start == ENDED || used_again ? DEAD : ALIVE;
}

static bool may_take_over(const struct holder *holder, const struct holder *us) {
  enum life life = life_of(holder, us);
  bool same_job = strcmp(us->job, "-") != 0 && strcmp(us->job, holder->job) == 0;
  return life == DEAD || (life == UNKNOWN && same_job);
}

/* ---- the lock ---- */

static pbt_status lock_path(const char *run, char path[PBT_PATH_BYTES]) {
  return pbt_path_join(path, run, "lock");
}

/* Makes the lock, whole at once; *taken false: somebody has it. */
static pbt_status take(const char *lock, const struct holder *us, const char *text,
                       bool *taken) {
  char mine[PBT_PATH_BYTES];
  if (snprintf(mine, sizeof mine, "%s.%s.%lld", lock, us->host, us->pid) >=
      PBT_PATH_BYTES) {
    return pbt_fail(PBT_ERR_DATA, "path too long: %s", lock);
  }
  PBT_TRY(pbt_file_replace(mine, text, strlen(text)));
  *taken = link(mine, lock) == 0;
  int reason = *taken ? 0 : errno;
  unlink(mine);
  if (*taken || reason == EEXIST) {
    return PBT_OK;
  }
  int file = open(lock, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file < 0) {
    return errno == EEXIST ? PBT_OK
                           : pbt_fail_errno(PBT_ERR_IO, "cannot create %s", lock);
  }
  *taken = true;
  size_t n = strlen(text);
  bool fine = write(file, text, n) == (ssize_t)n && fsync(file) == 0;
  fine = close(file) == 0 && fine;
  return fine ? PBT_OK : pbt_fail_errno(PBT_ERR_IO, "cannot write %s", lock);
}

/* The lock's text; "" if there is none (any more). */
static pbt_status read_lock(const char *path, char text[LOCK_LIMIT]) {
  text[0] = '\0';
  if (!pbt_file_exists(path)) {
    return PBT_OK;
  }
  char *data;
  size_t bytes;
  pbt_status status = pbt_file_read(path, LOCK_LIMIT - 1, &data, &bytes);
  if (status == PBT_ERR_MISSING) { // gone since
    pbt_error_clear();
    return PBT_OK;
  }
  PBT_TRY(status);
  snprintf(text, LOCK_LIMIT, "%s", data);
  pbt_mem_free(data);
  return PBT_OK;
}

static void age_text(const char *path, char *text, size_t bytes) {
  struct stat info;
  long long s = stat(path, &info) == 0 ? (long long)(time(NULL) - info.st_mtime) : 0;
  s = s > 0 ? s : 0;
  if (s < 120) {
    snprintf(text, bytes, "%lld s", s);
  } else if (s < 7200) {
    snprintf(text, bytes, "%lld min", s / 60);
  } else {
    snprintf(text, bytes, "%lld h", s / 3600);
  }
}

static pbt_status refuse(const char *run, const char *lock, const struct holder *holder) {
  char age[32], job[WORD + 16] = "";
  age_text(lock, age, sizeof age);
  if (holder == NULL) {
    return pbt_fail(PBT_ERR_UNAVAILABLE,
                    "%s is in use: %s is %s old and does not say by whom; if nothing "
                    "runs there, use --take-over",
                    run, lock, age);
  }
  if (strcmp(holder->job, "-") != 0) {
    snprintf(job, sizeof job, ", SLURM job %s", holder->job);
  }
  return pbt_fail(PBT_ERR_UNAVAILABLE,
                  "%s is in use by process %lld on %s%s since %s (%s); wait for it or "
                  "choose another --output; if it is dead, use --take-over",
                  run, holder->pid, holder->host, job, holder->time, age);
}

static pbt_status acquire(const char *run, const char *lock, const struct holder *us,
                          bool force, int depth);

/* Puts our lock in the place of the one that says `dead`; *taken false if that has
 * changed hands since. */
static pbt_status replace(const char *run, const char *lock, const struct holder *us,
                          const char *dead, int depth, bool *taken) {
  char claim[PBT_PATH_BYTES], name[64], now[LOCK_LIMIT], text[LOCK_LIMIT];
  snprintf(name, sizeof name, "lock.%016" PRIx64, pbt_digest(dead, strlen(dead)));
  PBT_TRY(pbt_path_join(claim, run, name));
  PBT_TRY(acquire(run, claim, us, false, depth + 1));
  pbt_status status = read_lock(lock, now);
  if (status == PBT_OK && pbt_file_exists(lock) && strcmp(now, dead) == 0) {
    holder_text(us, text);
    status = pbt_file_replace(lock, text, strlen(text));
    *taken = status == PBT_OK;
  }
  unlink(claim);
  return status;
}

/* One try: reads the lock, judges its holder, takes the lock or replaces it.  *leaves:
 * its holder lives and may be about to go. */
static pbt_status try_once(const char *run, const char *lock, const struct holder *us,
                           bool force, int depth, bool *taken, bool *leaves) {
  char text[LOCK_LIMIT];
  struct holder holder;
  PBT_TRY(read_lock(lock, text));
  if (text[0] == '\0' && !pbt_file_exists(lock)) {
    holder_text(us, text);
    return take(lock, us, text, taken);
  }
  bool known = parse_holder(text, &holder);
  if (force || (known && may_take_over(&holder, us))) {
    PBT_TRY(replace(run, lock, us, text, depth, taken));
    if (*taken && known && depth == 0) {
      pbt_warn("took over %s from process %lld on %s, since %s", run, holder.pid,
               holder.host, holder.time);
    }
    return PBT_OK;
  }
  *leaves = known && life_of(&holder, us) == ALIVE && !same_process(&holder, us);
  return *leaves ? PBT_OK : refuse(run, lock, known ? &holder : NULL);
}

/* `depth` 0: the run's lock; above: the right to replace a dead one.  A launcher returns
 * a moment before the last of its processes is gone, and whoever starts the job again at
 * once must not be refused for that: a second's patience. */
static pbt_status acquire(const char *run, const char *lock, const struct holder *us,
                          bool force, int depth) {
  enum { TRIES = 20, NAP_US = 50000, DEPTH = 4 };
  for (int i = 0; i < TRIES && depth < DEPTH; i++) {
    bool taken = false, leaves = false;
    PBT_TRY(try_once(run, lock, us, force, depth, &taken, &leaves));
    if (taken) {
      return PBT_OK;
    }
    if (leaves) {
      usleep(NAP_US);
    }
  }
  struct holder holder;
  char text[LOCK_LIMIT];
  PBT_TRY(read_lock(lock, text));
  return refuse(run, lock, parse_holder(text, &holder) ? &holder : NULL);
}

/* May the holder of the lock remove this file?  lock[.DIGEST].HOST.PID, also with ".tmp",
 * of a process of this host that died while it took a lock; and lock.DIGEST, the right to
 * replace a lock that is no longer there. */
static bool is_litter(const char *name, const struct holder *us) {
  enum { DIGITS = 16 };
  if (strncmp(name, "lock.", 5) != 0) {
    return false;
  }
  name += 5;
  if (strspn(name, "0123456789abcdef") == DIGITS && name[DIGITS] == '\0') {
    return true;
  }
  if (strspn(name, "0123456789abcdef") == DIGITS && name[DIGITS] == '.') {
    name += DIGITS + 1;
  }
  size_t n = strlen(us->host);
  if (strncmp(name, us->host, n) != 0 || name[n] != '.') {
    return false;
  }
  long long pid = strtoll(name + n + 1, NULL, 10);
  return pid > 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

/* Best effort, by who holds the lock. */
static void sweep(const char *run, const struct holder *us) {
  char path[PBT_PATH_BYTES];
  DIR *folder = opendir(run);
  if (folder == NULL) {
    return;
  }
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    if (is_litter(entry->d_name, us) &&
        snprintf(path, sizeof path, "%s/%s", run, entry->d_name) < PBT_PATH_BYTES) {
      unlink(path);
    }
  }
  closedir(folder);
}

pbt_status pbt_run_lock(const char *run, bool take_over) {
  char lock[PBT_PATH_BYTES];
  PBT_TRY(pbt_file_make_folders(run));
  PBT_TRY(lock_path(run, lock));
  struct holder us = ourselves();
  PBT_TRY(acquire(run, lock, &us, take_over, 0));
  sweep(run, &us);
  return PBT_OK;
}

static bool is_ours(const char *run) {
  char lock[PBT_PATH_BYTES], text[LOCK_LIMIT];
  struct holder holder, us = ourselves();
  bool ours = lock_path(run, lock) == PBT_OK && read_lock(lock, text) == PBT_OK &&
              parse_holder(text, &holder) && same_process(&holder, &us);
  return ours;
}

void pbt_run_unlock(const char *run) {
  char lock[PBT_PATH_BYTES];
  if (is_ours(run) && lock_path(run, lock) == PBT_OK) {
    unlink(lock);
  }
}

enum pbt_run_holder pbt_run_held_by(const char *run, char host[PBT_RUN_HOST]) {
  char path[PBT_PATH_BYTES], text[LOCK_LIMIT] = "";
  struct holder holder, us = ourselves();
  host[0] = '\0';
  if (lock_path(run, path) != PBT_OK || read_lock(path, text) != PBT_OK) {
    pbt_error_clear();
  }
  if (text[0] == '\0') {
    return PBT_RUN_FREE;
  }
  if (!parse_holder(text, &holder)) {
    return PBT_RUN_AFAR;
  }
  snprintf(host, PBT_RUN_HOST, "%s", holder.host);
  enum life life = life_of(&holder, &us);
  return life == ALIVE ? PBT_RUN_HELD : life == DEAD ? PBT_RUN_DEAD : PBT_RUN_AFAR;
}

/* ---- putting an old run aside ---- */

pbt_status pbt_run_set_aside(const char *run, char moved[PBT_PATH_BYTES]) {
  char from[PBT_PATH_BYTES];
  moved[0] = '\0';
  int length = snprintf(from, sizeof from, "%s", run);
  if (length >= (int)sizeof from) {
    return pbt_fail(PBT_ERR_DATA, "path too long: %s", run);
  }
  while (length > 1 && from[length - 1] == '/') {
    from[--length] = '\0';
  }
  if (!pbt_file_is_folder(from)) {
    return PBT_OK;
  }
  bool held = is_ours(from);
  if (!held) { // a living writer must not lose its folder
    PBT_TRY(pbt_run_lock(from, false));
  }
  for (int i = 1; i < 1000000; i++) {
    if (snprintf(moved, PBT_PATH_BYTES, "%s.%d", from, i) >= PBT_PATH_BYTES) {
      break;
    }
    if (!pbt_file_exists(moved)) {
      pbt_status status = pbt_file_rename(from, moved);
      pbt_run_unlock(status == PBT_OK ? moved : from);
      return status;
    }
  }
  pbt_run_unlock(from);
  return pbt_fail(PBT_ERR_IO, "no free name beside %s to move it to", from);
}

/* ---- progress.jsonl ---- */

struct pbt_progress {
  int file;
  char path[PBT_PATH_BYTES];
};

/* The number after "generation": in a line of n bytes, or -1. */
static int64_t generation_of(const char *line, size_t n) {
  static const char key[] = "\"generation\":";
  const char *at = memmem(line, n, key, sizeof key - 1);
  if (at == NULL) {
    return -1;
  }
  at += sizeof key - 1;
  char *end;
  long long generation = strtoll(at, &end, 10); // the text ends in a newline, then NUL
  return end == at ? -1 : generation;
}

/* What to keep: whole lines of generations below `keep`, each later than the one before.
 * A line that was cut short by a crash has no newline and goes. */
static void keep_lines(const char *data, int64_t keep, struct pbt_text *kept) {
  int64_t last = -1;
  for (const char *at = data, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
    int64_t generation = generation_of(at, (size_t)(end - at));
    if (generation > last && generation < keep) {
      pbt_text_add_bytes(kept, at, (size_t)(end - at) + 1);
      last = generation;
    }
  }
}

static pbt_status cut(const char *path, int64_t keep) {
  if (!pbt_file_exists(path)) {
    return PBT_OK;
  }
  char *data;
  size_t bytes;
  PBT_TRY(pbt_file_read(path, (size_t)1 << 34, &data, &bytes));
  struct pbt_text kept = {0};
  keep_lines(data, keep, &kept);
  pbt_mem_free(data);
  pbt_status status = kept.status;
  if (status == PBT_OK && kept.length != bytes) {
    status = pbt_file_replace(path, kept.data, kept.length);
  }
  pbt_text_free(&kept);
  return status;
}

pbt_status pbt_progress_open(const char *run, int64_t keep,
                             struct pbt_progress **progress) {
  *progress = NULL;
  struct pbt_progress *it;
  PBT_TRY(PBT_NEW(1, &it));
  it->file = -1;
  pbt_status status = pbt_path_join(it->path, run, "progress.jsonl");
  if (status == PBT_OK) {
    status = cut(it->path, keep);
  }
  if (status == PBT_OK) {
    it->file = open(it->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (it->file < 0) {
      status = pbt_fail_errno(PBT_ERR_IO, "cannot open %s", it->path);
    }
  }
  if (status != PBT_OK) {
    pbt_progress_close(it);
    return status;
  }
  *progress = it;
  return PBT_OK;
}

/* One write, so that a reader never sees half a line but at a full disk. */
pbt_status pbt_progress_append(struct pbt_progress *progress, const char *line) {
  struct pbt_text text = {0};
  pbt_text_add(&text, "%s\n", line);
  PBT_TRY(text.status);
  ssize_t n;
  do {
    n = write(progress->file, text.data, text.length);
  } while (n < 0 && errno == EINTR);
  if (n >= 0 && (size_t)n < text.length) {
    errno = ENOSPC;
  }
  pbt_status status = n == (ssize_t)text.length
                          ? PBT_OK
                          : pbt_fail_errno(PBT_ERR_IO, "cannot write %s", progress->path);
  pbt_text_free(&text);
  return status;
}

void pbt_progress_close(struct pbt_progress *progress) {
  if (progress != NULL) {
    if (progress->file >= 0) {
      close(progress->file);
    }
    pbt_mem_free(progress);
  }
}
