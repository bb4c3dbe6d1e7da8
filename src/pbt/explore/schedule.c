/*
 * Fixed schedules of the learning rate, the usual alternative to a learned one: each
 * member keeps the lr that it drew (or copied) as its first and follows
 *
 *   cosine  lr (1 + cos(pi t)) / 2          (Loshchilov and Hutter 2017)
 *   step    lr, lr / 10 from t = 1/2, lr / 100 from t = 3/4
 *
 * where t is the share of the generations that are over.  The lower bound of lr holds.
 * With exploit.kind = "none" this is random search over scheduled runs.
 */
#include "pbt/explore/explore.h"

#include "base/detmath.h"

#include <math.h>
#include <string.h>

static int32_t index_of_lr(const struct pbt_job *job) {
  int32_t h = 0;
  while (h < job->search.n && strcmp(job->search.hparam[h].name, "lr") != 0) {
    h++;
  }
  return h;
}

static int tensors(const struct pbt_job *job, struct pbt_tensor tensor[]) {
  tensor[0] = pbt_method_tensor("schedule", "first", PBT_F64, job->population.size, 0);
  return 1;
}

/* The first round notes what everybody drew. */
static void observe(const struct pbt_round *round, struct pbt_memory *memory,
                    const struct pbt_step_plan plan[]) {
  double *first = pbt_memory_at(memory, "schedule/first");
  for (int64_t i = 0; i < round->n && round->generation == 0; i++) {
    first[i] = plan[i].value[index_of_lr(round->job)];
  }
}

/* Generations of the whole run; job/rules.c has seen to it that they follow from the job.
 */
static double generations_of(const struct pbt_job *job) {
  if (job->budget.generations > 0) {
    return (double)job->budget.generations;
  }
  return job->budget.steps > 0
             ? ceil((double)job->budget.steps / (double)job->ready.steps)
             : ceil(job->budget.epochs / job->ready.epochs);
}

static double cosine(double t) {
  return 0.5 * (1.0 + pbt_cos(3.1415926535897932 * t));
}

static double steps(double t) {
  return t < 0.5 ? 1.0 : (t < 0.75 ? 0.1 : 0.01);
}

static pbt_status follow(const struct pbt_round *round, struct pbt_memory *memory,
                         struct pbt_step_plan plan[], double (*shape)(double)) {
  int32_t lr = index_of_lr(round->job);
  double *first = pbt_memory_at(memory, "schedule/first");
  double t = (double)(round->generation + 1) / generations_of(round->job);
  for (int64_t i = 0; i < round->n; i++) {
    if (plan[i].donor == -1) {
      first[i] = plan[i].value[lr]; // newly drawn, from here on
    } else if (plan[i].donor != i && round->job->exploit.copy != PBT_COPY_WEIGHTS) {
      first[i] = first[plan[i].values_of == -1 ? plan[i].donor : plan[i].values_of];
    }
  }
  for (int64_t i = 0; i < round->n; i++) {
    double value = first[i] * shape(t < 1.0 ? t : 1.0);
    plan[i].value[lr] = pbt_hparam_bound(&round->job->search.hparam[lr], value, PBT_CLIP);
    plan[i].move[lr] = PBT_MOVE_PERTURBED;
  }
  return PBT_OK;
}

static pbt_status decide_cosine(const struct pbt_round *round, struct pbt_memory *memory,
                                struct pbt_step_plan plan[]) {
  return follow(round, memory, plan, cosine);
}

static pbt_status decide_step(const struct pbt_round *round, struct pbt_memory *memory,
                              struct pbt_step_plan plan[]) {
  return follow(round, memory, plan, steps);
}

const struct pbt_method pbt_explore_cosine = {
    .name = "cosine",
    .what = "the lr that was drawn falls along half a cosine",
    .source = "Loshchilov and Hutter 2017, arXiv 1608.03983",
    .tensors = tensors,
    .observe = observe,
    .decide = decide_cosine,
};

const struct pbt_method pbt_explore_step = {
    .name = "step",
    .what = "the lr that was drawn is divided by ten at a half and at three quarters",
    .source = "",
    .tensors = tensors,
    .observe = observe,
    .decide = decide_step,
};
