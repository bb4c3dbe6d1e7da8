/*
 * SHADE (Tanabe and Fukunaga 2013): differential evolution that remembers which F and Cr
 * did well, with current-to-pbest mutation and an archive of replaced values; and L-SHADE
 * (2014), which also lets the population shrink to four in a line over the trials made.
 *
 *   mutant = x + F (pbest - x) + F (r1 - r2)     r2 may come from the archive
 *   Cr ~ N(M_CR, 0.1) clipped, F ~ Cauchy(M_F, 0.1) redrawn until above 0, at most 1
 *
 * with M_CR and M_F from a slot of the memory drawn for each member.  A mutant beyond a
 * bound is put half-way between the bound and the parent.  After a generation with
 * successes one slot becomes the mean of the F and Cr that won (Lehmer's, weighted by
 * what they gained), as L-SHADE does it for both; a slot whose winning Cr are all 0 stays
 * 0.
 *
 * Weights do not travel.  A retired member leaves its archive entry to nobody and keeps
 * its weights in the checkpoint; the gather goes on at its first size.
 */
#include "pbt/explore/explore.h"

#include "base/detmath.h" // Cauchy's tangent
#include "base/memory.h"  // the list of members
#include "pbt/explore/differential.h"
#include "pbt/rank.h" // pbt_better

#include <math.h>
#include <string.h>

enum { SHADE_LEAST = 4 };
#define HALF_PI 1.5707963267948966

/* The memory's tensors by their parts. */
struct shade {
  double *slot;     // (H, 2) M_CR (-1: terminal) and M_F
  double *archive;  // (most, d) units
  double *tried;    // (n, 2) Cr and F of the running trials
  int64_t *counter; // begun, next slot, archived, trials made
};
enum { BEGUN, NEXT_SLOT, ARCHIVED, TRIALS, COUNTERS };

static int64_t archive_size(const struct pbt_job *job, int64_t members) {
  return (int64_t)floor(job->explore.archive * (double)members + 0.5);
}

static int tensors(const struct pbt_job *job, struct pbt_tensor tensor[]) {
  int64_t n = job->population.size, most = archive_size(job, n);
  tensor[0] = pbt_method_tensor("shade", "slot", PBT_F64, job->explore.memory, 2);
  tensor[1] = pbt_method_tensor("shade", "archive", PBT_F64, most > 0 ? most : 1,
                                job->search.n > 0 ? job->search.n : 1);
  tensor[2] = pbt_method_tensor("shade", "tried", PBT_F64, n, 2);
  tensor[3] = pbt_method_tensor("shade", "counter", PBT_I64, COUNTERS, 0);
  return 4;
}

static struct shade shade_of(const struct pbt_job *job, struct pbt_memory *memory) {
  struct shade shade = {.slot = pbt_memory_at(memory, "shade/slot"),
                        .archive = pbt_memory_at(memory, "shade/archive"),
                        .tried = pbt_memory_at(memory, "shade/tried"),
                        .counter = pbt_memory_at(memory, "shade/counter")};
  if (shade.counter[BEGUN] == 0) {
    shade.counter[BEGUN] = 1;
    for (int32_t k = 0; k < 2 * job->explore.memory; k++) {
      shade.slot[k] = 0.5;
    }
  }
  return shade;
}

/* ---- trials ---- */

static double draw_cr(struct pbt_rng *rng, double mean) {
  double cr = mean + 0.1 * pbt_rng_normal(rng);
  if (mean < 0.0 || cr < 0.0) {
    return 0.0;
  }
  return cr > 1.0 ? 1.0 : cr;
}

static double draw_f(struct pbt_rng *rng, double mean) {
  double f;
  do {
    double angle = HALF_PI * (2.0 * pbt_rng_uniform(rng) - 1.0);
    f = mean + 0.1 * pbt_sin(angle) / pbt_cos(angle);
  } while (!(f > 0.0));
  return f < 1.0 ? f : 1.0;
}

/* What all members of a round draw from. */
struct pool {
  const struct pbt_round *round;
  const struct pbt_step_plan *plan;
  struct shade shade;
  int32_t *member; // awake
  int64_t n;
};

static void units_of_r2(const struct pool *pool, struct pbt_rng *rng, int32_t i,
                        int32_t r1, double unit[]) {
  const struct pbt_job *job = pool->round->job;
  int64_t archived = pool->shade.counter[ARCHIVED];
  for (;;) {
    int64_t k = pbt_rng_below(rng, (uint32_t)(pool->n + archived));
    if (k >= pool->n) {
      memcpy(unit, pool->shade.archive + (k - pool->n) * job->search.n,
             (size_t)job->search.n * sizeof *unit);
      return;
    }
    if (pool->member[k] != i && pool->member[k] != r1) {
      pbt_to_units(job, pool->plan[pool->member[k]].value, unit);
      return;
    }
  }
}

