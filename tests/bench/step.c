/*
 * step - one training step of LeNet-5 and of ResNet-20 against the floor of the machine.
 *
 *   step [--net lenet5|resnet20] [--isa NAME] [--threads N] [--batch N] [--rounds N]
 *        [--cpu-clock] [--json]
 *
 * First it checks that each step computes the right loss; then every round measures the
 * machine (multiply-adds a second of one core, bytes a second) and the steps, in turn, so
 * that a change of clock or a busy neighbour meets all.  The whole step is timed: gather,
 * forward, loss, backward, update.
 *
 * Floor: the step's FLOPs at the measured peak, and its bytes at the measured memory
 * bandwidth (trainer.h says which are counted).  The ratio stands for the median round;
 * beside it that of the least times of all phases to the best rates measured, which other
 * work on the machine disturbs least.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "trainer.h"

enum { MAX_ROUNDS = 400, NETS = 2 };

struct options {
  const char *net; // NULL: both
  struct pbt_backend_options backend;
  int32_t batch, rounds;
  bool json;
};

struct rates {
  double flops[MAX_ROUNDS], memory[MAX_ROUNDS], cache[MAX_ROUNDS];
};

struct result {
  double step[MAX_ROUNDS];
  double phase[BENCH_PHASES][MAX_ROUNDS];
};

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Place 0 is the least, 1 the most, 0.5 the median. */
static double quantile(const double *value, int32_t n, double place) {
  double sorted[MAX_ROUNDS];
  memcpy(sorted, value, (size_t)n * sizeof *value);
  qsort(sorted, (size_t)n, sizeof *sorted, compare);
  return sorted[(int32_t)(place * (n - 1))];
}

/* A step of LeNet-5 takes no longer than a measure of the machine: some of them. */
static pbt_status measure_net(struct trainer *t, int32_t round, struct result *r) {
  int steps = t->net->n < 10 ? 10 : 1;
  double seconds[10];
  PBT_TRY(trainer_step(t, false)); // what the machine's measures left in the caches
  for (int i = 0; i < steps; i++) {
    double start = machine_seconds();
    PBT_TRY(trainer_step(t, true));
    seconds[i] = machine_seconds() - start;
    for (int p = 0; p < BENCH_PHASES; p++) {
      double *least = &r->phase[p][round];
      *least = i == 0 || t->seconds[p] < *least ? t->seconds[p] : *least;
    }
  }
  r->step[round] = quantile(seconds, steps, 0.5);
  return PBT_OK;
}

static pbt_status measure(struct trainer trainer[], int n, const char *isa,
                          const struct options *o, struct rates *rates,
                          struct result result[]) {
  struct machine machine;
  if (!machine_open(&machine)) {
    return pbt_fail(PBT_ERR_UNAVAILABLE, "out of memory");
  }
  pbt_status status = PBT_OK;
  for (int32_t k = 0; k < o->rounds && status == PBT_OK; k++) {
    rates->flops[k] = machine_flops(isa);
    rates->memory[k] = machine_memory(&machine);
    rates->cache[k] = machine_cache(&machine);
    for (int i = 0; i < n && status == PBT_OK; i++) {
      status = measure_net(&trainer[i], k, &result[i]);
    }
  }
  machine_close(&machine);
  return status;
}

/* Times and floors of phases that are alike, or of all. */
struct sum {
  char name[96];
  int count;
  double median, least, flops, bytes;
};

static void add_phase(const struct trainer *t, const struct result *r, int32_t rounds,
                      int phase, struct sum *sum) {
  sum->count++;
  sum->median += quantile(r->phase[phase], rounds, 0.5);
  sum->least += quantile(r->phase[phase], rounds, 0);
  sum->flops += trainer_flops(t, phase);
  sum->bytes += trainer_bytes(t, phase);
}

/* Adds a phase to the line of its like, or starts one. */
static int gather_line(const struct trainer *t, const struct result *r, int32_t rounds,
                       int phase, const char *name, struct sum line[], int n) {
  int at = 0;
  while (at < n && strcmp(line[at].name, name) != 0) {
    at++;
  }
  if (at == n) {
    line[at] = (struct sum){.count = 0};
    snprintf(line[at].name, sizeof line[at].name, "%s", name);
    n++;
  }
  add_phase(t, r, rounds, phase, &line[at]);
  return n;
}

