/*
 * The training step and the scoring of a network.
 *
 * What changes from slice to slice goes to the backend in one struct pbt_step; the
 * member's own step count is copied from the arena into it before a slice and back after,
 * within backend memory, so that the image stays complete and nobody waits.
 */
#include "net/internal.h"

#include "base/digest.h" // pbt_digest

/* The part of the arena or the gradient that a tensor takes; NULL for none. */
static void *part(const struct pbt_net *net, const struct pbt_net_block *block,
                  int32_t tensor) {
  return tensor >= 0 ? pbt_net_at(block, net->tensor[tensor].offset) : NULL;
}

static float *slope_of(const struct pbt_net *net, int32_t value) {
  int32_t k = value >= 0 ? net->plan.slope[value] : -1;
  return k >= 0 ? net->slope[k].memory : NULL;
}

/* The pointers of layer i; those of the backward pass too. */
static struct pbt_layer_io layer_io(const struct pbt_net *net, int32_t i, int32_t n,
                                    bool training) {
  const struct pbt_net_plan *plan = &net->plan;
  const struct pbt_net_place *place = &net->place[i];
  int32_t skip = plan->skip[i];
  return (struct pbt_layer_io){.n = n,
                               .training = training,
                               .x = net->value[i].memory,
                               .skip = skip >= 0 ? net->value[skip].memory : NULL,
                               .y = net->value[i + 1].memory,
                               .weight = part(net, &net->arena, place->weight),
                               .bias = part(net, &net->arena, place->bias),
                               .mean = part(net, &net->arena, place->mean),
                               .variance = part(net, &net->arena, place->variance),
                               .dy = slope_of(net, i + 1),
                               .dx = slope_of(net, i),
                               .dskip = slope_of(net, skip),
                               .add_dx = plan->add_dx[i],
                               .add_dskip = plan->add_dskip[i],
                               .dweight = part(net, &net->gradient, place->weight),
                               .dbias = part(net, &net->gradient, place->bias),
                               .step = net->step.memory};
}

/* Gathers a batch and runs all layers over it. */
static pbt_status run_forward(struct pbt_net *net, const struct pbt_batch *batch,
                              bool training) {
  const struct pbt_backend_ops *ops = net->backend->ops;
  PBT_TRY(ops->gather(net->backend, batch, net->plan.in, net->value[0].memory,
                      net->label.memory));
  for (int32_t i = 0; i < net->plan.n_layer; i++) {
    struct pbt_layer_io io = layer_io(net, i, batch->n, training);
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
                                 .dlogit = training ? slope_of(net, last) : NULL,
                                 .class_weight = net->class_weight.memory,
                                 .step = net->step.memory,
                                 .tally = net->tally.memory,
                                 .by_class = !training};
  return net->backend->ops->loss(net->backend, &io);
}

static pbt_status train_step(void *context) {
  struct pbt_net *net = context;
  const struct pbt_backend_ops *ops = net->backend->ops;
  PBT_TRY(run_forward(net, &net->batch, true));
  PBT_TRY(run_loss(net, net->batch.n, true));
  for (int32_t i = net->plan.n_layer; i-- > 0;) {
    struct pbt_layer_io io = layer_io(net, i, net->batch.n, true);
    PBT_TRY(ops->backward(net->backend, net->layer[i], &io));
  }
  size_t weights = net->state.weight_bytes;
  const struct pbt_tensor *sum = net->weight_sum;
  const struct pbt_update_io update = {
      .kind = net->options.optimizer,
      .nesterov = net->options.nesterov,
      .decoupled = net->options.decoupled,
      .n = (int64_t)(weights / sizeof(float)),
      .weight = net->arena.memory,
      .gradient = net->gradient.memory,
      .moment = {pbt_net_at(&net->arena, weights), pbt_net_at(&net->arena, 2 * weights)},
      .weight_sum = sum != NULL ? pbt_net_at(&net->arena, sum->offset) : NULL,
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

static pbt_status copy_count(struct pbt_net *net, void *to, const void *from) {
  return net->backend->ops->copy(net->backend, to, net->backend, from, sizeof(int64_t));
}

pbt_status pbt_net_train_begin(struct pbt_net *net, const struct pbt_batch *batch,
                               int64_t n_steps) {
  const struct pbt_backend_ops *ops = net->backend->ops;
  if (batch->n < 1 || batch->n > net->options.max_batch) {
    return PBT_BUG("a batch that the network was not opened for");
  }
  const struct pbt_step step = {
      .seed = net->seed, .member = net->member, .hyper = net->hyper};
  void *kept = pbt_net_at(&net->arena, pbt_net_step_tensor(net)->offset);
  void *counted = pbt_net_at(&net->step, offsetof(struct pbt_step, step));
  PBT_TRY(ops->write(net->backend, net->step.memory, &step, sizeof step));
  PBT_TRY(copy_count(net, counted, kept));
  PBT_TRY(clear_tally(net));
  net->batch = *batch;
  net->batch.step = net->step.memory;
  PBT_TRY(ops->repeat(net->backend, batch_key(&net->batch), n_steps, net->step.memory,
                      train_step, net));
  return copy_count(net, kept, counted);
}

static pbt_status score_batch(void *context) {
  struct pbt_net *net = context;
  PBT_TRY(run_forward(net, &net->batch, false));
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

pbt_status pbt_net_evaluate_begin(struct pbt_net *net, const struct pbt_dataset *dataset,
                                  int64_t begin, int64_t count) {
  PBT_TRY(clear_tally(net));
  net->batch = (struct pbt_batch){
      .dataset = dataset, .begin = begin, .count = count, .step = net->step.memory};
  int64_t whole = count / net->options.max_batch;
  int32_t rest = (int32_t)(count % net->options.max_batch);
  if (whole > 0) {
    PBT_TRY(score(net, 0, net->options.max_batch, whole));
  }
  return rest > 0 ? score(net, count - rest, rest, 1) : PBT_OK;
}

pbt_status pbt_net_collect(struct pbt_net *net, struct pbt_tally *tally) {
  return net->backend->ops->read(net->backend, tally, net->tally.memory, sizeof *tally);
}

pbt_status pbt_net_train(struct pbt_net *net, const struct pbt_batch *batch,
                         int64_t n_steps, struct pbt_tally *tally) {
  PBT_TRY(pbt_net_train_begin(net, batch, n_steps));
  return pbt_net_collect(net, tally);
}

pbt_status pbt_net_evaluate(struct pbt_net *net, const struct pbt_dataset *dataset,
                            int64_t begin, int64_t count, struct pbt_tally *tally) {
  PBT_TRY(pbt_net_evaluate_begin(net, dataset, begin, count));
  return pbt_net_collect(net, tally);
}

double pbt_net_step_flops(const struct pbt_net *net, int32_t n) {
  return 3.0 * 2.0 * (double)net->plan.multiply_adds * (double)n;
}
