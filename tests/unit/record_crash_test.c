/*
 * record_crash_test.c - what is left of a lineage when its writer dies, when somebody
 * reads along, and when the disk lies.
 *
 * The functions that change files are interposed: this program's own come before libc's
 * for HDF5 too.  So a child can be killed at its k-th change, for every k: before it, or,
 * as Linux does, in the middle of a write, where one page of memory ends.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUN "crash_run"
#include "tests/unit/record_lineage.h"

static long kill_at; // before which change; 0: never
static long changes; // so far

static void tick(void) {
  if (kill_at > 0 && ++changes == kill_at) {
    raise(SIGKILL);
  }
}

#define NEXT(type, name, before)                                                         \
  static type next;                                                                      \
  if (next == NULL) {                                                                    \
    *(void **)&next = dlsym(RTLD_NEXT, name);                                            \
  }                                                                                      \
  before;                                                                                \
  tick()

typedef ssize_t pwrite_function(int, const void *, size_t, off_t);
static long torn; // writes that crossed a page
static void tear(pwrite_function *next, int file, const void *data, size_t n, off_t at) {
  size_t head = 4096 - (size_t)(at % 4096);
  torn += kill_at > 0 && head < n;
  if (kill_at > 0 && changes + 1 == kill_at && head < n) {
    next(file, data, head, at);
  }
}
ssize_t pwrite(int file, const void *data, size_t n, off_t at) {
  NEXT(pwrite_function *, "pwrite", tear(next, file, data, n, at));
  return next(file, data, n, at);
}
ssize_t pwrite64(int file, const void *data, size_t n, off_t at) {
  NEXT(pwrite_function *, "pwrite64", tear(next, file, data, n, at));
  return next(file, data, n, at);
}
typedef int ftruncate_function(int, off_t);
int ftruncate(int file, off_t length) {
  NEXT(ftruncate_function *, "ftruncate", (void)0);
  return next(file, length);
}
int ftruncate64(int file, off_t length) {
  NEXT(ftruncate_function *, "ftruncate64", (void)0);
  return next(file, length);
}
typedef int path_function(const char *, const char *);
int rename(const char *from, const char *to) {
  NEXT(path_function *, "rename", (void)0);
  return next(from, to);
}
int link(const char *from, const char *to) {
  NEXT(path_function *, "link", (void)0);
  return next(from, to);
}
typedef int fsync_function(int);
int fsync(int file) {
  NEXT(fsync_function *, "fsync", (void)0);
  return next(file);
}
typedef int unlink_function(const char *);
int unlink(const char *name) {
  NEXT(unlink_function *, "unlink", (void)0);
  return next(name);
}

/* ---- death at every point ---- */

/* What a writer told us before it died. */
enum { ACK_NOTHING = -1 };
static int ack_pipe[2];

static void acknowledge(int64_t generations) {
  if (write(ack_pipe[1], &generations, sizeof generations) != sizeof generations) {
    _exit(9);
  }
}

static int64_t last_acknowledged(void) {
  int64_t said, last = ACK_NOTHING;
  close(ack_pipe[1]);
  while (read(ack_pipe[0], &said, sizeof said) == sizeof said) {
    last = said;
  }
  close(ack_pipe[0]);
  return last;
}

static void append_and_tell(struct pbt_lineage *lineage, int64_t from, int64_t to) {
  for (int64_t g = from; g < to; g++) {
    append_to(lineage, g, g + 1);
    acknowledge(g + 1);
  }
}

/* Returns true if the child came to its end without being killed. */
static bool run_child(void (*work)(void), long at, int64_t *acknowledged) {
  ck_assert_int_eq(pipe(ack_pipe), 0);
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    kill_at = at;
    work();
    _exit(0);
  }
  *acknowledged = last_acknowledged();
  int how;
  ck_assert_int_eq(waitpid(child, &how, 0), child);
  bool killed = WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL;
  ck_assert_msg(killed || (WIFEXITED(how) && WEXITSTATUS(how) == 0), "status %d", how);
  return !killed;
}

