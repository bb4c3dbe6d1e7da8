/* trainer.h - a network with its memory and data, one training step at a time. */
#ifndef PBT_TESTS_BENCH_TRAINER_H
#define PBT_TESTS_BENCH_TRAINER_H

#include "backend/backend.h"
#include "networks.h"

enum { BENCH_MAX_BATCH = 1024, BENCH_PHASES = 2 * BENCH_MAX_NODES + 3 };

struct trainer {
  const struct bench_network *net;
  struct pbt_backend *backend;
  const struct pbt_backend_ops *ops;
  struct pbt_layer *layer[BENCH_MAX_NODES];
  struct pbt_layer_io io[BENCH_MAX_NODES];
  struct pbt_dataset *dataset;
  struct pbt_batch batch;
  struct pbt_loss_io loss;
  struct pbt_update_io update;
  struct pbt_step *step;
  struct pbt_tally *tally;
  uint8_t *pixel, *label;
  void *memory[4 * BENCH_MAX_NODES]; // what to release
  int n_memory;
  double seconds[BENCH_PHASES]; // of the last timed step
};

/* Phases: forward of node i, backward of node i, and three more. */
static inline int phase_forward(int node) {
  return node;
}
static inline int phase_backward(int node) {
  return BENCH_MAX_NODES + node;
}
enum { PHASE_GATHER = 2 * BENCH_MAX_NODES, PHASE_LOSS, PHASE_UPDATE };

pbt_status trainer_open(struct trainer *t, const char *network,
                        const struct pbt_backend_options *options, int32_t batch);
void trainer_close(struct trainer *t); // after a failed open too

/* With `timed` each phase's seconds too. */
pbt_status trainer_step(struct trainer *t, bool timed);

/* One step whose loss is held against the loss of its logits in double.  The logits
 * themselves are what tests/backend checks. */
pbt_status trainer_validate(struct trainer *t);

/* Of a whole step: floating-point operations (a multiply-add is two; forward, dweight and
 * dx, the last not for the first layer), and bytes.  Bytes: every activation or gradient
 * larger than the second-level cache (1 MiB), without halo, once for each layer that must
 * read it and once for the one that writes it.  NORM reads x and skip and writes y;
 * backward it reads dy, x and, for the ReLU's mask over a skip, y. */
double trainer_flops(const struct trainer *t, int phase);
double trainer_bytes(const struct trainer *t, int phase);

#endif
