/*
 * An open network: memory, and the step that trains it.
 *
 * Parameters, velocities and the gradient share one layout (each tensor at the same
 * offset from the head of its part), so the optimiser is one call over one array; the
 * gaps between tensors are zero and stay zero.  What changes from slice to slice goes to
 * the backend in one struct pbt_step; the member's own step count is copied from the
 * arena into it before a slice and back after, so that the image stays complete and holds
 * nothing else.  No memory is allocated after open.
 */
#include "net/internal.h"

#include "base/digest.h" // pbt_digest
#include "base/memory.h" // pbt_mem_alloc
#include "base/rng.h"    // PBT_RNG_INIT

#include <math.h> // sqrt: exact by IEEE 754
#include <string.h>

enum { MAX_BLOCKS = 5 + 2 * (PBT_MAX_LAYERS + 1) };

static float *at(const struct pbt_net_block *block, size_t offset) {
  return (float *)((uint8_t *)block->memory + offset);
}

static const struct pbt_tensor *step_tensor(const struct pbt_net *net) {
  return &net->tensor[net->state.n - 1];
}

static struct pbt_shape value_shape(const struct pbt_net *net, int32_t i) {
  return i == 0 ? net->plan.in : net->plan.layer[i - 1].out;
}

/* Sets every block's size and lists the blocks; returns how many. */
static int size_blocks(struct pbt_net *net, const struct pbt_backend *backend,
                       struct pbt_net_block *list[MAX_BLOCKS]) {
  net->arena.bytes = net->state.bytes;
  net->gradient.bytes = net->state.weight_bytes;
  net->label.bytes = (size_t)net->max_batch * sizeof(int32_t);
  net->step.bytes = sizeof(struct pbt_step);
  net->tally.bytes = sizeof(struct pbt_tally);
  struct pbt_net_block *const first[] = {&net->arena, &net->gradient, &net->label,
                                         &net->step, &net->tally};
  int n = 0;
  for (; n < (int)(sizeof first / sizeof *first); n++) {
    list[n] = first[n];
  }
  for (int32_t i = 0; i <= net->plan.n_layer; i++) {
    net->value[i].bytes =
        backend->ops->activation_bytes(backend, value_shape(net, i), net->max_batch);
    list[n++] = &net->value[i];
    if (i > 0) {
      net->slope[i].bytes = net->value[i].bytes;
      list[n++] = &net->slope[i];
    }
  }
  return n;
}

/* Everything that needs no backend memory. */
static pbt_status draft(const struct pbt_net_spec *spec, int32_t max_batch,
                        struct pbt_net **net) {
  if (max_batch < 1) {
    return pbt_fail(PBT_ERR_DATA, "a batch of %d samples", max_batch);
  }
  struct pbt_net *made = NULL;
  PBT_TRY(PBT_NEW(1, &made));
  made->spec = *spec;
  made->max_batch = max_batch;
  pbt_status status = pbt_net_plan(spec, &made->plan);
  if (status == PBT_OK) {
    size_t n = pbt_net_tensors(spec, &made->plan, made->tensor);
    status = pbt_state_layout(made->tensor, n, &made->state);
  }
  if (status != PBT_OK) {
    pbt_mem_free(made);
    return status;
  }
  *net = made;
  return PBT_OK;
}

pbt_status pbt_net_open(struct pbt_backend *backend, const struct pbt_net_spec *spec,
                        int32_t max_batch, struct pbt_net **net) {
  struct pbt_net *made = NULL;
  PBT_TRY(draft(spec, max_batch, &made));
  made->backend = backend;
  pbt_status status = PBT_OK;
  struct pbt_net_block *list[MAX_BLOCKS];
  int n = size_blocks(made, backend, list);
  for (int i = 0; i < n; i++) {
    PBT_TRY_TO(done, status,
               backend->ops->allocate(backend, list[i]->bytes, &list[i]->memory));
    made->bytes += list[i]->bytes;
  }
  for (int32_t i = 0; i < made->plan.n_layer; i++) {
    PBT_TRY_TO(done, status,
               backend->ops->layer_open(backend, &made->plan.layer[i], max_batch,
                                        &made->layer[i]));
  }
  *net = made;
  made = NULL;
done:
  pbt_net_close(made);
  return status;
}

