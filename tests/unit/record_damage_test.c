/*
 * record_damage_test.c - a thousand whole run folders, each with one thing wrong.
 *
 * A folder as a run leaves it: two checkpoint sets of real files, the best model, a
 * lineage.  One file is cut, has a bit flipped, is gone, has changed places with another,
 * or is an older one of its name.  Then everything that a launch would read is read.  A
 * value may come from the newest set, or from the one before with a line that says why,
 * or not at all with one line; a wrong value never.
 *
 * Each case is a process of its own, so that a crash or a wait without end is seen too.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUN "run"
#include "tests/unit/record_lineage.h"

#include "record/checkpoint_set.h"
#include "record/tensor_file.h"

/* ---- a run, every number of which follows from its set ---- */

enum { SETS = 3, PER_SET = 4, FILES = MEMBERS + 3, WEIGHTS = 600 };

static struct pbt_tensor tensor[] = {
    {"dense/weight", PBT_ROLE_WEIGHT, PBT_F32, 2, {20, WEIGHTS / 20}, 0},
    {"steps", PBT_ROLE_LOCAL, PBT_I64, 0, {0}, 0},
};

static struct pbt_state state;

static void image_of(int64_t set, int64_t id, char *image) {
  int64_t steps = 100 * set + id;
  memset(image, 0, state.bytes);
  for (int i = 0; i < WEIGHTS; i++) {
    float weight = (float)(1000 * set + id) + (float)i / 1024;
    memcpy(image + tensor[0].offset + (size_t)i * sizeof weight, &weight, sizeof weight);
  }
  memcpy(image + tensor[1].offset, &steps, sizeof steps);
}

/* The population's is member MEMBERS, the best model member MEMBERS + 1. */
static void build(int64_t set, int64_t id, char **bytes, size_t *n) {
  char image[4096];
  ck_assert_uint_le(state.bytes, sizeof image);
  image_of(set, id, image);
  const struct pbt_fact fact[] = {
      {.name = "member", .kind = PBT_FACT_INTEGER, .integer = id},
      {.name = "generation", .kind = PBT_FACT_INTEGER, .integer = PER_SET * set},
      {.name = "fitness", .kind = PBT_FACT_REAL, .real = 0.125 * (double)set}};
  ck_ok(pbt_tensor_file_build(fact, 3, &state, 15, image, bytes, n));
}

static void make_set(int64_t set) {
  char folder[PBT_PATH_BYTES], name[PBT_SET_FILE_NAME], job[] = "name = \"t\"\n", *bytes;
  size_t n;
  struct pbt_set_file file[FILES];
  ck_ok(pbt_set_folder(RUN, set, true, folder));
  for (int i = 0; i < MEMBERS + 2; i++) {
    snprintf(name, sizeof name, i == MEMBERS ? "population.h5" : "member-%05d.h5", i);
    build(set, i, &bytes, &n);
    if (i <= MEMBERS) {
      ck_ok(pbt_set_write(folder, name, bytes, n, &file[i]));
    } else {
      ck_ok(pbt_file_replace(RUN "/best.h5", bytes, n));
      ck_ok(pbt_set_adopt(folder, "best.h5", RUN "/best.h5", &file[i]));
    }
    pbt_mem_free(bytes);
  }
  ck_ok(pbt_set_write(folder, "job.toml", job, sizeof job - 1, &file[FILES - 1]));
  const struct pbt_manifest manifest = {.set = set,
                                        .generation = PER_SET * set,
                                        .n_member = MEMBERS,
                                        .n_file = FILES,
                                        .file = file};
  ck_ok(pbt_set_commit(RUN, &manifest, 2));
}

/* Every file of the run at some moment, to be written again and again. */
struct file {
  char path[PBT_PATH_BYTES];
  char *data;
  size_t n;
};
struct moment {
  struct file file[2 * (FILES + 1) + 2];
  int n;
};
static struct moment now, before; // of runs that died after sets 3 and 2

static void keep(struct moment *moment, const char *name) {
  struct file *file = &moment->file[moment->n++];
  snprintf(file->path, sizeof file->path, "%s", name);
  ck_ok(pbt_file_read(file->path, 1 << 24, &file->data, &file->n));
}