static void a_first_launch(void) {
  struct pbt_lineage *lineage = created();
  acknowledge(0);
  append_and_tell(lineage, 0, 3);
  ck_ok(pbt_lineage_sync(lineage));
  append_and_tell(lineage, 3, 4);
  ck_ok(pbt_lineage_close(lineage));
}

/* Resumes 6 generations at 4: until the new file stands, all 6 are there. */
static void a_second_launch(void) {
  struct pbt_lineage *lineage = resumed(4);
  acknowledge(4);
  append_and_tell(lineage, 4, 6);
  ck_ok(pbt_lineage_sync(lineage));
  ck_ok(pbt_lineage_close(lineage));
}

/* Every change would be thorough and slow; all of the start and then every fifth. */
static long next_point(long k) {
  return k < 40 ? k + 1 : k + 5;
}

static void check_after_death(long k, int64_t acknowledged, int64_t at_least) {
  int64_t n = count_file();
  if (acknowledged == ACK_NOTHING && at_least == 0 && n < 0) {
    ck_assert_msg(strstr(pbt_error(), "No such file") != NULL, "point %ld: %s", k,
                  pbt_error());
    pbt_error_clear();
    return;
  }
  int64_t want = acknowledged == ACK_NOTHING ? at_least : acknowledged;
  ck_assert_msg(n >= want, "point %ld: %d generations of %d: %s", k, (int)n, (int)want,
                pbt_error());
  ck_assert_msg(wrong_generations(n) == 0, "point %ld: %s", k, pbt_error());
}

START_TEST(death_at_any_write_loses_no_committed_generation) {
  long points = 0;
  bool finished = false;
  for (long k = 1; !finished; k = next_point(k)) {
    int64_t acknowledged;
    fresh_folder();
    finished = run_child(a_first_launch, k, &acknowledged);
    check_after_death(k, acknowledged, 0);
    points++;
  }
  printf("first launch: killed at %ld points\n", points - 1);
  ck_assert_int_gt(points, 60);
  check_file(4, 1);
}
END_TEST

START_TEST(death_while_resuming_loses_no_kept_generation) {
  long points = 0;
  bool finished = false;
  int64_t acknowledged;
  for (long k = 1; !finished; k = next_point(k)) {
    fresh_folder();
    struct pbt_lineage *lineage = created();
    append_to(lineage, 0, 6);
    ck_ok(pbt_lineage_close(lineage));
    finished = run_child(a_second_launch, k, &acknowledged);
    check_after_death(k, acknowledged, 4);
    if (!finished && k % 5 == 0) { // and the third launch gets on
      ck_ok(pbt_lineage_close(resumed(4)));
      ck_assert_int_eq(count_file(), 4);
    }
    points++;
  }
  printf("second launch: killed at %ld points\n", points - 1);
  ck_assert_int_gt(points, 60);
  check_file(6, 2);
}
END_TEST

/* A run beyond the 8,176 generations whose index HDF5 keeps in blocks of a page: dies at
 * every change of one generation.  Forks of the writer share its file, so each finds it
 * as it was, and what it left is read from a copy. */
enum { MANY = 8200 };
static struct pbt_lineage *long_one;

static void one_more_generation(void) {
  append_and_tell(long_one, MANY, MANY + 1);
  if (torn > 0) {
    _exit(8);
  }
}

static bool right_of_many(const char *copy, int64_t n) {
  struct pbt_lineage_reader *reader;
  struct pbt_lineage_shape shape;
  bool fine =
      pbt_lineage_open(copy, &reader, &shape) == PBT_OK && shape.n_generation >= n;
  for (int64_t g = 0; fine && g < n; g += g < 7600 ? 97 : 1) {
    fine = right(reader, g);
  }
  pbt_lineage_reader_close(reader);
  return fine;
}

