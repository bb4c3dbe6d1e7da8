/*
 * Gradients share memory: a gradient lives from the backward pass of the last layer that
 * read its activation to that of the layer that wrote it, and then its place is free for
 * the next of the same shape.
 */
#include "trainer.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "machine.h"

enum { L2_BYTES = 1 << 20, MEGAPIXELS = 48 };

static pbt_status allocate(struct trainer *t, size_t bytes, void *to) {
  PBT_TRY(t->ops->allocate(t->backend, bytes, (void **)to));
  t->memory[t->n_memory++] = *(void **)to;
  return PBT_OK;
}

static pbt_status activation(struct trainer *t, struct pbt_shape shape, float **to) {
  return allocate(t, t->ops->activation_bytes(t->backend, shape, t->batch.n), to);
}

static float noise(uint64_t *state) {
  *state = *state * 6364136223846793005U + 1442695040888963407U;
  return (float)((double)(*state >> 40) / (1 << 23) - 1);
}

static pbt_status open_data(struct trainer *t) {
  struct pbt_shape shape = t->net->image;
  int64_t bytes = (int64_t)shape.c * shape.h * shape.w;
  int64_t n = MEGAPIXELS * INT64_C(1000000) / bytes;
  PBT_TRY(PBT_NEW(n * bytes, &t->pixel));
  PBT_TRY(PBT_NEW(n, &t->label));
  uint64_t state = 1;
  for (int64_t i = 0; i < n * bytes; i++) {
    t->pixel[i] = (uint8_t)(128 + 127 * noise(&state));
  }
  for (int64_t i = 0; i < n; i++) {
    t->label[i] = (uint8_t)(i % BENCH_CLASSES);
  }
  struct pbt_images images = {.pixel = t->pixel,
                              .label = t->label,
                              .n = n,
                              .c = shape.c,
                              .h = shape.h,
                              .w = shape.w,
                              .n_class = BENCH_CLASSES,
                              .scale = {1 / 64.0F, 1 / 64.0F, 1 / 64.0F},
                              .shift = {-2, -2, -2}};
  PBT_TRY(t->ops->data_open(t->backend, &images, &t->dataset));
  t->batch.dataset = t->dataset;
  t->batch.count = n;
  t->batch.shuffle = true;
  t->batch.step = t->step;
  return PBT_OK;
}

/* Weights as He et al. 2015 start them, scales 1, variances 1. */
static void start(const struct pbt_layer_desc *d, uint64_t *state, float *weight) {
  int64_t n = bench_weights(d);
  for (int64_t i = 0; i < n; i++) {
    float deviation = sqrtf(6.0F * (float)d->out.c / (float)n);
    weight[i] = d->kind == PBT_LAYER_NORM ? 1 : noise(state) * deviation;
  }
}

static pbt_status open_parameters(struct trainer *t) {
  int64_t n = 0, buffers = 0;
  for (int i = 0; i < t->net->n; i++) {
    const struct pbt_layer_desc *d = &t->net->node[i].desc;
    n += bench_weights(d) + bench_biases(d);
    buffers += d->kind == PBT_LAYER_NORM ? 2 * d->out.c : 0;
  }
  float *arena[4] = {NULL};
  for (int i = 0; i < 4; i++) {
    PBT_TRY(allocate(t, (size_t)(i < 3 ? n : buffers + 1) * sizeof(float), &arena[i]));
  }
  uint64_t state = 7;
  int64_t at = 0;
  float *buffer = arena[3];
  for (int i = 0; i < t->net->n; i++) {
    const struct pbt_layer_desc *d = &t->net->node[i].desc;
    struct pbt_layer_io *io = &t->io[i];
    int64_t weights = bench_weights(d), biases = bench_biases(d);
    start(d, &state, arena[0] + at);
    io->weight = arena[0] + at;
    io->dweight = arena[1] + at;
    at += weights;
    io->bias = biases > 0 ? arena[0] + at : NULL;
    io->dbias = biases > 0 ? arena[1] + at : NULL;
    at += biases;
    if (d->kind == PBT_LAYER_NORM) {
      io->mean = buffer;
      io->variance = buffer + d->out.c;
      buffer += 2 * d->out.c;
    }
  }
  t->update = (struct pbt_update_io){.n = n,
                                     .weight = arena[0],
                                     .gradient = arena[1],
                                     .moment = {arena[2]},
                                     .step = t->step};
  return PBT_OK;
}