static void keep_set(struct moment *moment, int64_t set) {
  char name[PBT_PATH_BYTES];
  struct pbt_manifest manifest;
  bool found;
  int64_t next;
  struct pbt_text skipped = {0};
  ck_ok(pbt_set_find(RUN, &manifest, &found, &next, &skipped));
  for (size_t i = 0; i < FILES; i++) { // both sets have the same names
    snprintf(name, sizeof name, RUN "/checkpoints/%06" PRId64 "/%s", set,
             manifest.file[i].name);
    keep(moment, name);
  }
  pbt_manifest_free(&manifest);
  snprintf(name, sizeof name, RUN "/checkpoints/%06" PRId64 "/manifest", set);
  keep(moment, name);
}

static void keep_all(struct moment *moment, int64_t newest) {
  keep_set(moment, newest);
  keep_set(moment, newest - 1);
  keep(moment, RUN "/best.h5");
  keep(moment, path);
}

/* A run that died two generations after its set number `sets`.  By a process of its own:
 * HDF5 must not hold the file in the one that reads. */
static void make_run(int64_t sets, struct moment *moment) {
  fresh_folder();
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    struct pbt_lineage *lineage = created();
    for (int64_t set = 1; set <= sets; set++) {
      append_to(lineage, PER_SET * (set - 1), PER_SET * set);
      ck_ok(pbt_lineage_sync(lineage));
      make_set(set);
    }
    append_to(lineage, PER_SET * sets, PER_SET * sets + 2);
    raise(SIGKILL);
  }
  waitpid(child, NULL, 0);
  keep_all(moment, sets);
}

/* ---- what a launch reads ---- */

enum verdict { NEWEST, SET_BEFORE, REFUSED, WRONG };

/* What was given instead of a value: one line, and a code that says "not yours to use".
 */
static bool one_line(pbt_status status) {
  bool fine = (status == PBT_ERR_DATA || status == PBT_ERR_MISSING) &&
              pbt_error()[0] != '\0' && strchr(pbt_error(), '\n') == NULL;
  pbt_error_clear();
  return fine;
}

static bool right_tensors(struct pbt_tensor_file *file, int64_t set, int64_t id) {
  char image[4096] = {0}, want[4096];
  int64_t member = -1, generation = -1;
  double fitness = -1;
  image_of(set, id, want);
  return pbt_tensor_file_read(file, &state, 15, image) == PBT_OK &&
         memcmp(image, want, state.bytes) == 0 &&
         pbt_tensor_file_integer(file, "member", &member) == PBT_OK && member == id &&
         pbt_tensor_file_integer(file, "generation", &generation) == PBT_OK &&
         generation == PER_SET * set &&
         pbt_tensor_file_real(file, "fitness", &fitness) == PBT_OK &&
         fitness == 0.125 * (double)set;
}

/* A model of the run: a checkpoint's file may have taken its place, whole. */
static bool of_this_run(struct pbt_tensor_file *file) {
  for (int64_t set = SETS; set >= 1; set--) {
    for (int64_t id = MEMBERS + 1; id >= 0; id--) {
      if (right_tensors(file, set, id)) {
        return true;
      }
    }
  }
  return false;
}

/* The best model may be an older one; never one that is not what it says. */
static enum verdict judge_best(void) {
  char *bytes, image[4096];
  size_t n;
  struct pbt_tensor_file *file = NULL;
  pbt_status status = pbt_file_read(RUN "/best.h5", 1 << 24, &bytes, &n);
  if (status == PBT_OK) {
    status = pbt_tensor_file_open(RUN "/best.h5", bytes, n, &file);
  }
  if (status == PBT_OK) {
    status = pbt_tensor_file_read(file, &state, 15, image);
  }
  bool right = status == PBT_OK ? of_this_run(file) : one_line(status);
  pbt_tensor_file_close(file);
  return !right ? WRONG : status == PBT_OK ? NEWEST : REFUSED;
}

static enum verdict judge_lineage(int64_t generations) {
  struct pbt_lineage_info job = info();
  struct pbt_lineage_start start = launch(generations);
  struct pbt_lineage *lineage;
  pbt_status status = pbt_lineage_resume(path, &job, &start, generations, NULL, &lineage);
  if (status != PBT_OK) {
    return one_line(status) ? REFUSED : WRONG;
  }
  return pbt_lineage_close(lineage) == PBT_OK && count_file() == generations &&
                 wrong_generations(generations) == 0
             ? NEWEST
             : WRONG;
}