static int32_t draw_best(const struct pool *pool, struct pbt_rng *rng) {
  double share = pool->round->job->explore.best;
  int64_t top = (int64_t)floor(share * (double)pool->n + 0.5);
  top = top < 1 ? 1 : (top < pool->round->n_finite ? top : pool->round->n_finite);
  return pool->round->order[pbt_rng_below(rng, (uint32_t)top)];
}

static double repair(double mutant, double parent) {
  if (mutant < 0.0) {
    return 0.5 * parent;
  }
  return mutant > 1.0 ? 0.5 * (1.0 + parent) : mutant;
}

static void try_for(struct pool *pool, int32_t i, struct pbt_trial *trial) {
  const struct pbt_job *job = pool->round->job;
  struct pbt_rng rng = pbt_rng_open(job->seed, (uint32_t)i, PBT_RNG_EXPLORE,
                                    (uint64_t)pool->round->generation);
  const double *slot =
      pool->shade.slot + 2 * pbt_rng_below(&rng, (uint32_t)job->explore.memory);
  double cr = draw_cr(&rng, slot[0]), f = draw_f(&rng, slot[1]);
  int32_t r1;
  do {
    r1 = pool->member[pbt_rng_below(&rng, (uint32_t)pool->n)];
  } while (r1 == i);
  double x[PBT_MAX_HPARAM], best[PBT_MAX_HPARAM], one[PBT_MAX_HPARAM],
      two[PBT_MAX_HPARAM], mutant[PBT_MAX_HPARAM], tried[PBT_MAX_HPARAM];
  pbt_to_units(job, pool->plan[i].value, x);
  pbt_to_units(job, pool->plan[draw_best(pool, &rng)].value, best);
  pbt_to_units(job, pool->plan[r1].value, one);
  units_of_r2(pool, &rng, i, r1, two);
  for (int32_t h = 0; h < job->search.n; h++) {
    mutant[h] = repair(x[h] + f * (best[h] - x[h]) + f * (one[h] - two[h]), x[h]);
  }
  pbt_cross(&rng, job->search.n, cr, x, mutant, tried);
  pbt_from_units(job, tried, trial->value);
  trial->tries = true;
  pbt_draw_part(pool->round, i, trial);
  pool->shade.tried[2 * i] = cr;
  pool->shade.tried[2 * i + 1] = f;
}

static pbt_status propose(const struct pbt_round *round, struct pbt_memory *memory,
                          const struct pbt_step_plan plan[], struct pbt_trial trial[]) {
  struct pool pool = {
      .round = round, .plan = plan, .shade = shade_of(round->job, memory)};
  PBT_TRY(PBT_NEW(round->n, &pool.member));
  pool.n = pbt_awake(round, pool.member);
  for (int64_t k = 0; k < pool.n && pool.n >= SHADE_LEAST && round->n_finite > 0; k++) {
    try_for(&pool, pool.member[k], &trial[pool.member[k]]);
  }
  pbt_mem_free(pool.member);
  return PBT_OK;
}

/* ---- what the trials taught ---- */

struct success {
  double weight, cr, cr_square, f, f_square, most_cr;
  int64_t n;
};

static void archive(struct shade *shade, const struct pbt_job *job, int64_t most,
                    const double value[], struct pbt_rng *rng) {
  if (most == 0) {
    return;
  }
  int64_t place = shade->counter[ARCHIVED] < most
                      ? shade->counter[ARCHIVED]++
                      : (int64_t)pbt_rng_below(rng, (uint32_t)most);
  pbt_to_units(job, value, shade->archive + place * job->search.n);
}

static void learn(struct shade *shade, const struct pbt_job *job,
                  const struct success *success) {
  if (success->n == 0) {
    return;
  }
  double *slot = shade->slot + 2 * shade->counter[NEXT_SLOT];
  bool terminal = slot[0] < 0.0 || success->most_cr <= 0.0;
  slot[0] = terminal ? -1.0 : success->cr_square / success->cr;
  slot[1] = success->f_square / success->f;
  shade->counter[NEXT_SLOT] = (shade->counter[NEXT_SLOT] + 1) % job->explore.memory;
}

/* A gain from a score that was no number counts as the least of all. */
static void count_success(struct success *success, const double tried[2], double gain) {
  double weight = gain - gain == 0.0 && gain > 0.0 ? gain : 1e-300;
  success->n++;
  success->weight += weight;
  success->cr += weight * tried[0];
  success->cr_square += weight * tried[0] * tried[0];
  success->f += weight * tried[1];
  success->f_square += weight * tried[1] * tried[1];
  success->most_cr = tried[0] > success->most_cr ? tried[0] : success->most_cr;
}

