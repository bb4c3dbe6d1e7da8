/*
 * An open network: its memory, its state, its first weights.
 *
 * Parameters, moments and the gradient share one layout (each tensor at the same offset
 * from the head of its part), so the optimiser is one call over one array; the gaps
 * between tensors are zero and stay zero.  No memory is allocated after open.
 */
#include "net/internal.h"

#include "base/memory.h" // pbt_mem_alloc
#include "base/rng.h"    // PBT_RNG_INIT

#include <math.h> // sqrt: exact by IEEE 754

enum { MAX_BLOCKS = 6 + 2 * PBT_MAX_LAYERS + 1 };

/* Sets every block's size and lists those that need memory; returns how many. */
static int size_blocks(struct pbt_net *net, const struct pbt_backend *backend,
                       struct pbt_net_block *list[MAX_BLOCKS]) {
  int32_t most = net->options.max_batch;
  net->arena.bytes = net->state.bytes;
  net->gradient.bytes = net->state.weight_bytes;
  net->label.bytes = (size_t)most * sizeof(int32_t);
  net->step.bytes = sizeof(struct pbt_step);
  net->tally.bytes = sizeof(struct pbt_tally);
  struct pbt_net_block *const first[] = {&net->arena, &net->gradient, &net->label,
                                         &net->step, &net->tally};
  int n = 0;
  for (; n < (int)(sizeof first / sizeof *first); n++) {
    list[n] = first[n];
  }
  if (net->class_weight.bytes > 0) {
    list[n++] = &net->class_weight;
  }
  const struct pbt_net_plan *plan = &net->plan;
  for (int32_t v = 0; v <= plan->n_layer; v++) {
    net->value[v].bytes =
        backend->ops->activation_bytes(backend, pbt_net_value_shape(plan, v), most);
    list[n++] = &net->value[v];
  }
  for (int32_t k = 0; k < plan->n_slope; k++) {
    net->slope[k].bytes =
        backend->ops->activation_bytes(backend, plan->slope_shape[k], most);
    list[n++] = &net->slope[k];
  }
  return n;
}

/* Everything that needs no backend memory. */
static pbt_status draft(const struct pbt_net_spec *spec,
                        const struct pbt_net_options *options, struct pbt_net **net) {
  if (options->max_batch < 1) {
    return pbt_fail(PBT_ERR_DATA, "a batch of %d samples", options->max_batch);
  }
  struct pbt_net *made = NULL;
  PBT_TRY(PBT_NEW(1, &made));
  made->spec = *spec;
  made->options = *options;
  made->options.class_weight = NULL;
  if (options->class_weight != NULL) {
    made->class_weight.bytes = (size_t)spec->n_class * sizeof(float);
  }
  pbt_status status = pbt_net_plan(spec, &made->plan);
  if (status == PBT_OK) {
    size_t n =
        pbt_net_tensors(spec, &made->plan, options->optimizer, made->tensor, made->place);
    status = pbt_state_layout(made->tensor, n, &made->state);
    made->weight_sum = pbt_state_find(&made->state, "adam/weight_sum");
  }
  if (status != PBT_OK) {
    pbt_mem_free(made);
    return status;
  }
  *net = made;
  return PBT_OK;
}

pbt_status pbt_net_open(struct pbt_backend *backend, const struct pbt_net_spec *spec,
                        const struct pbt_net_options *options, struct pbt_net **net) {
  const struct pbt_backend_ops *ops = backend->ops;
  struct pbt_net *made = NULL;
  PBT_TRY(draft(spec, options, &made));
  made->backend = backend;
  pbt_status status = PBT_OK;
  struct pbt_net_block *list[MAX_BLOCKS];
  int n = size_blocks(made, backend, list);
  for (int i = 0; i < n; i++) {
    PBT_TRY_TO(done, status, ops->allocate(backend, list[i]->bytes, &list[i]->memory));
    made->bytes += list[i]->bytes;
  }
  for (int32_t i = 0; i < made->plan.n_layer; i++) {
    PBT_TRY_TO(done, status,
               ops->layer_open(backend, &made->plan.layer[i], options->max_batch,
                               &made->layer[i]));
  }
  if (options->class_weight != NULL) {
    PBT_TRY_TO(done, status,
               ops->write(backend, made->class_weight.memory, options->class_weight,
                          made->class_weight.bytes));
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

static void fill(uint8_t *image, const struct pbt_tensor *tensor, float value) {
  float *to = (float *)(image + tensor->offset);
  for (int64_t k = 0; k < pbt_tensor_count(tensor); k++) {
    to[k] = value;
  }
}

static void init_layer(const struct pbt_net *net, int32_t i, struct pbt_rng *rng,
                       uint8_t *image) {
  const struct pbt_net_place *place = &net->place[i];
  if (net->plan.layer[i].kind == PBT_LAYER_NORM) {
    fill(image, &net->tensor[place->weight], 1.0F);
    fill(image, &net->tensor[place->variance], 1.0F);
  } else if (place->weight >= 0) {
    double gain = i + 1 < net->plan.n_layer ? 2.0 : 1.0;
    double deviation = sqrt(gain / (double)net->plan.fan_in[i]);
    const struct pbt_tensor *tensor = &net->tensor[place->weight];
    float *weight = (float *)(image + tensor->offset);
    for (int64_t k = 0; k < pbt_tensor_count(tensor); k++) {
      weight[k] = (float)(deviation * pbt_rng_normal(rng));
    }
  }
}

pbt_status pbt_net_init(struct pbt_net *net, uint64_t seed, uint32_t member,
                        uint64_t restart) {
  net->seed = seed;
  net->member = member;
  uint8_t *image = NULL;
  PBT_TRY(pbt_mem_alloc(net->state.bytes, (void **)&image));
  struct pbt_rng rng = pbt_rng_open(seed, member, PBT_RNG_INIT, restart);
  for (int32_t i = 0; i < net->plan.n_layer; i++) {
    init_layer(net, i, &rng, image);
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
  return net->backend->ops->read(net->backend, to, pbt_net_at(&net->arena, offset),
                                 bytes);
}

pbt_status pbt_net_state_write(struct pbt_net *net, size_t offset, size_t bytes,
                               const void *from) {
  PBT_TRY(check_range(net, offset, bytes));
  return net->backend->ops->write(net->backend, pbt_net_at(&net->arena, offset), from,
                                  bytes);
}

pbt_status pbt_net_state_copy(struct pbt_net *to, struct pbt_net *from) {
  if (to->state.signature != from->state.signature) {
    return PBT_BUG("a state copied into another kind of network");
  }
  return to->backend->ops->copy(to->backend, to->arena.memory, from->backend,
                                from->arena.memory, from->state.travel_bytes);
}

pbt_status pbt_net_state_address(struct pbt_net *net, void **address) {
  *address = net->arena.memory;
  return net->backend->ops->finish(net->backend);
}

void *pbt_net_state_map(struct pbt_net *net) {
  return net->backend->ops->host_memory ? net->arena.memory : NULL;
}

pbt_status pbt_net_set_hyper(struct pbt_net *net, const struct pbt_hyper *hyper) {
  net->hyper = *hyper;
  return PBT_OK;
}

size_t pbt_net_bytes(const struct pbt_net *net) {
  return net->bytes;
}