void pbt_net_close(struct pbt_net *net) {
  if (net == NULL) {
    return;
  }
  const struct pbt_backend_ops *ops = net->backend->ops;
  for (int32_t i = 0; i < net->plan.n_layer; i++) {
    if (net->layer[i] != NULL) {
      ops->layer_close(net->backend, net->layer[i]);
    }
  }
  struct pbt_net_block *list[MAX_BLOCKS];
  int n = size_blocks(net, net->backend, list);
  for (int i = 0; i < n; i++) {
    ops->release(net->backend, list[i]->memory);
  }
  pbt_mem_free(net);
}

pbt_status pbt_net_init(struct pbt_net *net, uint64_t seed, uint32_t member,
                        uint64_t restart) {
  net->seed = seed;
  net->member = member;
  uint8_t *image = NULL;
  PBT_TRY(pbt_mem_alloc(net->state.bytes, (void **)&image));
  struct pbt_rng rng = pbt_rng_open(seed, member, PBT_RNG_INIT, restart);
  for (int32_t i = 0; i < net->plan.n_layer; i++) {
    double gain = i + 1 < net->plan.n_layer ? 2.0 : 1.0;
    double deviation = sqrt(gain / (double)net->plan.fan_in[i]);
    const struct pbt_tensor *tensor = &net->tensor[2 * i];
    float *weight = (float *)(image + tensor->offset);
    for (int64_t k = 0; k < pbt_tensor_count(tensor); k++) {
      weight[k] = (float)(deviation * pbt_rng_normal(&rng));
    }
  }
  pbt_status status = pbt_net_state_write(net, 0, net->state.bytes, image);
  pbt_mem_free(image);
  return status;
}

const struct pbt_state *pbt_net_state(const struct pbt_net *net) {
  return &net->state;
}

static pbt_status check_range(const struct pbt_net *net, size_t offset, size_t bytes) {
  bool inside = offset <= net->state.bytes && bytes <= net->state.bytes - offset;
  return inside ? PBT_OK : PBT_BUG("a range outside the state's image");
}

pbt_status pbt_net_state_read(struct pbt_net *net, size_t offset, size_t bytes,
                              void *to) {
  PBT_TRY(check_range(net, offset, bytes));
  return net->backend->ops->read(net->backend, to, at(&net->arena, offset), bytes);
}

pbt_status pbt_net_state_write(struct pbt_net *net, size_t offset, size_t bytes,
                               const void *from) {
  PBT_TRY(check_range(net, offset, bytes));
  return net->backend->ops->write(net->backend, at(&net->arena, offset), from, bytes);
}

void *pbt_net_state_map(struct pbt_net *net) {
  return net->backend->ops->host_memory ? net->arena.memory : NULL;
}

pbt_status pbt_net_set_hyper(struct pbt_net *net, const struct pbt_hyper *hyper) {
  net->hyper = *hyper;
  return PBT_OK;
}

/* The pointers of layer i; those of the backward pass too. */
static struct pbt_layer_io layer_io(const struct pbt_net *net, int32_t i, int32_t n) {
  size_t weight = net->tensor[2 * i].offset, bias = net->tensor[2 * i + 1].offset;
  return (struct pbt_layer_io){.n = n,
                               .x = net->value[i].memory,
                               .y = net->value[i + 1].memory,
                               .weight = at(&net->arena, weight),
                               .bias = at(&net->arena, bias),
                               .dy = net->slope[i + 1].memory,
                               .dx = net->slope[i].memory,
                               .dweight = at(&net->gradient, weight),
                               .dbias = at(&net->gradient, bias)};
}

/* Gathers a batch and runs all layers over it. */
static pbt_status run_forward(struct pbt_net *net, const struct pbt_batch *batch) {
  const struct pbt_backend_ops *ops = net->backend->ops;
  PBT_TRY(ops->gather(net->backend, batch, net->plan.in, net->value[0].memory,
                      net->label.memory));
  for (int32_t i = 0; i < net->plan.n_layer; i++) {
    struct pbt_layer_io io = layer_io(net, i, batch->n);
    PBT_TRY(ops->forward(net->backend, net->layer[i], &io));
  }
  return PBT_OK;
}

static pbt_status run_loss(struct pbt_net *net, int32_t n, bool training) {
  int32_t last = net->plan.n_layer;
  const struct pbt_loss_io io = {.n = n,
                                 .n_class = net->spec.n_class,
                                 .logit = net->value[last].memory,
                                 .label = net->label.memory,
                                 .dlogit = training ? net->slope[last].memory : NULL,
                                 .step = net->step.memory,
                                 .tally = net->tally.memory,
                                 .by_class = !training};
  return net->backend->ops->loss(net->backend, &io);
}

