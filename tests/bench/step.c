/*
 * step - one training step of LeNet-5 at batch 64 against the floor of the machine.
 *
 *   step [--isa NAME] [--threads N] [--batch N] [--rounds N] [--json]
 *
 * First it checks that the step computes the right loss; then every round measures the
 * machine (multiply-adds a second of one core, bytes a second) and the step, in turn, so
 * that a change of clock or a busy neighbour meets both.  Floor: the step's FLOPs
 * (multiply-adds twice; forward, dweight and dx, the latter not for the first layer) at
 * the measured rate.  The whole step is timed: gather, forward, loss, backward, update.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/clock.h"
#include "base/memory.h"
#include "machine.h"

enum { LAYERS = 5, MAX_ROUNDS = 1000, IMAGES = 60000, CLASSES = 10, STEPS_A_ROUND = 10 };
enum { GATHER = 2 * LAYERS, LOSS, UPDATE, PHASES };

static const struct pbt_layer_desc lenet5[LAYERS] = {
    {.kind = PBT_LAYER_CONV,
     .in = {1, 28, 28, 2},
     .out = {6, 14, 14, 0},
     .kernel = 5,
     .stride = 1,
     .pad = 2,
     .pool = 2,
     .relu = true},
    {.kind = PBT_LAYER_CONV,
     .in = {6, 14, 14, 0},
     .out = {16, 5, 5, 0},
     .kernel = 5,
     .stride = 1,
     .pool = 2,
     .relu = true},
    {.kind = PBT_LAYER_DENSE, .in = {16, 5, 5, 0}, .out = {120, 1, 1, 0}, .relu = true},
    {.kind = PBT_LAYER_DENSE, .in = {120, 1, 1, 0}, .out = {84, 1, 1, 0}, .relu = true},
    {.kind = PBT_LAYER_DENSE, .in = {84, 1, 1, 0}, .out = {CLASSES, 1, 1, 0}},
};

struct options {
  const char *isa;
  int32_t threads, batch, rounds;
  bool json;
};

struct trainer {
  struct pbt_backend *backend;
  const struct pbt_backend_ops *ops;
  struct pbt_layer *layer[LAYERS];
  struct pbt_layer_io io[LAYERS];
  struct pbt_dataset *dataset;
  struct pbt_batch batch;
  struct pbt_loss_io loss;
  struct pbt_update_io update;
  struct pbt_step *step;
  struct pbt_tally *tally;
  uint8_t *pixel, *label;
  double seconds[PHASES]; // of the last timed step
};

static int64_t weights_of(const struct pbt_layer_desc *d) {
  return d->kind == PBT_LAYER_CONV ? (int64_t)d->out.c * d->in.c * d->kernel * d->kernel
                                   : (int64_t)d->out.c * d->in.c * d->in.h * d->in.w;
}

/* FLOPs of one product (forward, dweight or dx) of a layer for one sample. */
static double flops_of(const struct pbt_layer_desc *d) {
  if (d->kind == PBT_LAYER_DENSE) {
    return 2.0 * weights_of(d);
  }
  int32_t pool = d->pool > 0 ? d->pool : 1;
  return 2.0 * weights_of(d) * d->out.h * pool * d->out.w * pool;
}

static double step_flops(int32_t n) {
  double sum = 0;
  for (int i = 0; i < LAYERS; i++) {
    sum += flops_of(&lenet5[i]) * (i == 0 ? 2 : 3);
  }
  return sum * n;
}

static float noise(uint64_t *state) {
  *state = *state * 6364136223846793005U + 1442695040888963407U;
  return (float)((double)(*state >> 40) / (1 << 23) - 1);
}

static pbt_status allocate_activation(struct trainer *t, struct pbt_shape shape,
                                      int32_t n, float **to) {
  return t->ops->allocate(t->backend, t->ops->activation_bytes(t->backend, shape, n),
                          (void **)to);
}