static bool right_file(const struct pbt_manifest *manifest, int i) {
  char *bytes;
  size_t n;
  struct pbt_tensor_file *file;
  const char *name = manifest->file[i].name;
  if (pbt_set_read(RUN, manifest, name, &bytes, &n) != PBT_OK) {
    return false;
  }
  if (strcmp(name, "job.toml") == 0) {
    return n == strlen("name = \"t\"\n") && memcmp(bytes, "name = \"t\"\n", n) == 0;
  }
  bool right = pbt_tensor_file_open(name, bytes, n, &file) == PBT_OK &&
               right_tensors(file, manifest->set, i);
  pbt_tensor_file_close(file); // HDF5 would take the next one for the same
  return right;
}

static enum verdict judge(void) {
  struct pbt_manifest manifest;
  struct pbt_text skipped = {0};
  bool found;
  int64_t next;
  if (pbt_set_find(RUN, &manifest, &found, &next, &skipped) != PBT_OK) {
    return WRONG;
  }
  if (!found) {
    return skipped.length > 0 ? REFUSED : WRONG;
  }
  bool right = manifest.generation == PER_SET * manifest.set &&
               manifest.n_member == MEMBERS && manifest.n_file == FILES;
  for (int i = 0; right && i < FILES; i++) {
    right = right_file(&manifest, i);
  }
  bool said = strstr(skipped.length > 0 ? skipped.data : "",
                     "checkpoint 000003 is not used: ") != NULL;
  if (!right || said != (manifest.set < SETS)) {
    return WRONG;
  }
  enum verdict lineage = judge_lineage(manifest.generation), best = judge_best();
  enum verdict set = manifest.set == SETS ? NEWEST : SET_BEFORE;
  enum verdict rest = lineage > best ? lineage : best;
  return rest == NEWEST ? set : rest;
}

/* ---- one thing wrong ---- */

enum harm { CUT, FLIPPED, GONE, SWAPPED, STALE, HARMS };
static const char *const harm_name[] = {"cut", "bit flipped", "gone", "swapped", "stale"};

struct damage {
  enum harm harm;
  int victim, other; // of now.file
  size_t at;
  int bit;
};

static bool in_newest_set(int victim) {
  return strstr(now.file[victim].path, "/000003/") != NULL;
}

/* The files of the set before are looked at only if the newest is no good. */
static bool is_read(int victim) {
  return in_newest_set(victim) || strstr(now.file[victim].path, "/000002/") == NULL;
}

static struct damage damage_of(uint32_t number) {
  struct pbt_rng rng = pbt_rng_open(13, number, PBT_RNG_TEST, 0);
  struct damage damage = {.harm = (enum harm)pbt_rng_below(&rng, HARMS)};
  do {
    damage.victim = (int)pbt_rng_below(&rng, (uint32_t)now.n);
    damage.other = (int)pbt_rng_below(&rng, (uint32_t)now.n);
  } while (damage.victim == damage.other || !is_read(damage.victim));
  damage.at = pbt_rng_below(&rng, (uint32_t)now.file[damage.victim].n);
  damage.bit = (int)pbt_rng_below(&rng, 8);
  return damage;
}

static void take_bytes(struct file *file, const struct file *from) {
  file->data = from->data;
  file->n = from->n;
}

static void apply(const struct damage *damage, struct moment *run) {
  struct file *it = &run->file[damage->victim];
  switch (damage->harm) {
  case CUT:
    it->n = damage->at;
    break;
  case FLIPPED:
    it->data[damage->at] ^= (char)(1 << damage->bit);
    break;
  case GONE:
    it->path[0] = '\0';
    break;
  case SWAPPED:
    take_bytes(it, &now.file[damage->other]);
    take_bytes(&run->file[damage->other], &now.file[damage->victim]);
    break;
  case STALE:
  case HARMS:
    take_bytes(it, &before.file[damage->victim]);
    break;
  }
}