START_TEST(death_after_many_generations_loses_none) {
  static const char copy[] = RUN "/copy.h5";
  fresh_folder();
  planned = MANY + 1;
  long_one = created();
  append_to(long_one, 0, MANY);
  char *before, *after;
  size_t n_before, n_after;
  ck_ok(pbt_file_read(path, 1 << 28, &before, &n_before));
  int file = open(path, O_RDWR);
  bool finished = false;
  long points = 0;
  for (long k = 1; !finished; k++, points++) {
    int64_t acknowledged;
    finished = run_child(one_more_generation, k, &acknowledged);
    ck_ok(pbt_file_read(path, 1 << 28, &after, &n_after));
    ck_ok(pbt_file_replace(copy, after, n_after));
    pbt_mem_free(after);
    int64_t want = acknowledged == ACK_NOTHING ? MANY : acknowledged;
    ck_assert_msg(right_of_many(copy, want), "point %ld: %s", k, pbt_error());
    ck_assert_int_eq(ftruncate(file, (off_t)n_before), 0);
    ck_assert_int_eq(pwrite(file, before, n_before, 0), (ssize_t)n_before);
  }
  printf("after %d generations: killed at %ld points\n", MANY, points - 1);
  ck_assert_int_gt(points, 60);
  close(file);
  pbt_mem_free(before);
  ck_ok(pbt_lineage_close(long_one));
}
END_TEST

static int64_t to_keep;

static void write_for_ever(void) {
  struct pbt_lineage *lineage = pbt_file_exists(path) ? resumed(to_keep) : created();
  append_and_tell(lineage, to_keep, INT32_MAX);
}

/* The kill comes from outside, at any time, and the run goes on from what it had. */
START_TEST(thirty_kills_in_a_row_lose_nothing) {
  fresh_folder();
  struct pbt_rng rng = pbt_rng_open(5, 0, PBT_RNG_TEST, 0);
  for (int round = 0; round < 30; round++) {
    ck_assert_int_eq(pipe(ack_pipe), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
      write_for_ever();
    }
    int64_t acknowledged = 0, later;
    if (round % 2 == 0) { // at any time after its first generation
      ck_assert_int_eq(read(ack_pipe[0], &acknowledged, sizeof acknowledged),
                       sizeof acknowledged);
    }
    usleep(1000 + pbt_rng_below(&rng, 60000));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    later = last_acknowledged();
    acknowledged = later > acknowledged ? later : acknowledged;
    to_keep = acknowledged > to_keep ? acknowledged : to_keep;
    check_after_death(round, to_keep > 0 ? to_keep : ACK_NOTHING, 0);
  }
  printf("30 kills: %d generations\n", (int)to_keep);
  ck_assert_int_ge(to_keep, 15);
}
END_TEST

/* ---- somebody reads along ---- */

static const char follow[] =
    "import h5py, random, sys\n"
    "f = h5py.File('" RUN "/lineage.h5', 'r', swmr=True)\n"
    "names = []\n"
    "f.visititems(lambda name, it: names.append(name)\n"
    "             if isinstance(it, h5py.Dataset) and it.ndim == 2 else None)\n"
    "assert len(names) == 27, names\n"
    "committed = f['committed']\n"
    "reads = seen = first = 0\n"
    "while reads < 10000:\n"
    "    committed.refresh()\n"
    "    n = committed.shape[0]\n"
    "    if n == 0: continue\n"
    "    first = first or n\n"
    "    seen = n\n"
    "    g = random.choice([n - 1, random.randrange(n)])\n"
    "    assert committed[g]['generation'] == g\n"
    "    for name in ['steps'] + random.sample(names, 3):\n"
    "        d = f[name]\n"
    "        d.refresh()\n"
    "        row = d[g]\n"
    "        reads += 1\n"
    "        if name == 'steps':\n"
    "            assert (row == [2**40 + 1000 * g + m for m in range(5)]).all()\n"
    "print('h5py: 10000 reads, generations', first, 'to', seen)\n"
    "assert seen > first + 20, (first, seen)\n";