static pbt_status open_data(struct trainer *t, int32_t n) {
  PBT_TRY(PBT_NEW(IMAGES * 784, &t->pixel));
  PBT_TRY(PBT_NEW(IMAGES, &t->label));
  uint64_t state = 1;
  for (int64_t i = 0; i < IMAGES * 784; i++) {
    t->pixel[i] = (uint8_t)(128 + 127 * noise(&state));
  }
  for (int64_t i = 0; i < IMAGES; i++) {
    t->label[i] = (uint8_t)(i % CLASSES);
  }
  struct pbt_images images = {.pixel = t->pixel,
                              .label = t->label,
                              .n = IMAGES,
                              .c = 1,
                              .h = 28,
                              .w = 28,
                              .n_class = CLASSES,
                              .scale = {1 / 64.0F},
                              .shift = {-2}};
  PBT_TRY(t->ops->data_open(t->backend, &images, &t->dataset));
  t->batch = (struct pbt_batch){
      .dataset = t->dataset, .count = IMAGES, .n = n, .shuffle = true, .step = t->step};
  return PBT_OK;
}

static pbt_status open_layers(struct trainer *t, int32_t n) {
  int64_t parameters = 0;
  for (int i = 0; i < LAYERS; i++) {
    parameters += weights_of(&lenet5[i]) + lenet5[i].out.c;
  }
  float *arena[3];
  for (int i = 0; i < 3; i++) {
    PBT_TRY(t->ops->allocate(t->backend, (size_t)parameters * sizeof(float),
                             (void **)&arena[i]));
  }
  uint64_t state = 7;
  int64_t at = 0;
  float *x = NULL, *dx = NULL;
  PBT_TRY(allocate_activation(t, lenet5[0].in, n, &x));
  for (int i = 0; i < LAYERS; i++) {
    const struct pbt_layer_desc *d = &lenet5[i];
    PBT_TRY(t->ops->layer_open(t->backend, d, n, &t->layer[i]));
    int64_t w = weights_of(d);
    for (int64_t j = 0; j < w; j++) {
      arena[0][at + j] = noise(&state) * sqrtf(3.0F * d->out.c / w);
    }
    float *y = NULL, *dy = NULL;
    PBT_TRY(allocate_activation(t, d->out, n, &y));
    PBT_TRY(allocate_activation(t, d->out, n, &dy));
    t->io[i] = (struct pbt_layer_io){.n = n,
                                     .x = x,
                                     .y = y,
                                     .weight = arena[0] + at,
                                     .bias = arena[0] + at + w,
                                     .dy = dy,
                                     .dx = dx,
                                     .dweight = arena[1] + at,
                                     .dbias = arena[1] + at + w};
    at += w + d->out.c;
    x = y;
    dx = dy;
  }
  t->update = (struct pbt_update_io){.n = parameters,
                                     .weight = arena[0],
                                     .gradient = arena[1],
                                     .moment = {arena[2]},
                                     .step = t->step};
  return PBT_OK;
}

static pbt_status trainer_open(struct trainer *t, const struct options *options) {
  struct pbt_backend_options asked = {.threads = options->threads, .isa = options->isa};
  t->ops = pbt_backend_find("cpu");
  PBT_TRY(t->ops->open(&asked, &t->backend));
  int32_t n = options->batch;
  int32_t *label = NULL;
  PBT_TRY(t->ops->allocate(t->backend, sizeof *t->step, (void **)&t->step));
  PBT_TRY(t->ops->allocate(t->backend, sizeof *t->tally, (void **)&t->tally));
  PBT_TRY(t->ops->allocate(t->backend, (size_t)n * sizeof *label, (void **)&label));
  *t->step = (struct pbt_step){
      .seed = 1, .hyper = {.lr = 0.01F, .momentum = 0.9F, .weight_decay = 1e-4F}};
  PBT_TRY(open_data(t, n));
  PBT_TRY(open_layers(t, n));
  t->loss = (struct pbt_loss_io){.n = n,
                                 .n_class = CLASSES,
                                 .logit = t->io[LAYERS - 1].y,
                                 .label = label,
                                 .dlogit = t->io[LAYERS - 1].dy,
                                 .step = t->step,
                                 .tally = t->tally};
  return PBT_OK;
}

