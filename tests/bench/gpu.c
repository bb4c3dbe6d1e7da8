/*
 * gpu - training steps a second of one or more members on one device.
 *
 *   gpu [--backend cuda|cpu] [--net lenet5|resnet20] [--batch N] [--members N]
 *       [--precision float32|tf32|bf16] [--seconds S] [--start EPOCH] [--copies]
 *
 * Members each have a backend, a stream and a network of their own over one data set on
 * the device, and are given their slices in turns by one thread, as a rank does it. First
 * it is checked that the losses of five steps are those of the cpu backend; then all
 * train for S seconds.  Several processes (as ranks are) begin together with --start.
 * --copies measures instead how fast a member's state travels between device and host,
 * and between members.  Prints one line of JSON.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "net/net.h"

enum { IMAGES = 10000, CLASSES = 10, MAX_MEMBERS = 128, CHECKED = 5 };

struct options {
  const char *backend, *net, *precision;
  int32_t batch, members;
  double seconds, start;
  bool copies;
};

struct member {
  const struct options *o;
  struct pbt_backend *backend;
  struct pbt_dataset *dataset;
  struct pbt_net *net;
  struct pbt_batch batch;
};

static uint8_t *pixel, label[IMAGES];

static struct pbt_shape shape_of(const struct options *o) {
  bool color = strcmp(o->net, "resnet20") == 0;
  return (struct pbt_shape){
      .c = color ? 3 : 1, .h = color ? 32 : 28, .w = color ? 32 : 28};
}

/* Bright squares whose place tells the class, in noise: a task that is learned at once.
 */
static void draw_images(struct pbt_shape s) {
  int64_t bytes = (int64_t)s.c * s.h * s.w;
  uint64_t state = 1;
  pixel = malloc((size_t)(IMAGES * bytes));
  for (int64_t i = 0; i < IMAGES; i++) {
    label[i] = (uint8_t)(i % CLASSES);
    for (int64_t k = 0; k < bytes; k++) {
      int64_t y = k / s.w % s.h, x = k % s.w;
      bool bright = y / 6 == label[i] / 4 && x / 6 == label[i] % 4;
      state = state * 6364136223846793005U + 1442695040888963407U;
      pixel[i * bytes + k] = (uint8_t)((state >> 58) + (bright ? 150 : 0));
    }
  }
}

static enum pbt_precision precision_of(const char *name) {
  return strcmp(name, "tf32") == 0   ? PBT_TF32
         : strcmp(name, "bf16") == 0 ? PBT_BF16
                                     : PBT_FLOAT32;
}

static pbt_status open_member(struct member *m, const char *backend, uint32_t id) {
  const struct options *o = m->o;
  const struct pbt_backend_options options = {.threads = 1,
                                              .precision = precision_of(o->precision)};
  PBT_TRY(pbt_backend_find(backend)->open(&options, &m->backend));
  struct pbt_shape s = shape_of(o);
  struct pbt_images images = {.pixel = pixel,
                              .label = label,
                              .n = IMAGES,
                              .c = s.c,
                              .h = s.h,
                              .w = s.w,
                              .n_class = CLASSES};
  for (int c = 0; c < s.c; c++) {
    images.scale[c] = 1.0F / 64;
    images.shift[c] = -0.6F;
  }
  PBT_TRY(m->backend->ops->data_open(m->backend, &images, &m->dataset));
  static struct pbt_net_spec spec; // one thread opens
  PBT_TRY(s.c == 1 ? pbt_net_lenet5(s, CLASSES, &spec)
                   : pbt_net_resnet20(s, CLASSES, &spec));
  const struct pbt_net_options net = {.max_batch = o->batch};
  PBT_TRY(pbt_net_open(m->backend, &spec, &net, &m->net));
  const struct pbt_hyper hyper = {.lr = 0.02F, .momentum = 0.9F, .weight_decay = 5e-4F};
  PBT_TRY(pbt_net_set_hyper(m->net, &hyper));
  m->batch = (struct pbt_batch){
      .dataset = m->dataset, .count = IMAGES, .n = o->batch, .shuffle = true};
  return pbt_net_init(m->net, 3, id, 0);
}

