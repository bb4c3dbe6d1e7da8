/* The classify task as the population loop sees it: through the table of task.h only. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "task/task.h"
#include "tests/test.h"

/* Small digits on a small network; lr and momentum searched, the rest fixed. */
static struct pbt_job make_job(void) {
  struct pbt_job job = {.seed = 5, .threads = 1, .backend = PBT_BACKEND_CPU};
  job.task.kind = PBT_TASK_CLASSIFY;
  job.network.kind = PBT_NETWORK_MLP;
  job.network.n_hidden = 1;
  job.network.hidden[0] = 32;
  job.data.kind = PBT_DATA_DIGITS;
  job.data.train_size = 1000;
  job.data.test_size = 200;
  job.data.validation = 0.2;
  job.data.seed = 1;
  job.optimizer.batch_size = 50;
  job.optimizer.lr = 0.05;
  job.optimizer.momentum = 0.5;
  job.optimizer.weight_decay = 1e-4;
  job.search.n = 2;
  job.search.hparam[0] = (struct pbt_hparam){
      .name = "lr", .kind = PBT_LOG, .low = 1e-4, .high = 1e6, .start_high = 0.1};
  job.search.hparam[1] = (struct pbt_hparam){.name = "momentum",
                                             .kind = PBT_CHOICE,
                                             .high = 2,
                                             .n_option = 3,
                                             .option = {0.0, 0.5, 0.9}};
  return job;
}

static const double usual[] = {0.05, 2}; // lr, option 2 of momentum

struct world {
  struct pbt_job job;
  const struct pbt_task_ops *ops;
  void *data;
};

static struct world open_world(void) {
  struct world world = {.job = make_job(), .ops = pbt_task_find(PBT_TASK_CLASSIFY)};
  size_t bytes;
  ck_ok(world.ops->data_probe(&world.job, &bytes));
  ck_ok(pbt_mem_alloc(bytes, &world.data));
  ck_ok(world.ops->data_load(&world.job, world.data, bytes));
  return world;
}

static void close_world(struct world *world) {
  pbt_mem_free(world->data);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}

static struct pbt_task *open_task(struct world *world, uint32_t member) {
  const struct pbt_task_env env = {
      .job = &world->job, .data = world->data, .member = member};
  struct pbt_task *task = NULL;
  ck_ok(world->ops->open(&env, &task));
  ck_ok(world->ops->set_hparams(task, usual));
  return task;
}

static double train(struct world *world, struct pbt_task *task, int64_t steps) {
  struct pbt_train_report report;
  ck_ok(pbt_task_train(task, steps, &report));
  ck_assert_int_eq(report.n_steps, steps);
  ck_assert_int_eq(report.n_sample, steps * world->job.optimizer.batch_size);
  return report.loss;
}

static struct pbt_scores score(struct pbt_task *task, enum pbt_split split) {
  struct pbt_scores scores;
  ck_ok(pbt_task_evaluate(task, split, (struct pbt_part){0}, &scores));
  return scores;
}

static uint8_t *read_image(struct world *world, struct pbt_task *task) {
  size_t bytes = world->ops->state(task)->bytes;
  uint8_t *image = malloc(bytes);
  ck_ok(world->ops->state_read(task, 0, bytes, image));
  return image;
}

static bool same_image(struct world *world, struct pbt_task *a, struct pbt_task *b) {
  uint8_t *x = read_image(world, a), *y = read_image(world, b);
  bool same = memcmp(x, y, world->ops->state(a)->bytes) == 0;
  free(x);
  free(y);
  return same;
}

START_TEST(it_learns_and_scores_each_split) {
  struct world world = open_world();
  struct pbt_task *task = open_task(&world, 0);
  struct pbt_scores before = score(task, PBT_SPLIT_VALIDATION);
  double first = train(&world, task, 20), later = 0;
  for (int i = 0; i < 8; i++) {
    later = train(&world, task, 20);
  }
  struct pbt_scores after = score(task, PBT_SPLIT_VALIDATION);
  ck_assert_double_lt(later, 0.6 * first);
  ck_assert_double_lt(after.loss, before.loss);
  ck_assert_double_gt(after.accuracy, 0.5);
  ck_assert_double_lt(fabs(after.macro_f1 - after.accuracy), 0.1);
  ck_assert_int_eq(after.count, 200);
  ck_assert_int_eq(score(task, PBT_SPLIT_TRAIN).count, 800);
  ck_assert_int_eq(score(task, PBT_SPLIT_TEST).count, 200);
  ck_assert_double_gt(score(task, PBT_SPLIT_TRAIN).accuracy, after.accuracy);
  ck_assert_double_eq(world.ops->epoch_steps(task), 16.0);
  world.ops->close(task);
  close_world(&world);
}
END_TEST