/* One step; with `timed` each phase's seconds (the clock costs some 30 ns a phase). */
static pbt_status run_step(struct trainer *t, bool timed) {
  const struct pbt_backend_ops *ops = t->ops;
  double now = timed ? pbt_seconds() : 0;
#define PHASE(index, call)                                                               \
  do {                                                                                   \
    PBT_TRY(call);                                                                       \
    if (timed) {                                                                         \
      double then = pbt_seconds();                                                       \
      t->seconds[index] = then - now;                                                    \
      now = then;                                                                        \
    }                                                                                    \
  } while (0)
  PHASE(GATHER, ops->gather(t->backend, &t->batch, lenet5[0].in, (float *)t->io[0].x,
                            (int32_t *)t->loss.label));
  for (int i = 0; i < LAYERS; i++) {
    PHASE(i, ops->forward(t->backend, t->layer[i], &t->io[i]));
  }
  PHASE(LOSS, ops->loss(t->backend, &t->loss));
  for (int i = LAYERS - 1; i >= 0; i--) {
    PHASE(LAYERS + i, ops->backward(t->backend, t->layer[i], &t->io[i]));
  }
  PHASE(UPDATE, ops->update(t->backend, &t->update));
#undef PHASE
  t->step->step++;
  return PBT_OK;
}

/* The loss of the logits in double, and the logits' own place in the layout trusted to
 * the backend: an independent check of the whole forward chain is tests/backend. */
static pbt_status validate(struct trainer *t, int32_t n) {
  float z[CLASSES * 1024];
  memset(t->tally, 0, sizeof *t->tally);
  PBT_TRY(run_step(t, false));
  PBT_TRY(
      t->ops->activation_read(t->backend, lenet5[LAYERS - 1].out, n, z, t->loss.logit));
  double loss = 0;
  for (int32_t i = 0; i < n; i++) {
    double sum = 0;
    for (int c = 0; c < CLASSES; c++) {
      sum += exp(z[i * CLASSES + c]);
    }
    loss += log(sum) - z[i * CLASSES + t->loss.label[i]];
  }
  if (!(fabs(loss - t->tally->loss) <= 1e-5 * loss)) {
    return pbt_fail(PBT_ERR_INTERNAL, "loss %.9g, reference %.9g", t->tally->loss, loss);
  }
  return PBT_OK;
}

struct result {
  double flops[MAX_ROUNDS], memory[MAX_ROUNDS], cache[MAX_ROUNDS], step[MAX_ROUNDS];
  double phase[PHASES][MAX_ROUNDS];
  int32_t rounds;
};

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(const double *value, int32_t n) {
  double sorted[MAX_ROUNDS];
  memcpy(sorted, value, (size_t)n * sizeof *value);
  qsort(sorted, (size_t)n, sizeof *sorted, compare);
  return sorted[n / 2];
}

static double least(const double *value, int32_t n) {
  double best = value[0];
  for (int32_t i = 1; i < n; i++) {
    best = value[i] < best ? value[i] : best;
  }
  return best;
}

static double most(const double *value, int32_t n) {
  double best = value[0];
  for (int32_t i = 1; i < n; i++) {
    best = value[i] > best ? value[i] : best;
  }
  return best;
}