static void close_member(struct member *m) {
  pbt_net_close(m->net);
  if (m->dataset != NULL) {
    m->backend->ops->data_close(m->backend, m->dataset);
  }
  if (m->backend != NULL) {
    m->backend->ops->close(m->backend);
  }
}

/* Mean loss of each of the first steps. */
static pbt_status first_losses(struct member *m, double loss[CHECKED]) {
  for (int i = 0; i < CHECKED; i++) {
    struct pbt_tally tally;
    PBT_TRY(pbt_net_train(m->net, &m->batch, 1, &tally));
    loss[i] = tally.loss / (double)tally.count;
  }
  return PBT_OK;
}

/* The same steps on the cpu, and are the losses the same? */
static pbt_status validate(const struct options *o, double *difference) {
  double loss[2][CHECKED];
  const char *const backend[] = {o->backend, "cpu"};
  for (int k = 0; k < 2; k++) {
    struct member m = {.o = o};
    pbt_status status = open_member(&m, backend[k], 0);
    if (status == PBT_OK) {
      status = first_losses(&m, loss[k]);
    }
    close_member(&m);
    PBT_TRY(status);
  }
  *difference = 0;
  for (int i = 0; i < CHECKED; i++) {
    *difference = fmax(*difference, fabs(loss[0][i] - loss[1][i]) / loss[1][i]);
  }
  double limit = precision_of(o->precision) == PBT_FLOAT32 ? 1e-3 : 5e-2;
  if (!(*difference <= limit)) {
    return pbt_fail(PBT_ERR_INTERNAL,
                    "the losses of %d steps differ by %.3g from the cpu's", CHECKED,
                    *difference);
  }
  return PBT_OK;
}

/* As slices are cut where a job trains. */
static int64_t slice_of(const struct member *m) {
  if (m->o->seconds < 1) {
    return 5;
  }
  double steps = 1e11 / pbt_net_step_flops(m->net, m->o->batch);
  return steps < 1 ? 1 : steps < PBT_BACKEND_QUEUE ? (int64_t)steps : PBT_BACKEND_QUEUE;
}

