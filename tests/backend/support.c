#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/test.h"

static const char *environment(const char *name, const char *otherwise) {
  const char *value = getenv(name);
  return value != NULL && *value != '\0' ? value : otherwise;
}

static const struct pbt_backend_ops *find(void) {
  return pbt_backend_find(environment("PBT_TEST_BACKEND", "cpu"));
}

struct pbt_backend *support_open_isa(const char *isa, int threads) {
  struct pbt_backend *backend = NULL;
  struct pbt_backend_options options = {.threads = threads, .isa = isa};
  find()->open(&options, &backend);
  pbt_error_clear();
  return backend;
}

struct pbt_backend *support_open(void) {
  struct pbt_backend *backend = support_open_isa(NULL, 1);
  ck_assert_ptr_nonnull(backend);
  return backend;
}

int support_skip(void) {
  struct pbt_backend *backend = NULL;
  struct pbt_backend_options options = {.threads = 1};
  if (find()->open(&options, &backend) != PBT_OK) {
    printf("skipped: %s\n", pbt_error());
    return 77;
  }
  find()->close(backend);
  return 0;
}

struct pbt_layer_desc support_conv(struct pbt_shape in, int out, int kernel, int stride,
                                   int pad, int pool, bool relu, int out_halo) {
  int p = pool > 0 ? pool : 1;
  return (struct pbt_layer_desc){
      .kind = PBT_LAYER_CONV,
      .in = in,
      .out = {out, ((in.h + 2 * pad - kernel) / stride + 1) / p,
              ((in.w + 2 * pad - kernel) / stride + 1) / p, out_halo},
      .kernel = kernel,
      .stride = stride,
      .pad = pad,
      .pool = pool,
      .relu = relu};
}

struct pbt_layer_desc support_dense(struct pbt_shape in, int out, bool relu) {
  return (struct pbt_layer_desc){
      .kind = PBT_LAYER_DENSE, .in = in, .out = {out, 1, 1, 0}, .relu = relu};
}

int64_t support_count(struct pbt_shape shape) {
  return (int64_t)shape.c * shape.h * shape.w;
}

int64_t support_weights(const struct pbt_layer_desc *desc) {
  return desc->kind == PBT_LAYER_CONV
             ? (int64_t)desc->out.c * desc->in.c * desc->kernel * desc->kernel
             : desc->out.c * support_count(desc->in);
}

void support_fill(float *to, int64_t n, unsigned seed, bool grid) {
  uint64_t state = seed * 2654435761U + 12345;
  for (int64_t i = 0; i < n; i++) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    double u = (double)(state >> 40) / (1 << 23) - 1;
    to[i] = grid ? (float)(floor(u * 64) / 64) : (float)u;
  }
}

double support_error(const float *a, const double *b, int64_t n) {
  double worst = 0, largest = 1e-30;
  for (int64_t i = 0; i < n; i++) {
    double d = fabs(a[i] - b[i]);
    worst = d <= worst ? worst : d; // a NaN is the worst
    largest = fmax(largest, fabs(b[i]));
  }
  return worst / largest;
}

static void *zeroed(int64_t n, size_t size) {
  void *p = calloc((size_t)n, size);
  ck_assert_ptr_nonnull(p);
  return p;
}

struct bench_layer support_layer_new(struct pbt_layer_desc desc, int32_t n, unsigned seed,
                                     bool grid) {
  struct bench_layer l = {.desc = desc, .n = n};
  l.in = n * support_count(desc.in);
  l.out = n * support_count(desc.out);
  l.weights = support_weights(&desc);
  float **floats[] = {&l.x, &l.weight, &l.bias, &l.dy, &l.y, &l.dx, &l.dweight, &l.dbias};
  double **doubles[] = {&l.ref_y, &l.ref_dx, &l.ref_dweight, &l.ref_dbias};
  int64_t counts[] = {l.in, l.weights, desc.out.c, l.out};
  int64_t results[] = {l.out, l.in, l.weights, desc.out.c};
  for (int i = 0; i < 4; i++) {
    *floats[i] = zeroed(counts[i], sizeof(float));
    *floats[i + 4] = zeroed(results[i], sizeof(float));
    *doubles[i] = zeroed(results[i], sizeof(double));
    support_fill(*floats[i], counts[i], seed + 17 * i, grid);
  }
  l.place = zeroed(l.out, sizeof(int32_t));
  return l;
}