static bool same_shape(struct pbt_shape a, struct pbt_shape b) {
  return a.c == b.c && a.h == b.h && a.w == b.w && a.halo == b.halo;
}

struct slots {
  float *memory[BENCH_MAX_NODES];
  struct pbt_shape shape[BENCH_MAX_NODES];
  bool used[BENCH_MAX_NODES];
  int n, of[BENCH_MAX_NODES]; // of: by node, -1 none yet
};

/* The gradient of node i's output, as the backward pass reaches its first reader. */
static pbt_status slope(struct trainer *t, struct slots *s, int i, float **to,
                        bool *add) {
  *to = NULL;
  if (i < 0) {
    return PBT_OK;
  }
  *add = s->of[i] >= 0;
  struct pbt_shape shape = t->net->node[i].desc.out;
  for (int k = 0; k < s->n && s->of[i] < 0; k++) {
    if (!s->used[k] && same_shape(s->shape[k], shape)) {
      s->of[i] = k;
    }
  }
  if (s->of[i] < 0) {
    PBT_TRY(activation(t, shape, &s->memory[s->n]));
    s->shape[s->n] = shape;
    s->of[i] = s->n++;
  }
  s->used[s->of[i]] = true;
  *to = s->memory[s->of[i]];
  return PBT_OK;
}

static pbt_status open_layers(struct trainer *t) {
  float *image = NULL;
  PBT_TRY(activation(t, t->net->image, &image));
  for (int i = 0; i < t->net->n; i++) {
    const struct bench_node *node = &t->net->node[i];
    struct pbt_layer_io *io = &t->io[i];
    PBT_TRY(t->ops->layer_open(t->backend, &node->desc, t->batch.n, &t->layer[i]));
    io->n = t->batch.n;
    io->training = true;
    io->step = t->step;
    io->x = node->input < 0 ? image : t->io[node->input].y;
    io->skip = node->skip < 0 ? NULL : t->io[node->skip].y;
    PBT_TRY(activation(t, node->desc.out, &io->y));
  }
  struct slots slots = {.n = 0};
  for (int i = 0; i < t->net->n; i++) {
    slots.of[i] = -1;
  }
  bool first = false;
  for (int i = t->net->n - 1; i >= 0; i--) {
    const struct bench_node *node = &t->net->node[i];
    struct pbt_layer_io *io = &t->io[i];
    PBT_TRY(slope(t, &slots, i, &io->dy, &first));
    PBT_TRY(slope(t, &slots, node->skip, &io->dskip, &io->add_dskip));
    PBT_TRY(slope(t, &slots, node->input, &io->dx, &io->add_dx));
    slots.used[slots.of[i]] = false;
  }
  return PBT_OK;
}

pbt_status trainer_open(struct trainer *t, const char *network,
                        const struct pbt_backend_options *options, int32_t batch) {
  *t = (struct trainer){.net = bench_network(network), .ops = pbt_backend_find("cpu")};
  t->batch.n = batch;
  PBT_TRY(t->ops->open(options, &t->backend));
  int32_t *label = NULL;
  PBT_TRY(allocate(t, sizeof *t->step, &t->step));
  PBT_TRY(allocate(t, sizeof *t->tally, &t->tally));
  PBT_TRY(allocate(t, (size_t)batch * sizeof *label, &label));
  *t->step = (struct pbt_step){
      .seed = 1, .hyper = {.lr = 0.01F, .momentum = 0.9F, .weight_decay = 1e-4F}};
  PBT_TRY(open_data(t));
  PBT_TRY(open_layers(t));
  PBT_TRY(open_parameters(t));
  const struct pbt_layer_io *last = &t->io[t->net->n - 1];
  t->loss = (struct pbt_loss_io){.n = batch,
                                 .n_class = BENCH_CLASSES,
                                 .logit = last->y,
                                 .label = label,
                                 .dlogit = last->dy,
                                 .step = t->step,
                                 .tally = t->tally};
  return PBT_OK;
}