static pbt_status measure(struct trainer *t, struct machine *machine, const char *isa,
                          int32_t rounds, struct result *r) {
  r->rounds = rounds;
  for (int i = 0; i < 20; i++) {
    PBT_TRY(run_step(t, false));
  }
  for (int32_t k = 0; k < rounds; k++) {
    r->flops[k] = machine_flops(isa);
    r->memory[k] = machine_memory(machine);
    r->cache[k] = machine_cache(machine);
    for (int i = 0; i < 2; i++) { // what the machine's measures left in the caches
      PBT_TRY(run_step(t, true));
    }
    for (int p = 0; p < PHASES; p++) {
      r->phase[p][k] = t->seconds[p];
    }
    double seconds[STEPS_A_ROUND];
    for (int i = 0; i < STEPS_A_ROUND; i++) {
      double start = pbt_seconds();
      PBT_TRY(run_step(t, false));
      seconds[i] = pbt_seconds() - start;
    }
    r->step[k] = median(seconds, STEPS_A_ROUND);
  }
  return PBT_OK;
}

static void print_phase(const struct result *r, int phase, const char *name,
                        double flops) {
  double seconds = median(r->phase[phase], r->rounds);
  double peak = median(r->flops, r->rounds);
  printf("  %-34s %8.4f %8.4f", name, seconds * 1e3,
         least(r->phase[phase], r->rounds) * 1e3);
  if (flops > 0) {
    printf(" %8.1f %6.0f %%", flops / seconds * 1e-9, flops / seconds / peak * 100);
  }
  printf("\n");
}

static void print_table(const struct trainer *t, const struct result *r, int32_t n) {
  printf("  %-34s %8s %8s %8s %8s\n", "phase (ms)", "median", "least", "GF/s", "of peak");
  print_phase(r, GATHER, "gather", 0);
  for (int i = 0; i < 2 * LAYERS; i++) {
    int layer = i < LAYERS ? i : 2 * LAYERS - 1 - i;
    char name[64];
    snprintf(name, sizeof name, "%s %.26s", i < LAYERS ? "forward" : "backward",
             t->ops->layer_describe(t->layer[layer]));
    double flops = flops_of(&lenet5[layer]) * n;
    print_phase(r, i < LAYERS ? layer : LAYERS + layer, name,
                i < LAYERS ? flops : flops * (layer == 0 ? 1 : 2));
    if (i == LAYERS - 1) {
      print_phase(r, LOSS, "loss", 0);
    }
  }
  print_phase(r, UPDATE, "update", 0);
}

static void print_text(const struct trainer *t, const struct options *o,
                       const struct result *r) {
  char machine[128];
  machine_name(machine, sizeof machine);
  double flops = step_flops(o->batch), step = median(r->step, r->rounds);
  double peak = median(r->flops, r->rounds), floor_ms = flops / peak * 1e3;
  printf("%s: %s, batch %d, %d rounds\n", machine, t->ops->describe(t->backend), o->batch,
         r->rounds);
  printf("  one core: %.1f GF/s (most %.1f), memory %.1f GB/s, L2 %.1f GB/s\n",
         peak * 1e-9, most(r->flops, r->rounds) * 1e-9,
         median(r->memory, r->rounds) * 1e-9, median(r->cache, r->rounds) * 1e-9);
  printf("  step: %.1f MFLOP, floor %.3f ms, median %.3f ms, least %.3f ms\n",
         flops * 1e-6, floor_ms, step * 1e3, least(r->step, r->rounds) * 1e3);
  printf("  ratio to the floor: %.3f (least time to most GF/s: %.3f)\n",
         step * 1e3 / floor_ms,
         least(r->step, r->rounds) * most(r->flops, r->rounds) / flops);
  print_table(t, r, o->batch);
}