void support_layer_free(struct bench_layer *l) {
  void *all[] = {l->x,           l->weight,    l->bias,  l->dy,    l->y,
                 l->dx,          l->dweight,   l->dbias, l->ref_y, l->ref_dx,
                 l->ref_dweight, l->ref_dbias, l->place};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    free(all[i]);
  }
}

void support_layer_reference(struct bench_layer *l) {
  struct reference_io io = {
      .n = l->n,
      .x = l->x,
      .weight = l->weight,
      .bias = l->bias,
      .dy = l->dy,
      .y = l->ref_y,
      .dx = l->ref_dx,
      .dweight = l->ref_dweight,
      .dbias = l->ref_dbias,
      .place = l->place,
  };
  reference_forward(&l->desc, &io);
  reference_backward(&l->desc, &io);
}

/* Lanes past n of the last block, halo excepted. */
static void poison(struct pbt_shape shape, int32_t n, float *to, float value) {
  int64_t plane = (int64_t)(shape.h + 2 * shape.halo) * (shape.w + 2 * shape.halo);
  float *block = to + (int64_t)(n / 16) * shape.c * plane * 16;
  for (int64_t i = 0; n % 16 != 0 && i < shape.c * plane * 16; i++) {
    int y = (int)(i / 16 % plane) / (shape.w + 2 * shape.halo);
    int x = (int)(i / 16 % plane) % (shape.w + 2 * shape.halo);
    bool inside = y >= shape.halo && y < shape.h + shape.halo && x >= shape.halo &&
                  x < shape.w + shape.halo;
    if (inside && i % 16 >= n % 16) {
      block[i] = value;
    }
  }
}

static float *activation(struct pbt_backend *b, struct pbt_shape shape, int32_t n) {
  void *memory = NULL;
  ck_ok(b->ops->allocate(b, b->ops->activation_bytes(b, shape, n), &memory));
  return memory;
}

static float *canonical(struct pbt_backend *b, int64_t n, const float *from) {
  void *memory = NULL;
  ck_ok(b->ops->allocate(b, (size_t)n * sizeof(float), &memory));
  if (from != NULL) {
    ck_ok(b->ops->write(b, memory, from, (size_t)n * sizeof(float)));
  }
  return memory;
}

void support_layer_run(struct pbt_backend *b, struct bench_layer *l, int32_t max_batch,
                       float padding) {
  const struct pbt_backend_ops *ops = b->ops;
  struct pbt_layer *layer = NULL;
  ck_ok(ops->layer_open(b, &l->desc, max_batch, &layer));
  int32_t oc = l->desc.out.c;
  float *x = activation(b, l->desc.in, max_batch);
  float *y = activation(b, l->desc.out, max_batch);
  float *dx = activation(b, l->desc.in, max_batch);
  float *dy = activation(b, l->desc.out, max_batch);
  float *weight = canonical(b, l->weights, l->weight), *bias = canonical(b, oc, l->bias);
  float *dweight = canonical(b, l->weights, NULL), *dbias = canonical(b, oc, NULL);
  if (strcmp(ops->name, "cpu") == 0) {
    poison(l->desc.in, l->n, x, padding);
    poison(l->desc.out, l->n, dy, padding);
  }
  ck_ok(ops->activation_write(b, l->desc.in, l->n, x, l->x));
  ck_ok(ops->activation_write(b, l->desc.out, l->n, dy, l->dy));
  struct pbt_layer_io io = {.n = l->n,
                            .x = x,
                            .y = y,
                            .weight = weight,
                            .bias = bias,
                            .dy = dy,
                            .dx = dx,
                            .dweight = dweight,
                            .dbias = dbias};
  ck_ok(ops->forward(b, layer, &io));
  ck_ok(ops->backward(b, layer, &io));
  ck_ok(ops->finish(b));
  ck_ok(ops->activation_read(b, l->desc.out, l->n, l->y, y));
  ck_ok(ops->activation_read(b, l->desc.in, l->n, l->dx, dx));
  ck_ok(ops->read(b, l->dweight, dweight, (size_t)l->weights * sizeof(float)));
  ck_ok(ops->read(b, l->dbias, dbias, (size_t)oc * sizeof(float)));
  float *all[] = {x, y, dx, dy, weight, bias, dweight, dbias};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    ops->release(b, all[i]);
  }
  ops->layer_close(b, layer);
}