void trainer_close(struct trainer *t) {
  if (t->backend == NULL) {
    return;
  }
  for (int i = 0; i < t->net->n; i++) {
    t->ops->layer_close(t->backend, t->layer[i]);
  }
  for (int i = 0; i < t->n_memory; i++) {
    t->ops->release(t->backend, t->memory[i]);
  }
  t->ops->data_close(t->backend, t->dataset);
  t->ops->close(t->backend);
  pbt_mem_free(t->pixel);
  pbt_mem_free(t->label);
}

pbt_status trainer_step(struct trainer *t, bool timed) {
  const struct pbt_backend_ops *ops = t->ops;
  struct pbt_backend *b = t->backend;
  double now = timed ? machine_seconds() : 0;
#define PHASE(index, call)                                                               \
  do {                                                                                   \
    PBT_TRY(call);                                                                       \
    if (timed) {                                                                         \
      double then = machine_seconds();                                                   \
      t->seconds[index] = then - now;                                                    \
      now = then;                                                                        \
    }                                                                                    \
  } while (0)
  PHASE(PHASE_GATHER, ops->gather(b, &t->batch, t->net->image, (float *)t->io[0].x,
                                  (int32_t *)t->loss.label));
  for (int i = 0; i < t->net->n; i++) {
    PHASE(phase_forward(i), ops->forward(b, t->layer[i], &t->io[i]));
  }
  PHASE(PHASE_LOSS, ops->loss(b, &t->loss));
  for (int i = t->net->n - 1; i >= 0; i--) {
    PHASE(phase_backward(i), ops->backward(b, t->layer[i], &t->io[i]));
  }
  PHASE(PHASE_UPDATE, ops->update(b, &t->update));
#undef PHASE
  t->step->step++;
  return PBT_OK;
}

pbt_status trainer_validate(struct trainer *t) {
  static float z[BENCH_CLASSES * BENCH_MAX_BATCH];
  memset(t->tally, 0, sizeof *t->tally);
  PBT_TRY(trainer_step(t, false));
  struct pbt_shape shape = {BENCH_CLASSES, 1, 1, 0};
  PBT_TRY(t->ops->activation_read(t->backend, shape, t->batch.n, z, t->loss.logit));
  double loss = 0;
  for (int32_t i = 0; i < t->batch.n; i++) {
    double sum = 0;
    for (int c = 0; c < BENCH_CLASSES; c++) {
      sum += exp((double)z[i * BENCH_CLASSES + c]);
    }
    loss += log(sum) - (double)z[i * BENCH_CLASSES + t->loss.label[i]];
  }
  if (!(fabs(loss - t->tally->loss) <= 1e-5 * loss)) {
    return pbt_fail(PBT_ERR_INTERNAL, "loss %.9g, reference %.9g", t->tally->loss, loss);
  }
  return PBT_OK;
}

double trainer_flops(const struct trainer *t, int phase) {
  if (phase >= PHASE_GATHER) {
    return 0;
  }
  int i = phase % BENCH_MAX_NODES;
  int products = phase < BENCH_MAX_NODES ? 1 : t->io[i].dx != NULL ? 2 : 1;
  return products * bench_flops(&t->net->node[i].desc) * t->batch.n;
}

static double bytes_of(const struct trainer *t, struct pbt_shape s) {
  double bytes = 4.0 * s.c * s.h * s.w * t->batch.n;
  return bytes > L2_BYTES ? bytes : 0;
}

double trainer_bytes(const struct trainer *t, int phase) {
  if (phase >= PHASE_GATHER) {
    return 0;
  }
  int i = phase % BENCH_MAX_NODES;
  const struct pbt_layer_desc *d = &t->net->node[i].desc;
  double x = bytes_of(t, d->in), y = bytes_of(t, d->out), skip = bytes_of(t, d->skip);
  if (phase < BENCH_MAX_NODES) {
    return x + skip + y;
  }
  const struct pbt_layer_io *io = &t->io[i];
  double sum = y + (io->dx != NULL ? x * (io->add_dx ? 2 : 1) : 0);
  sum += skip * (io->add_dskip ? 2 : 1);
  if (d->kind != PBT_LAYER_POOL || !d->mean) {
    sum += x;
  }
  return sum + (d->relu && d->skip.c > 0 ? y : 0);
}