START_TEST(h5py_follows_a_live_file_10000_times) {
  if (!have_h5py()) {
    printf("SKIP h5py_follows_a_live_file_10000_times: /usr/bin/python3 has no h5py\n");
    return;
  }
  fresh_folder();
  ck_assert_int_eq(pipe(ack_pipe), 0);
  pid_t child = fork();
  if (child == 0) {
    struct pbt_lineage *lineage = created();
    acknowledge(0);
    for (int64_t g = 0;; g++) {
      append_to(lineage, g, g + 1);
      usleep(1000);
    }
  }
  int64_t ready;
  ck_assert_int_eq(read(ack_pipe[0], &ready, sizeof ready), sizeof ready);
  ck_ok(pbt_file_replace("crash_follow.py", follow, sizeof follow - 1));
  int failed = system("/usr/bin/python3 crash_follow.py");
  int64_t n = count_file(); // our reader, on the same live file
  int64_t wrong = wrong_generations(n);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  ck_assert_int_eq(failed, 0);
  ck_assert_int_gt(n, 20);
  ck_assert_int_eq(wrong, 0);
  ck_ok(pbt_file_remove("crash_follow.py"));
}
END_TEST

/* While each generation is a chunk of its own, and in a run so long that seven share one.
 */
static void follow_with_our_reader(int64_t generations) {
  fresh_folder();
  planned = generations;
  ck_assert_int_eq(pipe(ack_pipe), 0);
  pid_t child = fork();
  if (child == 0) {
    struct pbt_lineage *lineage = created();
    append_and_tell(lineage, 0, INT32_MAX);
  }
  int64_t said = 0, n = 0, before = 0;
  ck_assert_int_eq(read(ack_pipe[0], &said, sizeof said), sizeof said);
  struct pbt_lineage_reader *reader;
  struct pbt_lineage_shape shape;
  ck_ok(pbt_lineage_open(path, &reader, &shape));
  int wrong = 0;
  for (int i = 0; i < 300; i++) {
    ck_ok(pbt_lineage_count(reader, &n));
    ck_assert_int_ge(n, before);
    before = n;
    wrong += n > 0 && !(right(reader, n - 1) && right(reader, n / 2));
  }
  pbt_lineage_reader_close(reader);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  ck_assert_int_gt(n, shape.n_generation + 10);
  ck_assert_int_eq(wrong, 0);
}

START_TEST(our_reader_follows_a_live_file) {
  follow_with_our_reader(0);
  follow_with_our_reader(50000);
}
END_TEST

/* ---- the disk lies ---- */

enum { GENERATIONS = 12, AT_ONCE = 48 };
enum verdict { ALL_RIGHT, REFUSED, WRONG };

/* Everything a reader can get from a file is right, or it is refused in one line. */
static enum verdict judge(const char *file) {
  struct pbt_lineage_reader *reader;
  struct pbt_lineage_shape shape;
  struct pbt_lineage_start *start;
  int64_t n_start = 0;
  pbt_status status = pbt_lineage_open(file, &reader, &shape);
  enum verdict verdict = ALL_RIGHT;
  if (status != PBT_OK) {
    verdict = REFUSED;
  } else {
    for (int i = 0; i < HPARAMS; i++) {
      verdict =
          memcmp(&shape.hparam[i], &hparam[i], sizeof *hparam) == 0 ? verdict : WRONG;
    }
    struct pbt_lineage_row row[MEMBERS];
    struct pbt_lineage_commit commit;
    for (int64_t g = 0; g < shape.n_generation && verdict != WRONG; g++) {
      status = pbt_lineage_read(reader, g, row, &commit);
      verdict = status != PBT_OK ? REFUSED : right(reader, g) ? verdict : WRONG;
      if (status != PBT_OK) {
        break;
      }
    }
    if (status == PBT_OK) {
      status = pbt_lineage_read_starts(reader, &start, &n_start);
      verdict = status != PBT_OK ? REFUSED : verdict;
      pbt_mem_free(start);
    }
    pbt_lineage_reader_close(reader);
  }
  if (verdict == ALL_RIGHT && shape.n_generation != GENERATIONS) {
    return WRONG; // fewer than there are, and not a word
  }
  bool one_line = status == PBT_ERR_DATA && pbt_error()[0] != '\0' &&
                  strchr(pbt_error(), '\n') == NULL;
  return verdict != REFUSED || one_line ? verdict : WRONG;
}

