/*
 * evaluate - what scoring 10,000 images costs beside training on as many: LeNet-5, batch
 * 64, one thread, processor time, median of alternating rounds.
 *
 * By arithmetic a third and a little: training is a forward pass and a backward pass of
 * twice the work, less the gradient of the input.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "net/net.h"

enum { IMAGES = 10000, PIXELS = 784, BATCH = 64, ROUNDS = 15 };

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double value[ROUNDS]) {
  qsort(value, ROUNDS, sizeof *value, compare);
  return value[ROUNDS / 2];
}

static pbt_status measure(struct pbt_net *net, const struct pbt_dataset *dataset,
                          double train[], double evaluate[]) {
  const struct pbt_batch batch = {
      .dataset = dataset, .count = IMAGES, .n = BATCH, .shuffle = true};
  struct pbt_tally tally;
  for (int i = 0; i < ROUNDS; i++) {
    double begin = seconds();
    PBT_TRY(pbt_net_train(net, &batch, IMAGES / BATCH, &tally));
    train[i] = (seconds() - begin) / (double)tally.count;
    begin = seconds();
    PBT_TRY(pbt_net_evaluate(net, dataset, 0, IMAGES, &tally));
    evaluate[i] = (seconds() - begin) / (double)tally.count;
  }
  return PBT_OK;
}

static pbt_status run(void) {
  static uint8_t pixel[IMAGES * PIXELS], label[IMAGES];
  for (int i = 0; i < IMAGES * PIXELS; i++) {
    pixel[i] = (uint8_t)(i * 2654435761U >> 24);
  }
  for (int i = 0; i < IMAGES; i++) {
    label[i] = (uint8_t)(i % 10);
  }
  const struct pbt_images images = {.pixel = pixel,
                                    .label = label,
                                    .n = IMAGES,
                                    .c = 1,
                                    .h = 28,
                                    .w = 28,
                                    .n_class = 10,
                                    .scale = {1 / 64.0F},
                                    .shift = {-2}};
  const struct pbt_backend_ops *ops = pbt_backend_find("cpu");
  struct pbt_backend *backend = NULL;
  struct pbt_dataset *dataset = NULL;
  struct pbt_net *net = NULL;
  struct pbt_net_spec spec;
  PBT_TRY(ops->open(&(struct pbt_backend_options){.threads = 1}, &backend));
  PBT_TRY(ops->data_open(backend, &images, &dataset));
  PBT_TRY(pbt_net_lenet5((struct pbt_shape){1, 28, 28, 0}, 10, &spec));
  PBT_TRY(
      pbt_net_open(backend, &spec, &(struct pbt_net_options){.max_batch = BATCH}, &net));
  PBT_TRY(pbt_net_init(net, 1, 0, 0));
  const struct pbt_hyper hyper = {.lr = 0.001F, .momentum = 0.9F};
  PBT_TRY(pbt_net_set_hyper(net, &hyper));
  double train[ROUNDS], evaluate[ROUNDS];
  PBT_TRY(measure(net, dataset, train, evaluate));
  double a = median(train), b = median(evaluate);
  printf("%s: training %.2f us an image, scoring %.2f us: %.3f of it\n",
         ops->describe(backend), a * 1e6, b * 1e6, b / a);
  pbt_net_close(net);
  ops->data_close(backend, dataset);
  ops->close(backend);
  return PBT_OK;
}

int main(void) {
  pbt_status status = run();
  if (status != PBT_OK) {
    fprintf(stderr, "evaluate: %s\n", pbt_error());
  }
  return status == PBT_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
