/* Networks whole on CUDA: the cpu's curve, the same bits again, resumed and transferred
 * bitwise, one data set for many members, and no waiting within a slice. */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "net/net.h"
#include "support.h"
#include "tests/test.h"

enum { IMAGES = 96, SIDE = 16, CLASSES = 4, BATCH = 8, CURVE = 50 };

static uint8_t pixel[IMAGES * SIDE * SIDE], label[IMAGES];
static struct pbt_images images = {.pixel = pixel,
                                   .label = label,
                                   .n = IMAGES,
                                   .c = 1,
                                   .h = SIDE,
                                   .w = SIDE,
                                   .n_class = CLASSES,
                                   .scale = {1.0F / 128},
                                   .shift = {-0.8F}};

static void draw(void) {
  uint64_t state = 1;
  for (int i = 0; i < IMAGES; i++) {
    label[i] = (uint8_t)(i % CLASSES);
    for (int k = 0; k < SIDE * SIDE; k++) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      bool bright = k / SIDE / 4 == label[i];
      pixel[i * SIDE * SIDE + k] = (uint8_t)((state >> 57) + (bright ? 100 : 0));
    }
  }
}

struct member {
  struct pbt_backend *backend;
  struct pbt_dataset *dataset;
  struct pbt_net *net;
  struct pbt_batch batch;
};

static struct member member_open(const char *backend, uint32_t id) {
  struct member m = {0};
  const struct pbt_backend_options options = {.threads = 1,
                                              .precision = support_precision()};
  ck_ok(pbt_backend_find(backend)->open(&options, &m.backend));
  ck_ok(m.backend->ops->data_open(m.backend, &images, &m.dataset));
  static const char *const layer[] = {"conv 4 5x5 pad 2 relu pool 2",
                                      "conv 8 3x3 pad 1",
                                      "norm relu",
                                      "pool mean 2",
                                      "dropout",
                                      "dense 12 relu",
                                      "dense classes"};
  struct pbt_net_spec spec;
  struct pbt_shape in = {.c = 1, .h = SIDE, .w = SIDE};
  ck_ok(pbt_net_parse("small", in, CLASSES, layer, sizeof layer / sizeof *layer, &spec));
  const struct pbt_net_options net = {.max_batch = BATCH, .optimizer = PBT_ADAM};
  ck_ok(pbt_net_open(m.backend, &spec, &net, &m.net));
  const struct pbt_hyper hyper = {.lr = 0.003F,
                                  .beta1 = 0.9F,
                                  .beta2 = 0.999F,
                                  .epsilon = 1e-8F,
                                  .clip_norm = 1,
                                  .dropout = 0.2F,
                                  .label_smoothing = 0.05F,
                                  .shift = 1,
                                  .flip = 0.5F};
  ck_ok(pbt_net_set_hyper(m.net, &hyper));
  ck_ok(pbt_net_init(m.net, 11, id, 0));
  m.batch = (struct pbt_batch){.dataset = m.dataset,
                               .count = IMAGES,
                               .n = BATCH,
                               .shuffle = true,
                               .augment = true};
  return m;
}

static void member_close(struct member *m) {
  pbt_net_close(m->net);
  m->backend->ops->data_close(m->backend, m->dataset);
  m->backend->ops->close(m->backend);
}

static double train(struct member *m, int64_t steps) {
  struct pbt_tally tally;
  ck_ok(pbt_net_train(m->net, &m->batch, steps, &tally));
  ck_assert_int_eq(tally.count, steps * BATCH);
  return tally.loss / (double)tally.count;
}

static double score(struct member *m) {
  struct pbt_tally tally;
  ck_ok(pbt_net_evaluate(m->net, m->dataset, 0, IMAGES, &tally));
  ck_assert_int_eq(tally.count, IMAGES);
  return tally.loss;
}

/* The whole state, in counted memory. */
static void *image_of(struct member *m, size_t *bytes) {
  void *image = NULL;
  *bytes = pbt_net_state(m->net)->bytes;
  ck_ok(pbt_mem_alloc(*bytes, &image));
  ck_ok(pbt_net_state_read(m->net, 0, *bytes, image));
  return image;
}

static void same_state(struct member *a, struct member *b) {
  size_t n, other;
  void *first = image_of(a, &n), *second = image_of(b, &other);
  ck_assert_uint_eq(n, other);
  ck_assert_mem_eq(first, second, n);
  pbt_mem_free(first);
  pbt_mem_free(second);
}