static pbt_status train_step(void *context) {
  struct pbt_net *net = context;
  const struct pbt_backend_ops *ops = net->backend->ops;
  PBT_TRY(run_forward(net, &net->batch));
  PBT_TRY(run_loss(net, net->batch.n, true));
  for (int32_t i = net->plan.n_layer; i-- > 0;) {
    struct pbt_layer_io io = layer_io(net, i, net->batch.n);
    PBT_TRY(ops->backward(net->backend, net->layer[i], &io));
  }
  const struct pbt_update_io update = {
      .n = (int64_t)(net->state.weight_bytes / sizeof(float)),
      .weight = net->arena.memory,
      .gradient = net->gradient.memory,
      .moment = {at(&net->arena, net->state.weight_bytes)},
      .step = net->step.memory};
  return ops->update(net->backend, &update);
}

/* Tells apart what repeat() may record: training and scoring, and on which samples. */
static uint64_t batch_key(const struct pbt_batch *batch) {
  const uint64_t part[] = {(uint64_t)(uintptr_t)batch->dataset,
                           (uint64_t)batch->begin,
                           (uint64_t)batch->count,
                           (uint64_t)batch->first,
                           (uint64_t)batch->n,
                           1 + 2 * (uint64_t)batch->shuffle +
                               4 * (uint64_t)batch->augment};
  return pbt_digest(part, sizeof part);
}

static pbt_status clear_tally(struct pbt_net *net) {
  const struct pbt_tally zero = {0};
  return net->backend->ops->write(net->backend, net->tally.memory, &zero, sizeof zero);
}

pbt_status pbt_net_train(struct pbt_net *net, const struct pbt_batch *batch,
                         int64_t n_steps, struct pbt_tally *tally) {
  const struct pbt_backend_ops *ops = net->backend->ops;
  if (batch->n < 1 || batch->n > net->max_batch) {
    return PBT_BUG("a batch that the network was not opened for");
  }
  size_t offset = step_tensor(net)->offset;
  struct pbt_step step = {.seed = net->seed, .member = net->member, .hyper = net->hyper};
  PBT_TRY(pbt_net_state_read(net, offset, sizeof step.step, &step.step));
  PBT_TRY(ops->write(net->backend, net->step.memory, &step, sizeof step));
  PBT_TRY(clear_tally(net));
  net->batch = *batch;
  net->batch.step = net->step.memory;
  PBT_TRY(ops->repeat(net->backend, batch_key(&net->batch), n_steps, net->step.memory,
                      train_step, net));
  PBT_TRY(ops->read(net->backend, tally, net->tally.memory, sizeof *tally));
  PBT_TRY(ops->read(net->backend, &step, net->step.memory, sizeof step));
  return pbt_net_state_write(net, offset, sizeof step.step, &step.step);
}

static pbt_status score_batch(void *context) {
  struct pbt_net *net = context;
  PBT_TRY(run_forward(net, &net->batch));
  return run_loss(net, net->batch.n, false);
}

/* Scores n_batches batches of n samples from position `first` on. */
static pbt_status score(struct pbt_net *net, int64_t first, int32_t n,
                        int64_t n_batches) {
  const struct pbt_step zero = {.step = 0};
  PBT_TRY(net->backend->ops->write(net->backend, net->step.memory, &zero, sizeof zero));
  net->batch.first = first;
  net->batch.n = n;
  return net->backend->ops->repeat(net->backend, batch_key(&net->batch), n_batches,
                                   net->step.memory, score_batch, net);
}

pbt_status pbt_net_evaluate(struct pbt_net *net, const struct pbt_dataset *dataset,
                            int64_t begin, int64_t count, struct pbt_tally *tally) {
  PBT_TRY(clear_tally(net));
  net->batch = (struct pbt_batch){
      .dataset = dataset, .begin = begin, .count = count, .step = net->step.memory};
  int64_t whole = count / net->max_batch;
  int32_t rest = (int32_t)(count % net->max_batch);
  if (whole > 0) {
    PBT_TRY(score(net, 0, net->max_batch, whole));
  }
  if (rest > 0) {
    PBT_TRY(score(net, count - rest, rest, 1));
  }
  return net->backend->ops->read(net->backend, tally, net->tally.memory, sizeof *tally);
}

double pbt_net_step_flops(const struct pbt_net *net, int32_t n) {
  return 3.0 * 2.0 * (double)net->plan.multiply_adds * (double)n;
}

size_t pbt_net_bytes(const struct pbt_net *net) {
  return net->bytes;
}
