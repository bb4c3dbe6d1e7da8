/*
 * layers - single layers forward and backward against the rate of multiply-adds of one
 * core, measured in turn with them.
 *
 *   layers [--isa NAME] [--threads N] [--batch N] [--rounds N]
 *
 * FLOPs count a tap on the halo like any other, as is usual.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/clock.h"
#include "machine.h"

static const struct layer {
  const char *name;
  struct pbt_layer_desc desc;
} layers[] = {
    {"lenet5 conv1",
     {.kind = PBT_LAYER_CONV,
      .in = {1, 28, 28, 2},
      .out = {6, 14, 14, 0},
      .kernel = 5,
      .stride = 1,
      .pad = 2,
      .pool = 2,
      .relu = true}},
    {"lenet5 conv2",
     {.kind = PBT_LAYER_CONV,
      .in = {6, 14, 14, 0},
      .out = {16, 5, 5, 0},
      .kernel = 5,
      .stride = 1,
      .pool = 2,
      .relu = true}},
    {"resnet20 3-16 @32",
     {.kind = PBT_LAYER_CONV,
      .in = {3, 32, 32, 1},
      .out = {16, 32, 32, 1},
      .kernel = 3,
      .stride = 1,
      .pad = 1,
      .relu = true}},
    {"resnet20 16-16 @32",
     {.kind = PBT_LAYER_CONV,
      .in = {16, 32, 32, 1},
      .out = {16, 32, 32, 1},
      .kernel = 3,
      .stride = 1,
      .pad = 1,
      .relu = true}},
    {"resnet20 16-32 @16 /2",
     {.kind = PBT_LAYER_CONV,
      .in = {16, 32, 32, 1},
      .out = {32, 16, 16, 1},
      .kernel = 3,
      .stride = 2,
      .pad = 1,
      .relu = true}},
    {"resnet20 32-32 @16",
     {.kind = PBT_LAYER_CONV,
      .in = {32, 16, 16, 1},
      .out = {32, 16, 16, 1},
      .kernel = 3,
      .stride = 1,
      .pad = 1,
      .relu = true}},
    {"resnet20 64-64 @8",
     {.kind = PBT_LAYER_CONV,
      .in = {64, 8, 8, 1},
      .out = {64, 8, 8, 1},
      .kernel = 3,
      .stride = 1,
      .pad = 1,
      .relu = true}},
    {"dense 784-512",
     {.kind = PBT_LAYER_DENSE,
      .in = {1, 28, 28, 0},
      .out = {512, 1, 1, 0},
      .relu = true}},
    {"dense 512-512",
     {.kind = PBT_LAYER_DENSE,
      .in = {512, 1, 1, 0},
      .out = {512, 1, 1, 0},
      .relu = true}},
};

struct options {
  const char *isa;
  int32_t threads, batch, rounds;
};

static int64_t weights_of(const struct pbt_layer_desc *d) {
  return d->kind == PBT_LAYER_CONV ? (int64_t)d->out.c * d->in.c * d->kernel * d->kernel
                                   : (int64_t)d->out.c * d->in.c * d->in.h * d->in.w;
}

static double flops_of(const struct pbt_layer_desc *d) {
  int32_t pool = d->pool > 0 ? d->pool : 1;
  return 2.0 * weights_of(d) * d->out.h * pool * d->out.w * pool;
}

static float *filled(struct pbt_backend *b, size_t bytes) {
  void *memory = NULL;
  if (b->ops->allocate(b, bytes, &memory) != PBT_OK) {
    return NULL;
  }
  return memory;
}

static void fill(float *to, size_t n, float scale) {
  uint64_t state = 1;
  for (size_t i = 0; i < n; i++) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    to[i] = scale * (float)((double)(state >> 40) / (1 << 23) - 1);
  }
}

/* Forward, backward with dx, and one core's rate, in turn: the least times and the
 * highest rate, which other work on the machine disturbs least. */
