/*
 * Toy surfaces: no data, no randomness, an exact answer.
 *
 *   fig2       Jaderberg et al. 2017, figure 2: climb Q = 1.2 - (x0^2 + x1^2) by the
 *              gradient of 1.2 - (h0 x0^2 + h1 x1^2) with rate 0.01 from (0.9, 0.9), so
 *              x_i *= 1 - 0.02 h_i a step.  The best that one step size does is 1.2.
 *   plain      Q = 1.2 - x^2, x *= 1 - 0.002 (2 - h) a step from 0.9: h = 0 is best,
 *              always ("To be greedy, or not to be", Chebykin et al., TMLR 2025).
 *   deceptive  the same with 2 - h less a penalty for every past interval whose h was
 *              away from its target 1 - (steps before it) / 1000: low h pays at once and
 *              costs for ever.
 *
 * The penalty's sum is a weight: who copies takes over its donor's past.  The accuracy of
 * a toy is Q, its loss 1.2 - Q.
 */
#include "task/toy/toy.h"

#include "base/memory.h" // the task itself

#include <math.h>
#include <stdio.h>
#include <string.h>

#define PEAK 1.2
#define START 0.9
#define RATE 0.01         // fig2
#define PLAIN_RATE 0.002  // plain and deceptive
#define SCHEDULE 1000.0   // steps in which the target falls from 1 to 0
enum { TOY_TENSORS = 3 }; // x, penalty, step

/* The state's image; each tensor starts at a multiple of 64 bytes. */
struct toy_image {
  double x[8]; // two used
  double penalty[8];
  int64_t step[8];
};

struct toy {
  struct pbt_task base;
  const struct pbt_job *job;
  struct pbt_tensor tensor[TOY_TENSORS];
  struct pbt_state state;
  struct toy_image image;
  double h0, h1, h;
  int64_t begun; // steps of train_begin
};

static pbt_status restart_toy(struct pbt_task *task, uint64_t restart) {
  (void)restart;
  struct toy *self = (struct toy *)task;
  self->image.x[0] = START;
  self->image.x[1] = self->job->toy.surface == PBT_TOY_FIG2 ? START : 0.0;
  self->image.penalty[0] = 0.0;
  return PBT_OK;
}

static void name_tensors(struct pbt_tensor tensor[TOY_TENSORS]) {
  tensor[0] = (struct pbt_tensor){
      .name = "x", .role = PBT_ROLE_WEIGHT, .dtype = PBT_F64, .ndim = 1, .dim = {2}};
  tensor[1] =
      (struct pbt_tensor){.name = "penalty", .role = PBT_ROLE_WEIGHT, .dtype = PBT_F64};
  tensor[2] =
      (struct pbt_tensor){.name = "step", .role = PBT_ROLE_LOCAL, .dtype = PBT_I64};
}

static void close_toy(struct pbt_task *task) {
  pbt_mem_free(task);
}

static pbt_status open_toy(const struct pbt_task_env *env, struct pbt_task **task) {
  if (env->job->ready.steps <= 0) {
    return pbt_fail(PBT_ERR_DATA, "a toy has no epochs: give ready.steps");
  }
  struct toy *self = NULL;
  PBT_TRY(PBT_NEW(1, &self));
  self->base.ops = &pbt_task_toy;
  self->job = env->job;
  self->h0 = env->job->toy.h0;
  self->h1 = env->job->toy.h1;
  self->h = env->job->toy.h;
  name_tensors(self->tensor);
  pbt_status status = pbt_state_layout(self->tensor, TOY_TENSORS, &self->state);
  bool fits = self->tensor[1].offset == offsetof(struct toy_image, penalty) &&
              self->tensor[2].offset == offsetof(struct toy_image, step) &&
              self->state.bytes <= sizeof self->image;
  if (status == PBT_OK && !fits) {
    status = PBT_BUG("the toy's image does not match its tensors");
  }
  if (status != PBT_OK) {
    close_toy(&self->base);
    return status;
  }
  *task = &self->base;
  return restart_toy(*task, 0);
}

static pbt_status set_hparams_toy(struct pbt_task *task, const double value[]) {
  struct toy *self = (struct toy *)task;
  const struct {
    const char *name;
    double *place;
  } list[] = {{"h0", &self->h0}, {"h1", &self->h1}, {"h", &self->h}};
  const struct pbt_job *job = self->job;
  for (int32_t i = 0; i < job->search.n; i++) {
    const struct pbt_hparam *hparam = &job->search.hparam[i];
    for (size_t k = 0; k < sizeof list / sizeof *list; k++) {
      if (strcmp(hparam->name, list[k].name) == 0) {
        *list[k].place = pbt_hparam_effective(hparam, value[i]);
      }
    }
  }
  return PBT_OK;
}

