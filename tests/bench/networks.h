/* networks.h - the networks that the benchmarks time, as lists of layers. */
#ifndef PBT_TESTS_BENCH_NETWORKS_H
#define PBT_TESTS_BENCH_NETWORKS_H

#include "backend/backend.h"

enum { BENCH_MAX_NODES = 64, BENCH_CLASSES = 10 };

/* One layer and where its inputs come from: a node's index, or -1 for the images. */
struct bench_node {
  char name[32];
  struct pbt_layer_desc desc;
  int input, skip; // skip only where desc.skip.c > 0
};

struct bench_network {
  const char *name;
  struct pbt_shape image; // with the halo that the first layer wants
  int n;
  struct bench_node node[BENCH_MAX_NODES];
};

/* "lenet5" or "resnet20" (He et al. 2015, for CIFAR-10: three stages of three blocks, 16,
 * 32 and 64 channels, option A shortcuts, 269,722 parameters); NULL for other names. */
const struct bench_network *bench_network(const char *name);

int64_t bench_weights(const struct pbt_layer_desc *desc); // NORM: its scales
int64_t bench_biases(const struct pbt_layer_desc *desc);  // NORM: its shifts

/* Of one product (forward, dweight or dx) of a sample; 0 where nothing is multiplied.
 * A tap on the halo counts like any other, as is usual. */
double bench_flops(const struct pbt_layer_desc *desc);

#endif