static int gather_lines(const struct trainer *t, const struct result *r, int32_t rounds,
                        struct sum line[BENCH_PHASES]) {
  int n = gather_line(t, r, rounds, PHASE_GATHER, "gather", line, 0);
  for (int way = 0; way < 2; way++) {
    for (int k = 0; k < t->net->n; k++) {
      int i = way == 0 ? k : t->net->n - 1 - k;
      char name[96];
      const struct pbt_shape *in = &t->net->node[i].desc.in;
      snprintf(name, sizeof name, "%s %dx%dx%d %s", way == 0 ? "fwd" : "bwd", in->c,
               in->h, in->w, t->ops->layer_describe(t->layer[i]));
      n = gather_line(t, r, rounds, way == 0 ? phase_forward(i) : phase_backward(i), name,
                      line, n);
    }
    if (way == 0) {
      n = gather_line(t, r, rounds, PHASE_LOSS, "loss", line, n);
    }
  }
  return gather_line(t, r, rounds, PHASE_UPDATE, "update", line, n);
}

/* The rates that a floor is made of. */
struct pace {
  double flops, memory;
};

static double floor_of(const struct sum *s, const struct pace *pace) {
  return s->flops / pace->flops + s->bytes / pace->memory;
}

static struct sum total(const struct sum line[], int n) {
  struct sum sum = {.name = "whole step"};
  for (int i = 0; i < n; i++) {
    sum.median += line[i].median;
    sum.least += line[i].least;
    sum.flops += line[i].flops;
    sum.bytes += line[i].bytes;
  }
  return sum;
}

static void print_text(const struct trainer *t, const struct result *r, int32_t rounds,
                       const struct pace pace[2]) {
  static struct sum line[BENCH_PHASES];
  int n = gather_lines(t, r, rounds, line);
  struct sum all = total(line, n);
  double step = quantile(r->step, rounds, 0.5);
  printf("%s, batch %d: %.1f MFLOP, %.1f MB; floor %.3f ms = %.3f + %.3f\n", t->net->name,
         t->batch.n, all.flops * 1e-6, all.bytes * 1e-6, floor_of(&all, &pace[0]) * 1e3,
         all.flops / pace[0].flops * 1e3, all.bytes / pace[0].memory * 1e3);
  printf("  step: median %.3f ms, least %.3f ms, least of all phases %.3f ms\n",
         step * 1e3, quantile(r->step, rounds, 0) * 1e3, all.least * 1e3);
  printf("  ratio to the floor: %.3f; of the least times to the best rates: %.3f "
         "(arithmetic alone: %.3f)\n",
         step / floor_of(&all, &pace[0]), all.least / floor_of(&all, &pace[1]),
         all.least / (all.flops / pace[1].flops));
  printf("  %-52s %2s %8s %8s %7s %5s  %s\n", "phase", "n", "median", "least", "GF/s",
         "floor", "limit");
  for (int i = 0; i < n; i++) {
    const struct sum *s = &line[i];
    printf("  %-52.52s %2d %8.4f %8.4f", s->name, s->count, s->median * 1e3,
           s->least * 1e3);
    if (s->flops > 0 || s->bytes > 0) {
      bool memory = s->bytes / pace[1].memory > s->flops / pace[1].flops;
      printf(" %7.1f %3.0f %%  %s", s->flops / s->least * 1e-9,
             floor_of(s, &pace[1]) / s->least * 100, memory ? "memory" : "arithmetic");
    }
    printf("\n");
  }
}

static void print_json(const struct trainer *t, const struct result *r, int32_t rounds,
                       const struct pace pace[2], bool last) {
  static struct sum line[BENCH_PHASES];
  int n = gather_lines(t, r, rounds, line);
  struct sum all = total(line, n);
  double step = quantile(r->step, rounds, 0.5);
  printf("  {\"name\": \"%s\", \"batch\": %d, \"flops\": %.0f, \"bytes\": %.0f,\n"
         "   \"step_ms\": %.5f, \"step_least_ms\": %.5f, \"phases_least_ms\": %.5f,\n"
         "   \"floor_ms\": %.5f, \"ratio\": %.4f, \"ratio_of_best\": %.4f,\n"
         "   \"phases_ms\": {",
         t->net->name, t->batch.n, all.flops, all.bytes, step * 1e3,
         quantile(r->step, rounds, 0) * 1e3, all.least * 1e3,
         floor_of(&all, &pace[0]) * 1e3, step / floor_of(&all, &pace[0]),
         all.least / floor_of(&all, &pace[1]));
  for (int i = 0; i < n; i++) {
    printf("%s\"%s\": %.5f", i > 0 ? ", " : "", line[i].name, line[i].median * 1e3);
  }
  printf("}}%s\n", last ? "" : ",");
}

