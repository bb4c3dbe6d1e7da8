#include "networks.h"

#include <stdio.h>
#include <string.h>

static struct bench_node *add(struct bench_network *net, const char *name,
                              struct pbt_layer_desc desc, int input) {
  struct bench_node *node = &net->node[net->n++];
  *node = (struct bench_node){.desc = desc, .input = input, .skip = -1};
  snprintf(node->name, sizeof node->name, "%s", name);
  return node;
}

static struct pbt_shape shape_of(const struct bench_network *net, int node) {
  return node < 0 ? net->image : net->node[node].desc.out;
}

static void lenet5(struct bench_network *net) {
  static const struct pbt_layer_desc list[] = {
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
      {.kind = PBT_LAYER_DENSE, .in = {84, 1, 1, 0}, .out = {BENCH_CLASSES, 1, 1, 0}},
  };
  static const char *const name[] = {"conv1", "conv2", "dense1", "dense2", "dense3"};
  *net = (struct bench_network){.name = "lenet5", .image = list[0].in};
  for (int i = 0; i < 5; i++) {
    add(net, name[i], list[i], i - 1);
  }
}

/* 3x3 and its normalisation; returns the latter's index. */
static int conv_norm(struct bench_network *net, const char *name, int input, int32_t c,
                     int32_t stride, int skip) {
  struct pbt_shape in = shape_of(net, input);
  struct pbt_shape out = {c, in.h / stride, in.w / stride, 1};
  struct pbt_layer_desc conv = {.kind = PBT_LAYER_CONV,
                                .in = in,
                                .out = out,
                                .kernel = 3,
                                .stride = stride,
                                .pad = 1};
  struct pbt_layer_desc norm = {
      .kind = PBT_LAYER_NORM, .in = out, .out = out, .relu = true};
  char text[32];
  snprintf(text, sizeof text, "%s/conv", name);
  add(net, text, conv, input);
  snprintf(text, sizeof text, "%s/norm", name);
  struct bench_node *node = add(net, text, norm, net->n - 1);
  if (skip >= 0) {
    node->skip = skip;
    node->desc.skip = shape_of(net, skip);
  }
  return net->n - 1;
}

static void resnet20(struct bench_network *net) {
  *net = (struct bench_network){.name = "resnet20", .image = {3, 32, 32, 1}};
  int last = conv_norm(net, "first", -1, 16, 1, -1);
  for (int block = 0; block < 9; block++) {
    int32_t c = 16 << block / 3, stride = block > 0 && block % 3 == 0 ? 2 : 1;
    char name[24];
    snprintf(name, sizeof name, "%d.%da", block / 3 + 1, block % 3 + 1);
    int middle = conv_norm(net, name, last, c, stride, -1);
    name[3] = 'b';
    last = conv_norm(net, name, middle, c, 1, last);
  }
  struct pbt_shape top = shape_of(net, last);
  net->node[last].desc.out.halo = 0; // nobody pads it
  top.halo = 0;
  struct pbt_layer_desc pool = {.kind = PBT_LAYER_POOL,
                                .in = top,
                                .out = {top.c, 1, 1, 0},
                                .kernel = top.h,
                                .stride = top.h,
                                .mean = true};
  add(net, "pool", pool, last);
  struct pbt_layer_desc dense = {
      .kind = PBT_LAYER_DENSE, .in = pool.out, .out = {BENCH_CLASSES, 1, 1, 0}};
  add(net, "dense", dense, net->n - 1);
}

const struct bench_network *bench_network(const char *name) {
  static struct bench_network net[2];
  lenet5(&net[0]);
  resnet20(&net[1]);
  for (int i = 0; i < 2; i++) {
    if (strcmp(net[i].name, name) == 0) {
      return &net[i];
    }
  }
  return NULL;
}

int64_t bench_weights(const struct pbt_layer_desc *d) {
  switch (d->kind) {
  case PBT_LAYER_CONV:
    return (int64_t)d->out.c * d->in.c * d->kernel * d->kernel;
  case PBT_LAYER_DENSE:
    return (int64_t)d->out.c * d->in.c * d->in.h * d->in.w;
  case PBT_LAYER_NORM:
    return d->in.c;
  default:
    return 0;
  }
}

/* A convolution without ReLU stands before a normalisation and has no bias. */
int64_t bench_biases(const struct pbt_layer_desc *d) {
  bool none = d->kind == PBT_LAYER_CONV ? !d->relu : bench_weights(d) == 0;
  return none ? 0 : d->out.c;
}

double bench_flops(const struct pbt_layer_desc *d) {
  int32_t pool = d->pool > 0 ? d->pool : 1;
  bool conv = d->kind == PBT_LAYER_CONV;
  if (!conv && d->kind != PBT_LAYER_DENSE) {
    return 0;
  }
  return 2.0 * (double)bench_weights(d) * (conv ? d->out.h * pool * d->out.w * pool : 1);
}