START_TEST(a_split_can_be_scored_in_parts) {
  struct world world = open_world();
  struct pbt_task *task = open_task(&world, 0);
  struct pbt_scores whole = score(task, PBT_SPLIT_VALIDATION), part, rest, none;
  const enum pbt_split split = PBT_SPLIT_VALIDATION;
  ck_ok(pbt_task_evaluate(task, split, (struct pbt_part){0, 77}, &part));
  ck_ok(pbt_task_evaluate(task, split, (struct pbt_part){.begin = 77}, &rest));
  ck_assert_int_eq(part.count, 77);
  ck_assert_int_eq(rest.count, world.ops->split_size(task, split) - 77);
  double sum = part.loss * 77 + rest.loss * (double)rest.count;
  ck_assert_double_eq_tol(sum, whole.loss * (double)whole.count, 1e-9);
  ck_fails(pbt_task_evaluate(task, split, (struct pbt_part){0, 201}, &none),
           PBT_ERR_INTERNAL, "beyond its split");
  ck_fails(pbt_task_evaluate(task, split, (struct pbt_part){200, 0}, &none),
           PBT_ERR_INTERNAL, "beyond its split");
  world.ops->close(task);
  close_world(&world);
}
END_TEST

START_TEST(slices_add_up_and_scoring_between_them_changes_nothing) {
  struct world world = open_world();
  struct pbt_task *a = open_task(&world, 3), *b = open_task(&world, 3);
  ck_assert(same_image(&world, a, b));
  train(&world, a, 30);
  train(&world, b, 11);
  struct pbt_scores once = score(b, PBT_SPLIT_VALIDATION);
  struct pbt_scores twice = score(b, PBT_SPLIT_VALIDATION);
  ck_assert_mem_eq(&once, &twice, sizeof once);
  train(&world, b, 19);
  ck_assert(same_image(&world, a, b));
  world.ops->close(a);
  world.ops->close(b);
  close_world(&world);
}
END_TEST

START_TEST(an_image_is_enough_to_go_on_from) {
  struct world world = open_world();
  struct pbt_task *a = open_task(&world, 3), *b = open_task(&world, 3);
  train(&world, a, 12);
  uint8_t *image = read_image(&world, a);
  ck_ok(world.ops->state_write(b, 0, world.ops->state(b)->bytes, image));
  free(image);
  train(&world, a, 20);
  train(&world, b, 20);
  ck_assert(same_image(&world, a, b));
  world.ops->close(a);
  world.ops->close(b);
  close_world(&world);
}
END_TEST

/* What exploit does: the head of a donor's image; the receiver keeps its own step count
 * and its own order of samples. */
START_TEST(a_receiver_keeps_its_own_stream) {
  struct world world = open_world();
  struct pbt_task *donor = open_task(&world, 0), *receiver = open_task(&world, 1);
  ck_assert(!same_image(&world, donor, receiver));
  const struct pbt_state *state = world.ops->state(donor);
  ck_assert_uint_eq(state->signature, world.ops->state(receiver)->signature);
  train(&world, donor, 10);
  train(&world, receiver, 10);
  void *head = malloc(state->travel_bytes);
  ck_ok(world.ops->state_read(donor, 0, state->travel_bytes, head));
  ck_ok(world.ops->state_write(receiver, 0, state->travel_bytes, head));
  free(head);
  ck_assert(same_image(&world, donor, receiver));
  train(&world, donor, 1);
  train(&world, receiver, 1);
  ck_assert(!same_image(&world, donor, receiver));
  world.ops->close(donor);
  world.ops->close(receiver);
  close_world(&world);
}
END_TEST

START_TEST(a_restart_is_fresh_but_for_the_step_count) {
  struct world world = open_world();
  struct pbt_task *a = open_task(&world, 0), *b = open_task(&world, 0);
  train(&world, a, 10);
  ck_ok(world.ops->restart(a, 0));
  const struct pbt_state *state = world.ops->state(a);
  int64_t step;
  ck_ok(world.ops->state_read(a, pbt_state_find(state, "step")->offset, 8, &step));
  ck_assert_int_eq(step, 10);
  uint8_t *x = read_image(&world, a), *y = read_image(&world, b);
  ck_assert_mem_eq(x, y, state->travel_bytes);
  ck_ok(world.ops->restart(b, 1));
  free(y);
  y = read_image(&world, b);
  ck_assert_mem_ne(x, y, 64);
  free(x);
  free(y);
  world.ops->close(a);
  world.ops->close(b);
  close_world(&world);
}
END_TEST

/* Searched values reach the optimiser as their options; the rest come from the job. */
START_TEST(hyperparameters_reach_the_optimiser) {
  struct world world = open_world();
  struct pbt_task *a = open_task(&world, 0), *b = open_task(&world, 0);
  world.job.optimizer.lr = 0.05; // the same through the job's fixed values
  world.job.optimizer.momentum = 0.9;
  int32_t n = world.job.search.n;
  world.job.search.n = 0;
  struct pbt_task *c = open_task(&world, 0);
  world.job.optimizer.weight_decay = 0.1;
  struct pbt_task *d = open_task(&world, 0);
  world.job.search.n = n;
  ck_ok(world.ops->set_hparams(b, (double[]){0.05, 1}));
  struct pbt_task *const task[] = {a, b, c, d};
  for (int i = 0; i < 4; i++) {
    train(&world, task[i], 5);
  }
  ck_assert(same_image(&world, a, c));
  ck_assert(!same_image(&world, a, b));
  ck_assert(!same_image(&world, a, d));
  for (int i = 0; i < 4; i++) {
    world.ops->close(task[i]);
  }
  close_world(&world);
}
END_TEST

