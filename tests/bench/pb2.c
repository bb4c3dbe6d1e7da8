/*
 * pb2 - what PB2's decisions cost beside the training between them.
 *
 *   pb2 [ROUNDS]
 *
 * Every rank makes the decision for all; here for 32 members, a quarter of which move,
 * with the default window and three hyperparameters.  A round is one decision and 25
 * steps of LeNet-5 (batch 64, one thread), in turn, so that a busy neighbour meets both;
 * both in the time that this thread was running.  The share is that of the median
 * decision in 250 median steps.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "machine.h"
#include "pbt/decide.h"
#include "pbt/rank.h"
#include "trainer.h"

enum { MEMBERS = 32, WARM_UP = 4, STEPS = 25, MOST = 400 };

static struct pbt_job job_of(void) {
  struct pbt_job job = {.seed = 2};
  job.population.size = MEMBERS;
  job.budget.generations = 1 << 30;
  job.exploit.kind = PBT_EXPLOIT_TRUNCATION;
  job.exploit.fraction = 0.25;
  job.explore.kind = PBT_EXPLORE_PB2;
  job.explore.n_factor = 1;
  job.explore.factor[0] = 0.8;
  job.explore.probability = 1;
  job.search.n = 3;
  for (int h = 0; h < 3; h++) {
    job.search.hparam[h] = (struct pbt_hparam){.kind = h == 0 ? PBT_LOG : PBT_REAL,
                                               .low = 0.01,
                                               .high = 1,
                                               .start_low = 0.01,
                                               .start_high = 1};
  }
  return job;
}

struct population {
  struct pbt_job job;
  struct pbt_tensor tensor[PBT_METHODS * PBT_METHOD_TENSORS];
  struct pbt_memory memory;
  struct pbt_report report[MEMBERS];
  struct pbt_step_plan plan[MEMBERS];
  int64_t restarts[MEMBERS];
  int32_t order[MEMBERS];
};

static pbt_status open_population(struct population *p) {
  p->job = job_of();
  int n = pbt_method_tensors(&p->job, p->tensor);
  PBT_TRY(pbt_state_layout(p->tensor, (size_t)n, &p->memory.state));
  for (uint32_t i = 0; i < MEMBERS; i++) {
    pbt_seed_hparams(&p->job, i, 0, p->plan[i].value);
    p->plan[i].donor = (int32_t)i;
  }
  return pbt_mem_alloc(p->memory.state.bytes, (void **)&p->memory.image);
}

/* Scores grow by what the values are worth, so that there is something to learn. */
static void score(struct population *p) {
  double from[MEMBERS];
  for (int i = 0; i < MEMBERS; i++) {
    from[i] = p->report[p->plan[i].donor].fitness;
  }
  for (int i = 0; i < MEMBERS; i++) {
    const double *value = p->plan[i].value;
    double a = log10(value[0]) + 1, b = value[1] - 0.3, c = value[2] - 0.8;
    p->report[i].fitness = from[i] + exp(-(a * a + b * b + c * c));
  }
}

static pbt_status decide(struct population *p, int64_t generation, double *seconds) {
  score(p);
  double began = machine_seconds();
  int64_t n_finite =
      pbt_rank(p->report, MEMBERS, PBT_MAXIMIZE, p->job.seed, generation, p->order);
  const struct pbt_round round = {.job = &p->job,
                                  .generation = generation,
                                  .n = MEMBERS,
                                  .report = p->report,
                                  .order = p->order,
                                  .n_finite = n_finite};
  PBT_TRY(pbt_decide(&round, &p->memory, p->restarts, p->plan));
  *seconds = machine_seconds() - began;
  return PBT_OK;
}

static pbt_status measure(int rounds, struct trainer *trainer, double decision[],
                          double step[]) {
  static struct population population;
  PBT_TRY(open_population(&population));
  for (int k = -WARM_UP; k < rounds; k++) {
    int at = k < 0 ? 0 : k;
    PBT_TRY(decide(&population, WARM_UP + k, &decision[at]));
    double began = machine_seconds();
    for (int i = 0; i < STEPS; i++) {
      PBT_TRY(trainer_step(trainer, false));
    }
    step[at] = (machine_seconds() - began) / STEPS;
  }
  pbt_mem_free(population.memory.image);
  return PBT_OK;
}

static int by_value(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

static double median(double value[], int n) {
  qsort(value, (size_t)n, sizeof *value, by_value);
  return value[n / 2];
}

int main(int argc, char **argv) {
  int rounds = argc > 1 ? atoi(argv[1]) : 41;
  if (rounds < 1 || rounds > MOST) {
    fprintf(stderr, "usage: %s [1..%d]\n", argv[0], MOST);
    return PBT_ERR_USAGE;
  }
  machine_use_cpu_clock();
  static struct trainer trainer;
  static double decision[MOST], step[MOST];
  const struct pbt_backend_options options = {.threads = 1};
  pbt_status status = trainer_open(&trainer, "lenet5", &options, 64);
  if (status == PBT_OK) {
    status = measure(rounds, &trainer, decision, step);
  }
  if (status == PBT_OK) {
    double cost = 1e3 * median(decision, rounds), interval = 250e3 * median(step, rounds);
    char name[128];
    machine_name(name, sizeof name);
    printf("%s, %s, %d rounds\n", name, trainer.ops->describe(trainer.backend), rounds);
    printf("PB2, %d members: %.2f ms; 250 steps of LeNet-5: %.0f ms; %.2f %%\n", MEMBERS,
           cost, interval, 100 * cost / interval);
  } else {
    fprintf(stderr, "pb2: %s\n", pbt_error());
  }
  trainer_close(&trainer);
  return status;
}
