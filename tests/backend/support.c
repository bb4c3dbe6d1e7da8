#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/test.h"

static const char *environment(const char *name, const char *otherwise) {
  const char *value = getenv(name);
  return value != NULL && *value != '\0' ? value : otherwise;
}

static const struct pbt_backend_ops *find(void) {
  return pbt_backend_find(environment("PBT_TEST_BACKEND", "cpu"));
}

enum pbt_precision support_precision(void) {
  const char *name = environment("PBT_TEST_PRECISION", "float32");
  return strcmp(name, "tf32") == 0   ? PBT_TF32
         : strcmp(name, "bf16") == 0 ? PBT_BF16
                                     : PBT_FLOAT32;
}

struct pbt_backend *support_open_isa(const char *isa, int threads) {
  struct pbt_backend *backend = NULL;
  struct pbt_backend_options options = {
      .threads = threads, .isa = isa, .precision = support_precision()};
  find()->open(&options, &backend);
  pbt_error_clear();
  return backend;
}

struct pbt_backend *support_open(void) {
  struct pbt_backend *backend = support_open_isa(NULL, 1);
  ck_assert_ptr_nonnull(backend);
  return backend;
}

/* In a process of its own: a process that has used CUDA cannot fork tests that do. */
int support_skip(void) {
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    struct pbt_backend *backend = NULL;
    struct pbt_backend_options options = {.threads = 1};
    if (find()->open(&options, &backend) == PBT_OK) {
      find()->close(backend);
      _exit(0);
    }
    bool cuda = strcmp(find()->name, "cuda") == 0;
    printf("SKIP: %s: %s\n", cuda ? "needs a GPU" : "the CPU has no such instructions",
           pbt_error());
    fflush(stdout);
    _exit(77);
  }
  int status = 0;
  bool ended = child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status);
  return ended ? WEXITSTATUS(status) : EXIT_FAILURE;
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

struct pbt_layer_desc support_norm(struct pbt_shape in, struct pbt_shape skip, bool relu,
                                   int out_halo) {
  return (struct pbt_layer_desc){.kind = PBT_LAYER_NORM,
                                 .in = in,
                                 .out = {in.c, in.h, in.w, out_halo},
                                 .skip = skip,
                                 .relu = relu};
}

struct pbt_layer_desc support_add(struct pbt_shape in, struct pbt_shape skip, bool relu,
                                  int out_halo) {
  struct pbt_layer_desc desc = support_norm(in, skip, relu, out_halo);
  desc.kind = PBT_LAYER_ADD;
  return desc;
}

struct pbt_layer_desc support_pool(struct pbt_shape in, int kernel, int stride, bool mean,
                                   int out_halo) {
  return (struct pbt_layer_desc){
      .kind = PBT_LAYER_POOL,
      .in = in,
      .out = {in.c, (in.h - kernel) / stride + 1, (in.w - kernel) / stride + 1, out_halo},
      .kernel = kernel,
      .stride = stride,
      .mean = mean};
}

struct pbt_layer_desc support_dropout(struct pbt_shape in, int stream, int out_halo) {
  return (struct pbt_layer_desc){.kind = PBT_LAYER_DROPOUT,
                                 .in = in,
                                 .out = {in.c, in.h, in.w, out_halo},
                                 .stream = stream};
}

int64_t support_count(struct pbt_shape shape) {
  return (int64_t)shape.c * shape.h * shape.w;
}

int64_t support_weights(const struct pbt_layer_desc *desc) {
  switch (desc->kind) {
  case PBT_LAYER_CONV:
    return (int64_t)desc->out.c * desc->in.c * desc->kernel * desc->kernel;
  case PBT_LAYER_DENSE:
    return desc->out.c * support_count(desc->in);
  case PBT_LAYER_NORM:
    return desc->in.c;
  default:
    return 0;
  }
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
  void *p = calloc((size_t)(n > 0 ? n : 1), size);
  ck_assert_ptr_nonnull(p);
  return p;
}

struct bench_layer support_layer_new(struct pbt_layer_desc desc, int32_t n, unsigned seed,
                                     bool grid) {
  struct bench_layer l = {.desc = desc, .n = n, .training = true};
  l.step = (struct pbt_step){
      .step = 7, .seed = 0x123456789abcULL, .member = 3, .hyper = {.dropout = 0.3F}};
  l.in = n * support_count(desc.in);
  l.out = n * support_count(desc.out);
  l.skipped = n * support_count(desc.skip);
  l.weights = support_weights(&desc);
  l.biases = l.weights > 0 ? desc.out.c : 0;
  float **given[] = {&l.x,       &l.weight,     &l.bias, &l.dy,      &l.skip,
                     &l.held_dx, &l.held_dskip, &l.mean, &l.variance};
  int64_t counts[] = {l.in, l.weights, l.biases, l.out,   l.skipped,
                      l.in, l.skipped, l.biases, l.biases};
  for (int i = 0; i < 9; i++) {
    *given[i] = zeroed(counts[i], sizeof(float));
    support_fill(*given[i], counts[i], seed + 17 * i, grid);
  }
  for (int64_t i = 0; i < l.biases; i++) {
    l.variance[i] = 1.5F + l.variance[i];
  }
  float **floats[] = {&l.y, &l.dx, &l.dskip, &l.dweight, &l.dbias};
  double **doubles[] = {&l.ref_y,     &l.ref_dx,   &l.ref_dskip,   &l.ref_dweight,
                        &l.ref_dbias, &l.ref_mean, &l.ref_variance};
  int64_t results[] = {l.out, l.in, l.skipped, l.weights, l.biases, l.biases, l.biases};
  for (int i = 0; i < 7; i++) {
    *doubles[i] = zeroed(results[i], sizeof(double));
    if (i < 5) {
      *floats[i] = zeroed(results[i], sizeof(float));
    }
  }
  l.place = zeroed(l.out, sizeof(int32_t));
  return l;
}