static void keep_better(const struct pbt_round *round, struct shade *shade, int64_t most,
                        struct pbt_step_plan plan[]) {
  const struct pbt_job *job = round->job;
  struct success success = {0};
  struct pbt_rng rng = pbt_rng_open(job->seed, PBT_RNG_NOBODY, PBT_RNG_EXPLORE,
                                    (uint64_t)round->generation);
  for (int64_t i = 0; i < round->n; i++) {
    const struct pbt_trial trial = pbt_judged(round, i);
    if (!trial.tries) {
      continue;
    }
    shade->counter[TRIALS]++;
    bool finite = trial.fitness - trial.fitness == 0.0;
    if (!finite || pbt_better(job->task.sense, trial.parent, trial.fitness)) {
      continue;
    }
    if (pbt_better(job->task.sense, trial.fitness, trial.parent)) {
      archive(shade, job, most, plan[i].value, &rng);
      count_success(&success, shade->tried + 2 * i, fabs(trial.fitness - trial.parent));
    }
    pbt_take_trial(round, i, &plan[i]);
  }
  learn(shade, job, &success);
}

static pbt_status decide(const struct pbt_round *round, struct pbt_memory *memory,
                         struct pbt_step_plan plan[]) {
  if (round->trial != NULL) {
    struct shade shade = shade_of(round->job, memory);
    keep_better(round, &shade, archive_size(round->job, round->n), plan);
  }
  return PBT_OK;
}

/* ---- L-SHADE: the population shrinks ---- */

static int64_t size_after(const struct pbt_job *job, int64_t trials) {
  double first = (double)job->population.size;
  double part = (double)trials / (double)job->explore.evaluations;
  part = part < 1.0 ? part : 1.0;
  return (int64_t)floor(first + (SHADE_LEAST - first) * part + 0.5);
}

/* A trial's score is the newer one. */
static double score_now(const struct pbt_round *round, const struct pbt_step_plan plan[],
                        int32_t i) {
  const struct pbt_trial trial = pbt_judged(round, i);
  if (!trial.tries) {
    return round->report[i].fitness;
  }
  return plan[i].takes_trial ? trial.fitness : trial.parent;
}

static int32_t worst_of(const struct pbt_round *round, const struct pbt_step_plan plan[],
                        const int32_t member[], int64_t n) {
  int32_t worst = -1;
  for (int64_t k = 0; k < n; k++) {
    int32_t i = member[k];
    if (!plan[i].sleeps &&
        (worst == -1 || pbt_better(round->job->task.sense, score_now(round, plan, worst),
                                   score_now(round, plan, i)))) {
      worst = i;
    }
  }
  return worst;
}

static pbt_status decide_and_shrink(const struct pbt_round *round,
                                    struct pbt_memory *memory,
                                    struct pbt_step_plan plan[]) {
  if (round->trial == NULL) {
    return PBT_OK;
  }
  struct shade shade = shade_of(round->job, memory);
  int32_t *member = NULL;
  PBT_TRY(PBT_NEW(round->n, &member));
  int64_t n = pbt_awake(round, member), left = n;
  keep_better(round, &shade, archive_size(round->job, n), plan);
  int64_t wanted = size_after(round->job, shade.counter[TRIALS]);
  for (; left > wanted; left--) {
    plan[worst_of(round, plan, member, n)].sleeps = 1;
  }
  /* Random entries leave with the archive's room. */
  int64_t most = archive_size(round->job, left);
  struct pbt_rng rng = pbt_rng_open(round->job->seed, PBT_RNG_NOBODY, PBT_RNG_EXPLOIT,
                                    (uint64_t)round->generation);
  size_t row = (size_t)round->job->search.n * sizeof *shade.archive;
  while (shade.counter[ARCHIVED] > most) {
    int64_t out = pbt_rng_below(&rng, (uint32_t)shade.counter[ARCHIVED]);
    int64_t last = --shade.counter[ARCHIVED];
    memmove(shade.archive + out * round->job->search.n,
            shade.archive + last * round->job->search.n, row);
  }
  pbt_mem_free(member);
  return PBT_OK;
}

const struct pbt_method pbt_explore_shade = {
    .name = "shade",
    .what = "differential evolution that learns its own F and Cr",
    .source = "Tanabe and Fukunaga 2013, doi 10.1109/CEC.2013.6557555",
    .tensors = tensors,
    .propose = propose,
    .decide = decide,
};

const struct pbt_method pbt_explore_lshade = {
    .name = "lshade",
    .what = "shade whose population shrinks to four in a line over its trials",
    .source = "Tanabe and Fukunaga 2014, doi 10.1109/CEC.2014.6900380",
    .tensors = tensors,
    .propose = propose,
    .decide = decide_and_shrink,
};
