/* world.h - a loaded data set and a LeNet-5 on the CPU backend, for the golden tests. */
#ifndef PBT_TESTS_GOLDEN_WORLD_H
#define PBT_TESTS_GOLDEN_WORLD_H

#include "base/memory.h"
#include "data/data.h"
#include "net/net.h"
#include "tests/test.h"

struct world {
  struct pbt_data_header *data;
  struct pbt_backend *backend;
  struct pbt_dataset *dataset;
  struct pbt_net *net;
  struct pbt_batch batch; // the shuffled training stream of member 0
};

static inline struct world open_world(const struct pbt_data_source *source, uint64_t seed,
                                      int32_t batch) {
  struct world world = {0};
  size_t bytes;
  ck_ok(pbt_data_probe(source, &bytes));
  ck_ok(pbt_mem_alloc(bytes, (void **)&world.data));
  ck_ok(pbt_data_load(source, world.data, bytes));
  const struct pbt_data_header *data = world.data;
  const struct pbt_backend_ops *ops = pbt_backend_find("cpu");
  const struct pbt_backend_options options = {.threads = 1};
  ck_ok(ops->open(&options, &world.backend));
  const struct pbt_images images = {.pixel = (const uint8_t *)data + data->pixel_offset,
                                    .label = (const uint8_t *)data + data->label_offset,
                                    .n =
                                        data->n_train + data->n_validation + data->n_test,
                                    .c = data->c,
                                    .h = data->h,
                                    .w = data->w,
                                    .n_class = data->n_class,
                                    .scale = {1.0f / (255.0f * data->deviation[0])},
                                    .shift = {-data->mean[0] / data->deviation[0]}};
  ck_ok(ops->data_open(world.backend, &images, &world.dataset));
  struct pbt_net_spec spec;
  ck_ok(pbt_net_lenet5((struct pbt_shape){data->c, data->h, data->w, 0}, data->n_class,
                       &spec));
  ck_ok(pbt_net_open(world.backend, &spec, &(struct pbt_net_options){.max_batch = batch},
                     &world.net));
  ck_ok(pbt_net_init(world.net, seed, 0, 0));
  world.batch = (struct pbt_batch){.dataset = world.dataset, .n = batch, .shuffle = true};
  pbt_data_range(data, PBT_SPLIT_TRAIN, &world.batch.begin, &world.batch.count);
  return world;
}

static inline double test_accuracy(struct world *world) {
  int64_t begin, count;
  struct pbt_tally tally;
  pbt_data_range(world->data, PBT_SPLIT_TEST, &begin, &count);
  ck_ok(pbt_net_evaluate(world->net, world->dataset, begin, count, &tally));
  return (double)tally.correct / (double)count;
}

static inline void close_world(struct world *world) {
  pbt_net_close(world->net);
  world->backend->ops->data_close(world->backend, world->dataset);
  world->backend->ops->close(world->backend);
  pbt_mem_free(world->data);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}

#endif