START_TEST(an_unknown_hyperparameter_is_refused) {
  struct world world = open_world();
  struct pbt_task *task = open_task(&world, 0);
  strcpy(world.job.search.hparam[0].name, "rate");
  ck_fails(world.ops->set_hparams(task, usual), PBT_ERR_DATA, "\"rate\"");
  world.ops->close(task);
  close_world(&world);
}
END_TEST

START_TEST(divergence_is_nan_and_no_error) {
  struct world world = open_world();
  struct pbt_task *task = open_task(&world, 0);
  ck_ok(world.ops->set_hparams(task, (double[]){1e6, 2}));
  ck_assert(isnan(train(&world, task, 40)));
  struct pbt_scores scores = score(task, PBT_SPLIT_VALIDATION);
  ck_assert(isnan(scores.loss) && isnan(scores.accuracy) && isnan(scores.macro_f1));
  ck_assert_int_eq(scores.count, 200);
  ck_ok(world.ops->restart(task, 1)); // and it can be helped
  ck_ok(world.ops->set_hparams(task, usual));
  ck_assert(isfinite(train(&world, task, 5)));
  world.ops->close(task);
  close_world(&world);
}
END_TEST

/* Data that does not fit must leave nothing behind. */
static void must_not_open(struct world *world, const char *words) {
  const struct pbt_task_env env = {.job = &world->job, .data = world->data};
  struct pbt_task *task = NULL;
  ck_fails(world->ops->open(&env, &task), PBT_ERR_DATA, words);
  ck_assert_ptr_null(task);
}

START_TEST(data_that_does_not_fit_is_refused) {
  struct world world = open_world();
  world.job.optimizer.batch_size = 801;
  must_not_open(&world, "optimizer.batch_size is 801 but there are only 800 training");
  world.job.optimizer.batch_size = 50;
  world.job.network.kind = PBT_NETWORK_LENET5;
  struct pbt_data_header *header = world.data;
  header->h = header->w = 8;
  must_not_open(&world, "network lenet5 does not fit images of 1 x 8 x 8: layer conv2");
  close_world(&world);
}
END_TEST

START_TEST(a_task_says_what_it_is) {
  struct world world = open_world();
  struct pbt_task *task = open_task(&world, 0);
  ck_assert_str_eq(world.ops->name, "classify");
  ck_assert_ptr_nonnull(strstr(world.ops->describe(task), "cpu"));
  struct pbt_text text = {0};
  ck_ok(world.ops->model_facts(task, &text));
  const struct pbt_data_header *data = world.data;
  char mean[64];
  snprintf(mean, sizeof mean, "mean = [%.9g]\n", (double)data->mean[0]);
  const char *const line[] = {"network = mlp\n",
                              "layer.dense1 = dense 32 relu\n",
                              "layer.output = dense 10\n",
                              "input = [1, 28, 28]\n",
                              "classes = 10\n",
                              mean};
  for (size_t i = 0; i < sizeof line / sizeof *line; i++) {
    ck_assert_msg(strstr(text.data, line[i]) != NULL, "%s in\n%s", line[i], text.data);
  }
  pbt_text_free(&text);
  world.ops->close(task);
  close_world(&world);
}
END_TEST

START_TEST(a_member_is_weighed_without_data) {
  struct world world = open_world();
  size_t bytes = 0;
  struct pbt_text about = {0};
  ck_ok(world.ops->measure(&world.job, &bytes, &about));
  ck_assert_ptr_nonnull(strstr(about.data, "dense1     dense 32 relu "));
  ck_assert_ptr_nonnull(strstr(about.data, "tiled"));
  pbt_text_free(&about);
  int64_t before = pbt_mem_bytes();
  struct pbt_task *task = open_task(&world, 0);
  double held = (double)(pbt_mem_bytes() - before);
  ck_assert_double_lt(fabs((double)bytes - held), 0.05 * held);
  world.ops->close(task);
  close_world(&world);
}
END_TEST

PBT_TEST_MAIN("task_classify", it_learns_and_scores_each_split,
              a_split_can_be_scored_in_parts,
              slices_add_up_and_scoring_between_them_changes_nothing,
              an_image_is_enough_to_go_on_from, a_receiver_keeps_its_own_stream,
              a_restart_is_fresh_but_for_the_step_count,
              hyperparameters_reach_the_optimiser, an_unknown_hyperparameter_is_refused,
              divergence_is_nan_and_no_error, data_that_does_not_fit_is_refused,
              a_task_says_what_it_is, a_member_is_weighed_without_data)