void support_layer_free(struct bench_layer *l) {
  void *all[] = {l->x,          l->skip,      l->weight,
                 l->bias,       l->dy,        l->held_dx,
                 l->held_dskip, l->y,         l->dx,
                 l->dskip,      l->dweight,   l->dbias,
                 l->mean,       l->variance,  l->ref_y,
                 l->ref_dx,     l->ref_dskip, l->ref_dweight,
                 l->ref_dbias,  l->ref_mean,  l->ref_variance,
                 l->place};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    free(all[i]);
  }
}

void support_layer_reference(struct bench_layer *l) {
  struct reference_io io = {
      .n = l->n,
      .training = l->training,
      .add = l->add,
      .x = l->x,
      .skip = l->skip,
      .weight = l->weight,
      .bias = l->no_bias ? NULL : l->bias,
      .dy = l->dy,
      .y = l->ref_y,
      .dx = l->ref_dx,
      .dskip = l->ref_dskip,
      .dweight = l->ref_dweight,
      .dbias = l->ref_dbias,
      .mean = l->ref_mean,
      .variance = l->ref_variance,
      .step = &l->step,
      .place = l->place,
  };
  for (int64_t i = 0; i < l->in; i++) {
    l->ref_dx[i] = l->held_dx[i];
  }
  for (int64_t i = 0; i < l->skipped; i++) {
    l->ref_dskip[i] = l->held_dskip[i];
  }
  for (int64_t i = 0; i < l->biases; i++) {
    l->ref_mean[i] = l->mean[i];
    l->ref_variance[i] = l->variance[i];
  }
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

/* An activation with these values, `padding` in the lanes past n. */
static float *activation(struct pbt_backend *b, struct pbt_shape shape, int32_t n,
                         int32_t max_batch, const float *from, float padding) {
  void *memory = NULL;
  size_t bytes = b->ops->activation_bytes(b, shape, max_batch);
  ck_ok(b->ops->allocate(b, bytes > 0 ? bytes : 1, &memory));
  if (strcmp(b->ops->name, "cpu") == 0) {
    poison(shape, n, memory, padding);
  }
  ck_ok(b->ops->activation_write(b, shape, n, memory, from));
  return memory;
}

static float *canonical(struct pbt_backend *b, int64_t n, const float *from) {
  void *memory = NULL;
  size_t bytes = (size_t)(n > 0 ? n : 1) * sizeof(float);
  ck_ok(b->ops->allocate(b, bytes, &memory));
  if (n > 0) {
    ck_ok(b->ops->write(b, memory, from, bytes));
  }
  return memory;
}

static void take(struct pbt_backend *b, int64_t n, float *to, const float *from) {
  if (n > 0) {
    ck_ok(b->ops->read(b, to, from, (size_t)n * sizeof(float)));
  }
}

void support_layer_run(struct pbt_backend *b, struct bench_layer *l, int32_t max_batch,
                       float padding) {
  const struct pbt_backend_ops *ops = b->ops;
  const struct pbt_layer_desc *d = &l->desc;
  struct pbt_layer *layer = NULL;
  int32_t n = l->n;
  ck_ok(ops->layer_open(b, d, max_batch, &layer));
  float *x = activation(b, d->in, n, max_batch, l->x, padding);
  float *skip = activation(b, d->skip, n, max_batch, l->skip, padding);
  float *y = activation(b, d->out, n, max_batch, l->y, 0);
  float *dx = activation(b, d->in, n, max_batch, l->held_dx, 0);
  float *dskip = activation(b, d->skip, n, max_batch, l->held_dskip, 0);
  float *dy = activation(b, d->out, n, max_batch, l->dy, padding);
  float *weight = canonical(b, l->weights, l->weight);
  float *bias = canonical(b, l->biases, l->bias);
  float *dweight = canonical(b, l->weights, l->dweight);
  float *dbias = canonical(b, l->biases, l->dbias);
  float *mean = canonical(b, l->biases, l->mean);
  float *variance = canonical(b, l->biases, l->variance);
  void *step = NULL;
  ck_ok(ops->allocate(b, sizeof l->step, &step));
  ck_ok(ops->write(b, step, &l->step, sizeof l->step));
  struct pbt_layer_io io = {.n = n,
                            .training = l->training,
                            .x = x,
                            .skip = d->skip.c > 0 ? skip : NULL,
                            .y = y,
                            .weight = weight,
                            .bias = l->no_bias ? NULL : bias,
                            .mean = mean,
                            .variance = variance,
                            .dy = dy,
                            .dx = dx,
                            .dskip = d->skip.c > 0 ? dskip : NULL,
                            .add_dx = l->add,
                            .add_dskip = l->add,
                            .dweight = dweight,
                            .dbias = l->no_bias ? NULL : dbias,
                            .step = step};
  ck_ok(ops->forward(b, layer, &io));
  ck_ok(ops->backward(b, layer, &io));
  ck_ok(ops->finish(b));
  ck_ok(ops->activation_read(b, d->out, n, l->y, y));
  ck_ok(ops->activation_read(b, d->in, n, l->dx, dx));
  ck_ok(ops->activation_read(b, d->skip, n, l->dskip, dskip));
  take(b, l->weights, l->dweight, dweight);
  take(b, l->biases, l->dbias, dbias);
  take(b, l->biases, l->mean, mean);
  take(b, l->biases, l->variance, variance);
  void *all[] = {x,    skip,    y,     dx,   dskip,    dy,  weight,
                 bias, dweight, dbias, mean, variance, step};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    ops->release(b, all[i]);
  }
  ops->layer_close(b, layer);
}