static void print_json(const struct trainer *t, const struct options *o,
                       const struct result *r) {
  char machine[128];
  machine_name(machine, sizeof machine);
  double flops = step_flops(o->batch), peak = median(r->flops, r->rounds);
  printf("{\"machine\": \"%s\", \"backend\": \"%s\", \"batch\": %d, \"rounds\": %d,\n",
         machine, t->ops->describe(t->backend), o->batch, r->rounds);
  printf(" \"flops\": %.0f, \"peak_flops\": %.4g, \"memory_bytes\": %.4g, "
         "\"l2_bytes\": %.4g,\n",
         flops, peak, median(r->memory, r->rounds), median(r->cache, r->rounds));
  printf(" \"step_ms\": %.5f, \"step_least_ms\": %.5f, \"floor_ms\": %.5f, \"ratio\": "
         "%.4f, \"ratio_of_best\": %.4f,\n \"phases_ms\": {",
         median(r->step, r->rounds) * 1e3, least(r->step, r->rounds) * 1e3,
         flops / peak * 1e3, median(r->step, r->rounds) * peak / flops,
         least(r->step, r->rounds) * most(r->flops, r->rounds) / flops);
  for (int p = 0; p < PHASES; p++) {
    static const char *const rest[] = {"gather", "loss", "update"};
    char name[32];
    snprintf(name, sizeof name, "%s_%d", p < LAYERS ? "forward" : "backward", p % LAYERS);
    printf("%s\"%s\": %.5f", p > 0 ? ", " : "", p < GATHER ? name : rest[p - GATHER],
           median(r->phase[p], r->rounds) * 1e3);
  }
  printf("}}\n");
}

static void trainer_close(struct trainer *t) {
  if (t->backend == NULL) {
    return;
  }
  for (int i = 0; i < LAYERS; i++) {
    t->ops->layer_close(t->backend, t->layer[i]);
    t->ops->release(t->backend, t->io[i].y);
    t->ops->release(t->backend, t->io[i].dy);
  }
  const void *all[] = {t->io[0].x,
                       t->update.weight,
                       t->update.gradient,
                       t->update.moment[0],
                       t->loss.label,
                       t->step,
                       t->tally};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    t->ops->release(t->backend, (void *)all[i]);
  }
  t->ops->data_close(t->backend, t->dataset);
  t->ops->close(t->backend);
  pbt_mem_free(t->pixel);
  pbt_mem_free(t->label);
}

static bool parse(int argc, char **argv, struct options *o) {
  *o = (struct options){.threads = 1, .batch = 64, .rounds = 51};
  for (int i = 1; i < argc; i++) {
    const char *value = i + 1 < argc ? argv[i + 1] : NULL;
    if (strcmp(argv[i], "--json") == 0) {
      o->json = true;
      continue;
    }
    if (value == NULL) {
      return false;
    }
    if (strcmp(argv[i], "--isa") == 0) {
      o->isa = value;
    } else if (strcmp(argv[i], "--threads") == 0) {
      o->threads = atoi(value);
    } else if (strcmp(argv[i], "--batch") == 0) {
      o->batch = atoi(value);
    } else if (strcmp(argv[i], "--rounds") == 0) {
      o->rounds = atoi(value);
    } else {
      return false;
    }
    i++;
  }
  return o->batch >= 1 && o->batch <= 1024 && o->rounds >= 1 && o->rounds <= MAX_ROUNDS;
}

int main(int argc, char **argv) {
  struct options options;
  if (!parse(argc, argv, &options)) {
    fprintf(stderr,
            "usage: %s [--isa NAME] [--threads N] [--batch 1..1024] "
            "[--rounds 1..1000] [--json]\n",
            argv[0]);
    return PBT_ERR_USAGE;
  }
  static struct result result;
  struct trainer trainer = {0};
  struct machine machine;
  if (!machine_open(&machine)) {
    fprintf(stderr, "step: out of memory\n");
    return PBT_ERR_UNAVAILABLE;
  }
  pbt_status status = trainer_open(&trainer, &options);
  char isa[16] = "";
  if (status == PBT_OK) {
    sscanf(trainer.ops->describe(trainer.backend), "cpu %15[a-z0-9]", isa);
    status = validate(&trainer, options.batch);
  }
  if (status == PBT_OK) {
    status = measure(&trainer, &machine, isa, options.rounds, &result);
  }
  if (status == PBT_OK) {
    (options.json ? print_json : print_text)(&trainer, &options, &result);
  } else {
    fprintf(stderr, "step: %s\n", pbt_error());
  }
  trainer_close(&trainer);
  machine_close(&machine);
  return status;
}