static void print_all(struct trainer trainer[], int n, const struct options *o,
                      const struct rates *rates, const struct result result[]) {
  char machine[128];
  machine_name(machine, sizeof machine);
  struct pace pace[2];
  for (int i = 0; i < 2; i++) {
    pace[i].flops = quantile(rates->flops, o->rounds, i == 0 ? 0.5 : 1);
    pace[i].memory = quantile(rates->memory, o->rounds, i == 0 ? 0.5 : 1);
  }
  const char *backend = trainer[0].ops->describe(trainer[0].backend);
  double cache = quantile(rates->cache, o->rounds, 0.5);
  if (o->json) {
    printf("{\"machine\": \"%s\", \"backend\": \"%s\", \"rounds\": %d,\n"
           " \"peak_flops\": %.4g, \"memory_bytes\": %.4g, \"l2_bytes\": %.4g,\n"
           " \"networks\": [\n",
           machine, backend, o->rounds, pace[0].flops, pace[0].memory, cache);
  } else {
    printf("%s: %s, %d rounds\n", machine, backend, o->rounds);
    printf("  one core: %.1f GF/s (most %.1f), memory %.1f GB/s (most %.1f), L2 %.1f "
           "GB/s\n",
           pace[0].flops * 1e-9, pace[1].flops * 1e-9, pace[0].memory * 1e-9,
           pace[1].memory * 1e-9, cache * 1e-9);
  }
  for (int i = 0; i < n; i++) {
    if (o->json) {
      print_json(&trainer[i], &result[i], o->rounds, pace, i == n - 1);
    } else {
      print_text(&trainer[i], &result[i], o->rounds, pace);
    }
  }
  if (o->json) {
    printf(" ]}\n");
  }
}

static bool parse(int argc, char **argv, struct options *o) {
  *o = (struct options){.backend = {.threads = 1}, .batch = 64, .rounds = 21};
  for (int i = 1; i < argc; i++) {
    const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
    if (strcmp(name, "--json") == 0) {
      o->json = true;
      continue;
    }
    if (strcmp(name, "--cpu-clock") == 0) {
      machine_use_cpu_clock();
      continue;
    }
    if (value == NULL) {
      return false;
    }
    if (strcmp(name, "--net") == 0 && bench_network(value) != NULL) {
      o->net = value;
    } else if (strcmp(name, "--isa") == 0) {
      o->backend.isa = value;
    } else if (strcmp(name, "--threads") == 0) {
      o->backend.threads = atoi(value);
    } else if (strcmp(name, "--batch") == 0) {
      o->batch = atoi(value);
    } else if (strcmp(name, "--rounds") == 0) {
      o->rounds = atoi(value);
    } else {
      return false;
    }
    i++;
  }
  return o->batch >= 1 && o->batch <= BENCH_MAX_BATCH && o->rounds >= 1 &&
         o->rounds <= MAX_ROUNDS;
}

int main(int argc, char **argv) {
  struct options o;
  if (!parse(argc, argv, &o)) {
    fprintf(stderr,
            "usage: %s [--net lenet5|resnet20] [--isa NAME] [--threads N]\n"
            "       [--batch 1..1024] [--rounds 1..400] [--cpu-clock] [--json]\n",
            argv[0]);
    return PBT_ERR_USAGE;
  }
  static struct rates rates;
  static struct result result[NETS];
  static struct trainer trainer[NETS];
  const char *const names[NETS] = {"lenet5", "resnet20"};
  pbt_status status = PBT_OK;
  int n = 0;
  for (int i = 0; i < NETS && status == PBT_OK; i++) {
    if (o.net == NULL || strcmp(o.net, names[i]) == 0) {
      status = trainer_open(&trainer[n++], names[i], &o.backend, o.batch);
    }
    if (status == PBT_OK && trainer[i].net != NULL) {
      status = trainer_validate(&trainer[i]);
    }
  }
  char isa[16] = "";
  if (status == PBT_OK) {
    sscanf(trainer[0].ops->describe(trainer[0].backend), "cpu %15[a-z0-9]", isa);
    status = measure(trainer, n, isa, &o, &rates, result);
  }
  if (status == PBT_OK) {
    print_all(trainer, n, &o, &rates, result);
  } else {
    fprintf(stderr, "step: %s\n", pbt_error());
  }
  for (int i = 0; i < n; i++) {
    trainer_close(&trainer[i]);
  }
  return status;
}