static void write_run(const struct moment *run) {
  ck_ok(pbt_file_remove(RUN));
  ck_ok(pbt_file_make_folders(RUN "/checkpoints/000002"));
  ck_ok(pbt_file_make_folders(RUN "/checkpoints/000003"));
  for (int i = 0; i < run->n; i++) {
    const struct file *it = &run->file[i];
    if (it->path[0] != '\0') {
      int file = open(it->path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
      ck_assert(file >= 0 && write(file, it->data, it->n) == (ssize_t)it->n);
      close(file);
    }
  }
}

/* Same bytes in a file's place are no damage. */
static bool changed(const struct damage *damage) {
  const struct file *a = &now.file[damage->victim], *b = &before.file[damage->victim];
  const struct file *c = &now.file[damage->other];
  b = damage->harm == SWAPPED ? c : b;
  return (damage->harm != STALE && damage->harm != SWAPPED) || a->n != b->n ||
         memcmp(a->data, b->data, a->n) != 0;
}

/* What must come of it; the lineage may have bits that nobody needs. */
static bool allowed(const struct damage *damage, enum verdict verdict) {
  bool newest = in_newest_set(damage->victim) ||
                (damage->harm == SWAPPED && in_newest_set(damage->other));
  if (verdict == WRONG) {
    return false;
  }
  if (!changed(damage)) {
    return verdict == NEWEST;
  }
  if (damage->harm == SWAPPED) { // two files are wrong
    return verdict != NEWEST || !newest;
  }
  return newest ? verdict == SET_BEFORE : verdict == NEWEST || verdict == REFUSED;
}

static int count[HARMS][WRONG + 1];

/* A process that did nothing before but to read this run; exits with its verdict. */
static pid_t start_case(const struct damage *damage, int slot) {
  char folder[32];
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    struct moment run = now;
    alarm(60);
    snprintf(folder, sizeof folder, "case-%d", slot);
    ck_ok(pbt_file_make_folders(folder));
    ck_assert_int_eq(chdir(folder), 0);
    if (damage != NULL) {
      apply(damage, &run);
    }
    write_run(&run);
    _exit((int)judge());
  }
  return child;
}

static int verdict_of(pid_t child) {
  int how;
  waitpid(child, &how, 0);
  return WIFEXITED(how) ? WEXITSTATUS(how) : 1000 + WTERMSIG(how);
}

enum { AT_ONCE = 8 };

static void some_cases(uint32_t first) {
  struct damage damage[AT_ONCE];
  pid_t child[AT_ONCE];
  for (int i = 0; i < AT_ONCE; i++) {
    damage[i] = damage_of(first + (uint32_t)i);
    child[i] = start_case(&damage[i], i);
  }
  for (int i = 0; i < AT_ONCE; i++) {
    const struct damage *it = &damage[i];
    int verdict = verdict_of(child[i]);
    ck_assert_msg(verdict <= WRONG && allowed(it, (enum verdict)verdict),
                  "case %u: %s %s (other %s): verdict %d", first + (uint32_t)i,
                  now.file[it->victim].path, harm_name[it->harm],
                  now.file[it->other].path, verdict);
    count[it->harm][verdict]++;
  }
}

/* In memory if that can be: every case brings some files to the disk. */
static void own_folder(char name[64]) {
  snprintf(name, 64, "%s/pbt_damage_XXXXXX",
           access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
  ck_assert_ptr_nonnull(mkdtemp(name));
  ck_assert_int_eq(chdir(name), 0);
}

START_TEST(a_thousand_damaged_runs_give_no_wrong_value) {
  ck_ok(pbt_state_layout(tensor, 2, &state));
  char folder[64];
  own_folder(folder);
  make_run(SETS - 1, &before);
  make_run(SETS, &now);
  ck_assert_int_eq(verdict_of(start_case(NULL, 0)), NEWEST);
  for (uint32_t i = 0; i < 1000; i += AT_ONCE) {
    some_cases(i);
  }
  int previous = 0;
  for (int i = 0; i < HARMS; i++) {
    printf("%-12s newest set %3d, set before %3d, refused %3d\n", harm_name[i],
           count[i][NEWEST], count[i][SET_BEFORE], count[i][REFUSED]);
    previous += count[i][SET_BEFORE];
    ck_assert_int_gt(count[i][REFUSED], 5);
  }
  ck_assert_int_gt(previous, 300);
  ck_ok(pbt_file_remove(folder));
}
END_TEST

PBT_TEST_MAIN("record_damage", a_thousand_damaged_runs_give_no_wrong_value)