static char *whole;
static size_t whole_bytes;

/* Case i: a file cut somewhere, or with one bit wrong somewhere. */
static void damage(int i, char *copy, size_t *n) {
  struct pbt_rng rng = pbt_rng_open(9, (uint32_t)i, PBT_RNG_TEST, 0);
  memcpy(copy, whole, whole_bytes);
  *n = whole_bytes;
  if (i % 3 == 0) {
    *n = pbt_rng_below(&rng, (uint32_t)whole_bytes);
  } else {
    copy[pbt_rng_below(&rng, (uint32_t)whole_bytes)] ^=
        (char)(1 << pbt_rng_below(&rng, 8));
  }
}

static pid_t start_case(int i) {
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    char name[64], *copy = malloc(whole_bytes);
    size_t n;
    alarm(60);
    damage(i, copy, &n);
    snprintf(name, sizeof name, RUN "/case-%d.h5", i % AT_ONCE);
    int file = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (write(file, copy, n) != (ssize_t)n || close(file) != 0) {
      _exit(9);
    }
    _exit((int)judge(name));
  }
  return child;
}

/* `live`: as a killed writer leaves it, not closed. */
static void make_victim(bool live) {
  fresh_folder();
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    struct pbt_lineage *lineage = created();
    append_to(lineage, 0, GENERATIONS);
    if (!live) {
      ck_ok(pbt_lineage_close(lineage));
    }
    raise(SIGKILL);
  }
  waitpid(child, NULL, 0);
  ck_ok(pbt_file_read(path, 1 << 24, &whole, &whole_bytes));
}

static void run_cases(bool live, int n) {
  make_victim(live);
  int count[3] = {0};
  for (int i = 0; i < n; i += AT_ONCE) {
    pid_t child[AT_ONCE];
    for (int k = 0; k < AT_ONCE; k++) {
      child[k] = start_case(i + k);
    }
    for (int k = 0; k < AT_ONCE; k++) {
      int how;
      waitpid(child[k], &how, 0);
      ck_assert_msg(WIFEXITED(how) && WEXITSTATUS(how) < WRONG, "case %d: %s %d", i + k,
                    WIFSIGNALED(how) ? "signal" : "verdict",
                    WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
      count[WEXITSTATUS(how)]++;
    }
  }
  printf("%s file of %zu bytes, %d cases: %d refused, %d harmless\n",
         live ? "killed" : "closed", whole_bytes, n, count[REFUSED], count[ALL_RIGHT]);
  ck_assert_int_gt(count[REFUSED], n / 2);
  pbt_mem_free(whole);
}

START_TEST(damage_is_refused_or_harmless_never_wrong) {
  run_cases(false, 336);
  run_cases(true, 144);
}
END_TEST

PBT_TEST_MAIN("record_crash", death_at_any_write_loses_no_committed_generation,
              death_while_resuming_loses_no_kept_generation,
              death_after_many_generations_loses_none, thirty_kills_in_a_row_lose_nothing,
              h5py_follows_a_live_file_10000_times, our_reader_follows_a_live_file,
              damage_is_refused_or_harmless_never_wrong)