START_TEST(fifty_steps_follow_the_cpu) {
  struct member cpu = member_open("cpu", 0), cuda = member_open("cuda", 0);
  double first = 0, last = 0;
  double tolerance = support_precision() == PBT_BF16 ? 1e-2 : 2e-3;
  for (int i = 0; i < CURVE / 5; i++) {
    double a = train(&cpu, 5), b = train(&cuda, 5);
    ck_assert_msg(fabs(a - b) <= tolerance * (i + 1) * a,
                  "steps %d to %d: %.8g, cpu %.8g", 5 * i, 5 * i + 4, b, a);
    first = i == 0 ? b : first;
    last = b;
  }
  ck_assert_double_lt(last, 0.7 * first); // and they learn
  ck_assert_double_eq_tol(score(&cuda), score(&cpu), 0.02 * score(&cpu));
  member_close(&cpu);
  member_close(&cuda);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

START_TEST(the_same_steps_give_the_same_bits) {
  struct member a = member_open("cuda", 1), b = member_open("cuda", 1);
  train(&a, 12);
  for (int i = 0; i < 12; i++) { // one by one, and recorded in another order of slices
    train(&b, 1);
  }
  same_state(&a, &b);
  member_close(&a);
  member_close(&b);
}
END_TEST

START_TEST(a_resumed_member_goes_on_bitwise) {
  struct member whole = member_open("cuda", 2), other = member_open("cuda", 2);
  train(&whole, 7);
  size_t n;
  void *saved = image_of(&whole, &n);
  train(&whole, 6);
  score(&whole);
  train(&whole, 3);
  train(&other, 2); // anything
  ck_ok(pbt_net_state_write(other.net, 0, n, saved));
  train(&other, 9);
  same_state(&whole, &other);
  pbt_mem_free(saved);
  member_close(&whole);
  member_close(&other);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

START_TEST(scoring_leaves_the_state_alone) {
  struct member m = member_open("cuda", 3);
  train(&m, 3);
  size_t n;
  void *before = image_of(&m, &n);
  double loss = score(&m);
  ck_assert_double_eq(score(&m), loss);
  void *after = image_of(&m, &n);
  ck_assert_mem_eq(before, after, n);
  pbt_mem_free(before);
  pbt_mem_free(after);
  member_close(&m);
}
END_TEST

static int64_t host_waits(const struct member *m) {
  static int64_t (*waits)(const struct pbt_backend *);
  if (waits == NULL) {
    void *module = dlopen(getenv("PBT_CUDA_MODULE"), RTLD_NOW);
    ck_assert_ptr_nonnull(module);
    *(void **)&waits = dlsym(module, "pbt_cuda_waits");
    ck_assert_ptr_nonnull(waits);
  }
  return waits(m->backend);
}

/* How often the host waits in a slice does not depend on its steps. */
START_TEST(nothing_waits_within_a_slice) {
  struct member m = member_open("cuda", 4);
  train(&m, 3);
  int64_t before = host_waits(&m);
  train(&m, 1);
  int64_t one = host_waits(&m) - before;
  ck_assert_int_gt(one, 0); // the slice's totals are read
  before = host_waits(&m);
  train(&m, 30);
  ck_assert_int_eq(host_waits(&m) - before, one);
  member_close(&m);
}
END_TEST

static pbt_status no_work(void *context) {
  (void)context;
  return PBT_OK;
}

START_TEST(a_slice_is_queued_whole_and_more_is_not) {
  struct member m = member_open("cuda", 5);
  const struct pbt_backend_ops *ops = m.backend->ops;
  struct pbt_step *step = NULL, read;
  ck_ok(ops->allocate(m.backend, sizeof *step, (void **)&step));
  ck_ok(ops->repeat(m.backend, 9, 2, step, no_work, NULL));
  ck_ok(ops->finish(m.backend));
  int64_t before = host_waits(&m);
  ck_ok(ops->repeat(m.backend, 9, PBT_BACKEND_QUEUE, step, no_work, NULL));
  ck_assert_int_eq(host_waits(&m), before);
  ck_ok(ops->repeat(m.backend, 9, 5 * PBT_BACKEND_QUEUE, step, no_work, NULL));
  ck_assert_int_eq(host_waits(&m), before + 3); // the last two are under way
  ck_ok(ops->read(m.backend, &read, step, sizeof read));
  ck_assert_int_eq(read.step, 2 + 6 * PBT_BACKEND_QUEUE);
  ops->release(m.backend, step);
  member_close(&m);
}
END_TEST

/* Begun on all before any is awaited: no waiting in between, and the bits of one after
 * the other. */
START_TEST(members_overlap_and_stay_themselves) {
  enum { MEMBERS = 3 };
  struct member m[MEMBERS], alone[MEMBERS];
  struct pbt_tally tally[MEMBERS];
  int64_t before = 0, after = 0;
  for (uint32_t i = 0; i < MEMBERS; i++) {
    m[i] = member_open("cuda", i);
    alone[i] = member_open("cuda", i);
    train(&m[i], 3);
  }
  for (int i = 0; i < MEMBERS; i++) {
    before += host_waits(&m[i]);
    ck_ok(pbt_net_train_begin(m[i].net, &m[i].batch, 4));
    after += host_waits(&m[i]);
  }
  ck_assert_int_eq(after, before);
  for (int i = MEMBERS; i-- > 0;) { // awaited in any order
    ck_ok(pbt_net_collect(m[i].net, &tally[i]));
    ck_assert_int_eq(tally[i].count, 4 * BATCH);
  }
  for (int i = 0; i < MEMBERS; i++) {
    ck_ok(pbt_net_evaluate_begin(m[i].net, m[i].dataset, 0, IMAGES - 3));
  }
  for (int i = 0; i < MEMBERS; i++) {
    struct pbt_tally scored;
    ck_ok(pbt_net_collect(m[i].net, &tally[i]));
    train(&alone[i], 7);
    ck_ok(pbt_net_evaluate(alone[i].net, alone[i].dataset, 0, IMAGES - 3, &scored));
    ck_assert_mem_eq(&scored, &tally[i], sizeof scored);
    same_state(&m[i], &alone[i]);
  }
  for (int i = 0; i < MEMBERS; i++) {
    member_close(&m[i]);
    member_close(&alone[i]);
  }
}
END_TEST

/* A member takes another's state on the device, and the donor goes on at once. */
START_TEST(a_copy_on_the_device_is_in_order) {
  struct member a = member_open("cuda", 1), b = member_open("cuda", 2);
  struct member donor = member_open("cuda", 1);
  train(&a, 5);
  train(&donor, 5);
  train(&b, 1);
  int64_t before = host_waits(&a) + host_waits(&b);
  ck_ok(pbt_net_state_copy(b.net, a.net));
  ck_ok(pbt_net_train_begin(a.net, &a.batch, 2)); // may not reach the copy
  ck_assert_int_eq(host_waits(&a) + host_waits(&b), before);
  struct pbt_tally tally;
  ck_ok(pbt_net_collect(a.net, &tally));
  size_t travels = pbt_net_state(b.net)->travel_bytes, n;
  char *got = image_of(&b, &n), *sent = image_of(&donor, &n);
  ck_assert_mem_eq(got, sent, travels);
  int64_t step;
  memcpy(&step, got + pbt_state_find(pbt_net_state(b.net), "step")->offset, sizeof step);
  ck_assert_int_eq(step, 1); // its own
  pbt_mem_free(got);
  pbt_mem_free(sent);
  train(&donor, 2);
  same_state(&a, &donor);
  member_close(&a);
  member_close(&b);
  member_close(&donor);
}
END_TEST

/* Products and plans are kept for some batch sizes; all others are as good. */
START_TEST(any_number_of_batch_sizes) {
  struct member m = member_open("cuda", 6);
  double loss[BATCH];
  train(&m, 2);
  for (int round = 0; round < 2; round++) {
    for (int rest = 1; rest < BATCH; rest++) {
      struct pbt_tally tally;
      ck_ok(pbt_net_evaluate(m.net, m.dataset, 0, BATCH + rest, &tally));
      ck_assert_int_eq(tally.count, BATCH + rest);
      ck_assert(round == 0 || tally.loss == loss[rest]);
      ck_assert(rest == 1 || tally.loss > loss[rest - 1]);
      loss[rest] = tally.loss;
    }
  }
  train(&m, 2);
  member_close(&m);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

/* Engines are tried on memory of their own and all but one given back. */
START_TEST(timed_engines_compute_the_same) {
  struct member plain = member_open("cuda", 7);
  setenv("PBT_CUDA_TIME_ENGINES", "1", 1);
  setenv("PBT_CUDA_ANY_ENGINE", "1", 1);
  struct member timed = member_open("cuda", 7);
  ck_assert_ptr_nonnull(
      strstr(timed.backend->ops->describe(timed.backend), "any engine"));
  double a = train(&plain, 4), b = train(&timed, 4);
  ck_assert_double_eq_tol(a, b, 1e-2 * a);
  member_close(&plain);
  member_close(&timed);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

START_TEST(members_share_one_data_set) {
  struct member m[3];
  for (int i = 0; i < 3; i++) {
    m[i] = member_open("cuda", (uint32_t)i);
  }
  struct member alone = member_open("cuda", 1);
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 3; i++) {
      train(&m[i], 2);
    }
  }
  train(&alone, 6);
  same_state(&m[1], &alone);
  member_close(&m[0]);
  train(&m[2], 1); // the data set stays while anybody uses it
  member_close(&m[2]);
  member_close(&m[1]);
  member_close(&alone);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

int main(void) {
  const char *wanted = getenv("PBT_TEST_BACKEND");
  if (wanted == NULL || strcmp(wanted, "cuda") != 0) {
    printf("SKIP: needs a GPU (PBT_TEST_BACKEND is not cuda)\n");
    return 77;
  }
  int skip = support_skip();
  if (skip != 0) {
    return skip;
  }
  draw();
  const TTest *const list[] = {
      fifty_steps_follow_the_cpu,          the_same_steps_give_the_same_bits,
      a_resumed_member_goes_on_bitwise,    scoring_leaves_the_state_alone,
      nothing_waits_within_a_slice,        a_slice_is_queued_whole_and_more_is_not,
      members_overlap_and_stay_themselves, a_copy_on_the_device_is_in_order,
      members_share_one_data_set,          any_number_of_batch_sizes,
      timed_engines_compute_the_same};
  return pbt_run_suite("cuda", list, sizeof list / sizeof *list, CK_FORK);
}