/* Each in its turn hands over a slice and begins the next. */
static pbt_status train(struct member member[], double *rate) {
  const struct options *o = member->o;
  struct pbt_tally tally;
  for (int i = 0; i < o->members; i++) { // warm
    PBT_TRY(pbt_net_train(member[i].net, &member[i].batch, 3, &tally));
  }
  while (o->start > 0 && (double)time(NULL) < o->start) {
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
  int64_t slice = slice_of(member), steps = 0;
  double begin = pbt_seconds(), took = 0;
  for (bool first = true, more = true; first || more; first = false) {
    bool goes_on = took < o->seconds;
    for (int i = 0; i < o->members; i++) {
      if (!first) {
        PBT_TRY(pbt_net_collect(member[i].net, &tally));
        steps += slice;
      }
      if (goes_on) {
        PBT_TRY(pbt_net_train_begin(member[i].net, &member[i].batch, slice));
      }
    }
    more = goes_on;
    took = pbt_seconds() - begin;
  }
  *rate = (double)steps / took;
  return PBT_OK;
}

static pbt_status run_members(const struct options *o, double difference) {
  static struct member member[MAX_MEMBERS];
  pbt_status status = PBT_OK;
  double rate = 0;
  for (int i = 0; i < o->members && status == PBT_OK; i++) {
    member[i].o = o;
    status = open_member(&member[i], o->backend, (uint32_t)i);
  }
  if (status == PBT_OK) {
    status = train(member, &rate);
  }
  if (status == PBT_OK) {
    printf("{\"what\": \"steps\", \"backend\": \"%s\", \"net\": \"%s\", \"batch\": %d, "
           "\"members\": %d, \"precision\": \"%s\", \"difference\": %.3g, "
           "\"steps_per_second\": %.1f}\n",
           member[0].backend->ops->describe(member[0].backend), o->net, o->batch,
           o->members, o->precision, difference, rate);
  }
  for (int i = 0; i < o->members; i++) {
    close_member(&member[i]);
  }
  return status;
}

/* One member's state, as transfer and checkpoint move it. */
static pbt_status time_copies(struct pbt_backend *b, struct pbt_backend *other,
                              char *host, void *const device[2], size_t bytes,
                              double best[3]) {
  enum { ROUNDS = 10 };
  for (int i = 0; i < ROUNDS; i++) {
    double begin = pbt_seconds();
    PBT_TRY(b->ops->write(b, device[0], host, bytes));
    PBT_TRY(b->ops->finish(b));
    double written = pbt_seconds();
    PBT_TRY(b->ops->read(b, host, device[0], bytes));
    double read = pbt_seconds();
    PBT_TRY(other->ops->copy(other, device[1], b, device[0], bytes));
    PBT_TRY(other->ops->finish(other));
    best[0] = fmin(best[0], written - begin);
    best[1] = fmin(best[1], read - written);
    best[2] = fmin(best[2], pbt_seconds() - read);
  }
  return PBT_OK;
}

static pbt_status run_copies(const struct options *o) {
  enum { BYTES = 64 << 20 };
  struct pbt_backend *b[2] = {NULL, NULL};
  void *device[2] = {NULL, NULL};
  const struct pbt_backend_options options = {.threads = 1};
  char *host = malloc(BYTES);
  memset(host, 1, BYTES);
  double best[3] = {1e30, 1e30, 1e30};
  pbt_status status = PBT_OK;
  for (int i = 0; i < 2; i++) {
    PBT_TRY_TO(done, status, pbt_backend_find(o->backend)->open(&options, &b[i]));
    PBT_TRY_TO(done, status, b[i]->ops->allocate(b[i], BYTES, &device[i]));
  }
  PBT_TRY_TO(done, status, time_copies(b[0], b[1], host, device, BYTES, best));
  printf("{\"what\": \"copies\", \"bytes\": %d, \"to_device_per_second\": %.4g, "
         "\"to_host_per_second\": %.4g, \"between_members_per_second\": %.4g}\n",
         BYTES, BYTES / best[0], BYTES / best[1], BYTES / best[2]);
done:
  for (int i = 0; i < 2; i++) {
    if (b[i] != NULL) {
      b[i]->ops->release(b[i], device[i]);
      b[i]->ops->close(b[i]);
    }
  }
  free(host);
  return status;
}

static bool parse(int argc, char **argv, struct options *o) {
  *o = (struct options){.backend = "cuda",
                        .net = "lenet5",
                        .precision = "float32",
                        .batch = 64,
                        .members = 1,
                        .seconds = 3};
  for (int i = 1; i < argc; i++) {
    const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
    if (strcmp(name, "--copies") == 0) {
      o->copies = true;
      continue;
    }
    if (value == NULL) {
      return false;
    }
    if (strcmp(name, "--backend") == 0) {
      o->backend = value;
    } else if (strcmp(name, "--net") == 0) {
      o->net = value;
    } else if (strcmp(name, "--precision") == 0) {
      o->precision = value;
    } else if (strcmp(name, "--batch") == 0) {
      o->batch = atoi(value);
    } else if (strcmp(name, "--members") == 0) {
      o->members = atoi(value);
    } else if (strcmp(name, "--seconds") == 0) {
      o->seconds = atof(value);
    } else if (strcmp(name, "--start") == 0) {
      o->start = atof(value);
    } else {
      return false;
    }
    i++;
  }
  return o->batch >= 1 && o->batch <= IMAGES && o->members >= 1 &&
         o->members <= MAX_MEMBERS && pbt_backend_find(o->backend) != NULL;
}

int main(int argc, char **argv) {
  struct options o;
  if (!parse(argc, argv, &o)) {
    fprintf(stderr,
            "usage: %s [--backend cuda|cpu] [--net lenet5|resnet20] [--batch N]\n"
            "       [--members 1..%d] [--precision float32|tf32|bf16] [--seconds S]\n"
            "       [--start EPOCH] [--copies]\n",
            argv[0], MAX_MEMBERS);
    return PBT_ERR_USAGE;
  }
  draw_images(shape_of(&o));
  double difference = 0;
  pbt_status status = o.copies ? run_copies(&o) : validate(&o, &difference);
  if (status == PBT_OK && !o.copies) {
    status = run_members(&o, difference);
  }
  if (status != PBT_OK) {
    fprintf(stderr, "%s\n", pbt_error());
  }
  free(pixel);
  return status;
}