static void time_layer(struct pbt_backend *b, struct pbt_layer *layer,
                       const struct pbt_layer_io *io, const char *isa, int32_t rounds,
                       double result[3]) {
  for (int32_t k = 0; k < rounds; k++) {
    double peak = machine_flops(isa), start = pbt_seconds();
    b->ops->forward(b, layer, io);
    double middle = pbt_seconds();
    b->ops->backward(b, layer, io);
    double end = pbt_seconds();
    result[0] = k == 0 || middle - start < result[0] ? middle - start : result[0];
    result[1] = k == 0 || end - middle < result[1] ? end - middle : result[1];
    result[2] = k == 0 || peak > result[2] ? peak : result[2];
  }
}

static pbt_status run(struct pbt_backend *b, const struct layer *l, const char *isa,
                      const struct options *o) {
  const struct pbt_backend_ops *ops = b->ops;
  const struct pbt_layer_desc *d = &l->desc;
  size_t in = ops->activation_bytes(b, d->in, o->batch);
  size_t out = ops->activation_bytes(b, d->out, o->batch);
  size_t weights = (size_t)weights_of(d) * sizeof(float);
  size_t bias = (size_t)d->out.c * sizeof(float);
  size_t size[] = {in, in, out, out, weights, weights, bias, bias};
  float *memory[8];
  struct pbt_layer *layer = NULL;
  PBT_TRY(ops->layer_open(b, d, o->batch, &layer));
  for (int i = 0; i < 8; i++) {
    memory[i] = filled(b, size[i]);
    if (memory[i] == NULL) {
      return PBT_ERR_UNAVAILABLE;
    }
  }
  fill(memory[0], in / sizeof(float), 1);
  fill(memory[3], out / sizeof(float), 1);
  fill(memory[4], weights / sizeof(float), 0.1F);
  struct pbt_layer_io io = {.n = o->batch,
                            .x = memory[0],
                            .dx = memory[1],
                            .y = memory[2],
                            .dy = memory[3],
                            .weight = memory[4],
                            .dweight = memory[5],
                            .bias = memory[6],
                            .dbias = memory[7]};
  double time[3], flops = flops_of(d) * o->batch;
  time_layer(b, layer, &io, isa, o->rounds, time);
  printf("%-22s %8.3f %7.1f %5.0f %%  %8.3f %7.1f %5.0f %%  %s\n", l->name, time[0] * 1e3,
         flops / time[0] * 1e-9, flops / time[0] / time[2] * 100, time[1] * 1e3,
         2 * flops / time[1] * 1e-9, 2 * flops / time[1] / time[2] * 100,
         ops->layer_describe(layer));
  for (int i = 0; i < 8; i++) {
    ops->release(b, memory[i]);
  }
  ops->layer_close(b, layer);
  return PBT_OK;
}

static bool parse(int argc, char **argv, struct options *o) {
  *o = (struct options){.threads = 1, .batch = 64, .rounds = 21};
  for (int i = 1; i + 1 < argc; i += 2) {
    const char *value = argv[i + 1];
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
  }
  return argc % 2 == 1 && o->batch >= 1 && o->rounds >= 1;
}

int main(int argc, char **argv) {
  struct options o;
  if (!parse(argc, argv, &o)) {
    fprintf(stderr, "usage: %s [--isa NAME] [--threads N] [--batch N] [--rounds N]\n",
            argv[0]);
    return PBT_ERR_USAGE;
  }
  struct pbt_backend *b = NULL;
  struct pbt_backend_options asked = {.threads = o.threads, .isa = o.isa};
  pbt_status status = pbt_backend_find("cpu")->open(&asked, &b);
  if (status == PBT_OK) {
    char isa[16] = "";
    sscanf(b->ops->describe(b), "cpu %15[a-z0-9]", isa);
    printf("%s, batch %d, best of %d\n%-22s %8s %7s %7s  %8s %7s %7s\n",
           b->ops->describe(b), o.batch, o.rounds, "layer", "fwd ms", "GF/s", "of peak",
           "bwd ms", "GF/s", "of peak");
    for (size_t i = 0; status == PBT_OK && i < sizeof layers / sizeof *layers; i++) {
      status = run(b, &layers[i], isa, &o);
    }
    b->ops->close(b);
  }
  if (status != PBT_OK) {
    fprintf(stderr, "layers: %s\n", pbt_error());
  }
  return status;
}