/* How fast x shrinks in the interval that holds this step. */
static double slope(const struct toy *self) {
  double g = 2.0 - self->h;
  if (self->job->toy.surface == PBT_TOY_DECEPTIVE) {
    g -= self->job->toy.penalty * self->image.penalty[0];
  }
  return g > 0.0 ? g : 0.0;
}

static void one_step(struct toy *self) {
  struct toy_image *image = &self->image;
  if (self->job->toy.surface == PBT_TOY_FIG2) {
    image->x[0] *= 1.0 - 2.0 * RATE * self->h0;
    image->x[1] *= 1.0 - 2.0 * RATE * self->h1;
  } else {
    if (image->step[0] % self->job->ready.steps == 0) {
      double target = 1.0 - (double)image->step[0] / SCHEDULE;
      image->penalty[0] += fabs(self->h - target);
    }
    image->x[0] *= 1.0 - PLAIN_RATE * slope(self);
  }
  image->step[0]++;
}

static double quality(const struct toy *self) {
  const double *x = self->image.x;
  return PEAK - (x[0] * x[0] + x[1] * x[1]);
}

static pbt_status train_begin_toy(struct pbt_task *task, int64_t n_steps) {
  struct toy *self = (struct toy *)task;
  for (int64_t i = 0; i < n_steps; i++) {
    one_step(self);
  }
  self->begun = n_steps;
  return PBT_OK;
}

static pbt_status train_end_toy(struct pbt_task *task, struct pbt_train_report *report) {
  const struct toy *self = (const struct toy *)task;
  *report = (struct pbt_train_report){
      .n_steps = self->begun, .n_sample = self->begun, .loss = PEAK - quality(self)};
  return PBT_OK;
}

static pbt_status evaluate_begin_toy(struct pbt_task *task, enum pbt_split split,
                                     struct pbt_part part) {
  (void)task, (void)split, (void)part; // one surface, no samples
  return PBT_OK;
}

static pbt_status evaluate_end_toy(struct pbt_task *task, struct pbt_scores *scores) {
  double q = quality((const struct toy *)task);
  *scores = (struct pbt_scores){.loss = PEAK - q,
                                .accuracy = q,
                                .macro_f1 = q,
                                .balanced_accuracy = q,
                                .balanced_loss = PEAK - q,
                                .count = 1};
  return PBT_OK;
}

static const struct pbt_state *state_toy(const struct pbt_task *task) {
  return &((const struct toy *)task)->state;
}

static pbt_status state_read_toy(struct pbt_task *task, size_t offset, size_t bytes,
                                 void *to) {
  memcpy(to, (const char *)&((struct toy *)task)->image + offset, bytes);
  return PBT_OK;
}

static pbt_status state_write_toy(struct pbt_task *task, size_t offset, size_t bytes,
                                  const void *from) {
  memcpy((char *)&((struct toy *)task)->image + offset, from, bytes);
  return PBT_OK;
}

static pbt_status state_copy_toy(struct pbt_task *to, struct pbt_task *from) {
  const struct toy *source = (const struct toy *)from;
  return state_write_toy(to, 0, source->state.travel_bytes, &source->image);
}

static void *state_map_toy(struct pbt_task *task) {
  return &((struct toy *)task)->image;
}

static int64_t slice_steps_toy(const struct pbt_task *task) {
  (void)task;
  return 100000; // under a millisecond
}

static const char *describe_toy(const struct pbt_task *task) {
  (void)task;
  return "toy surface";
}

static pbt_status measure_toy(const struct pbt_job *job, size_t *bytes,
                              struct pbt_text *about) {
  (void)job, (void)about;
  *bytes = sizeof(struct toy);
  return PBT_OK;
}

static pbt_status model_facts_toy(const struct pbt_task *task, struct pbt_text *text) {
  static const char *const name[] = {"fig2", "plain", "deceptive"};
  const struct toy *self = (const struct toy *)task;
  pbt_text_add(text, "toy = %s\n", name[self->job->toy.surface]);
  return text->status;
}

const struct pbt_task_ops pbt_task_toy = {
    .name = "toy",
    .open = open_toy,
    .close = close_toy,
    .restart = restart_toy,
    .set_hparams = set_hparams_toy,
    .train_begin = train_begin_toy,
    .train_end = train_end_toy,
    .evaluate_begin = evaluate_begin_toy,
    .evaluate_end = evaluate_end_toy,
    .state = state_toy,
    .state_read = state_read_toy,
    .state_write = state_write_toy,
    .state_copy = state_copy_toy,
    .state_map = state_map_toy,
    .slice_steps = slice_steps_toy,
    .describe = describe_toy,
    .measure = measure_toy,
    .model_facts = model_facts_toy,
};
