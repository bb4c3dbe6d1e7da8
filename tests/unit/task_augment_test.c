/* Augmentation seen through task.h: it changes what is trained on and nothing else, and
 * follows the sample's place in the stream, so that cutting and resuming change no bit.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "task/task.h"
#include "tests/test.h"

static const struct pbt_task_ops *ops;
static struct pbt_job job;
static void *data;

static void open_world(void) {
  job = (struct pbt_job){.seed = 5, .threads = 1, .backend = PBT_BACKEND_CPU};
  job.task.kind = PBT_TASK_CLASSIFY;
  job.network.kind = PBT_NETWORK_MLP;
  job.network.n_hidden = 1;
  job.network.hidden[0] = 16;
  job.data.kind = PBT_DATA_DIGITS;
  job.data.train_size = 400;
  job.data.test_size = 100;
  job.data.validation = 0.2;
  job.optimizer.batch_size = 30; // ragged blocks, batches across epochs
  job.optimizer.lr = 0.05;
  job.augment.rotation = 10;
  job.augment.brightness = 0.1;
  job.search.n = 2;
  job.search.hparam[0] =
      (struct pbt_hparam){.name = "shift", .kind = PBT_REAL, .high = 4};
  job.search.hparam[1] = (struct pbt_hparam){.name = "flip", .kind = PBT_REAL, .high = 1};
  ops = pbt_task_find(PBT_TASK_CLASSIFY);
  size_t bytes;
  ck_ok(ops->data_probe(&job, &bytes));
  ck_ok(pbt_mem_alloc(bytes, &data));
  ck_ok(ops->data_load(&job, data, bytes));
}

static void close_world(void) {
  pbt_mem_free(data);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}

static struct pbt_task *open_task(double shift, double flip) {
  const struct pbt_task_env env = {.job = &job, .data = data, .member = 3};
  struct pbt_task *task = NULL;
  ck_ok(ops->open(&env, &task));
  ck_ok(ops->set_hparams(task, (double[]){shift, flip}));
  return task;
}

static void train(struct pbt_task *task, int64_t steps) {
  struct pbt_train_report report;
  ck_ok(pbt_task_train(task, steps, &report));
}

static bool same_state(struct pbt_task *a, struct pbt_task *b) {
  size_t bytes = ops->state(a)->bytes;
  char *x = malloc(bytes), *y = malloc(bytes);
  ck_ok(ops->state_read(a, 0, bytes, x));
  ck_ok(ops->state_read(b, 0, bytes, y));
  bool same = memcmp(x, y, bytes) == 0;
  free(x);
  free(y);
  return same;
}

START_TEST(training_in_parts_is_training_in_one) {
  open_world();
  struct pbt_task *whole = open_task(2, 0.5), *parts = open_task(2, 0.5);
  train(whole, 50);
  train(parts, 7);
  train(parts, 43);
  ck_assert(same_state(whole, parts));
  ops->close(whole);
  ops->close(parts);
  close_world();
}
END_TEST

START_TEST(a_restored_state_goes_on_the_same) {
  open_world();
  struct pbt_task *whole = open_task(1.5, 0.5), *resumed = open_task(1.5, 0.5);
  train(whole, 20);
  size_t bytes = ops->state(whole)->bytes;
  char *image = malloc(bytes);
  ck_ok(ops->state_read(whole, 0, bytes, image));
  ck_ok(ops->state_write(resumed, 0, bytes, image));
  free(image);
  train(whole, 15);
  train(resumed, 15);
  ck_assert(same_state(whole, resumed));
  ops->close(whole);
  ops->close(resumed);
  close_world();
}
END_TEST

START_TEST(each_value_tells_in_training_and_none_in_scoring) {
  open_world();
  struct pbt_task *some = open_task(2, 0.5), *other = open_task(2, 0.6);
  train(some, 20);
  train(other, 20);
  ck_assert(!same_state(some, other));
  struct pbt_scores before, after;
  ck_ok(pbt_task_evaluate(some, PBT_SPLIT_VALIDATION, (struct pbt_part){0}, &before));
  ck_ok(ops->set_hparams(some, (double[]){4, 1}));
  ck_ok(pbt_task_evaluate(some, PBT_SPLIT_VALIDATION, (struct pbt_part){0}, &after));
  ck_assert_double_eq(before.loss, after.loss);
  ops->close(some);
  ops->close(other);
  close_world();
}
END_TEST

START_TEST(zero_is_the_same_as_none) {
  open_world();
  job.augment.rotation = job.augment.brightness = 0;
  struct pbt_task *zero = open_task(0, 0);
  job.search.n = 0;
  struct pbt_task *none = open_task(0, 0);
  train(zero, 30);
  train(none, 30);
  ck_assert(same_state(zero, none));
  ops->close(zero);
  ops->close(none);
  close_world();
}
END_TEST

PBT_TEST_MAIN("task_augment", training_in_parts_is_training_in_one,
              a_restored_state_goes_on_the_same,
              each_value_tells_in_training_and_none_in_scoring, zero_is_the_same_as_none)
