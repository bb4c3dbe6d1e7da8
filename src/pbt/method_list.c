/* The methods, by their places in job/methods.h. */
#include "base/text.h" // pbt_text_add
#include "pbt/exploit/exploit.h"
#include "pbt/explore/explore.h"
#include "pbt/guard/guard.h"

#include <stdio.h>

#define EXPLOIT(NAME, name) &pbt_exploit_##name,
#define GUARD(NAME, name) &pbt_guard_##name,
#define EXPLORE(NAME, name) &pbt_explore_##name,
static const struct pbt_method *const exploit[] = {PBT_EXPLOIT_METHODS(EXPLOIT)};
static const struct pbt_method *const guard[] = {PBT_GUARD_METHODS(GUARD)};
static const struct pbt_method *const explore[] = {PBT_EXPLORE_METHODS(EXPLORE)};

const struct pbt_method *pbt_exploit_method(enum pbt_exploit_kind kind) {
  return exploit[kind];
}

const struct pbt_method *pbt_guard_method(enum pbt_guard_kind kind) {
  return guard[kind];
}

const struct pbt_method *pbt_explore_method(enum pbt_explore_kind kind) {
  return explore[kind];
}

void pbt_methods_of(const struct pbt_job *job,
                    const struct pbt_method *method[PBT_METHODS]) {
  method[0] = exploit[job->exploit.kind];
  method[1] = guard[job->guard.kind];
  method[2] = explore[job->explore.kind];
}

bool pbt_has_trials(const struct pbt_job *job) {
  const struct pbt_method *method[PBT_METHODS];
  pbt_methods_of(job, method);
  bool has = false;
  for (int m = 0; m < PBT_METHODS; m++) {
    has = has || method[m]->propose != NULL;
  }
  return has;
}

int pbt_method_tensors(const struct pbt_job *job, struct pbt_tensor tensor[]) {
  const struct pbt_method *method[PBT_METHODS];
  pbt_methods_of(job, method);
  int n = 0;
  for (int m = 0; m < PBT_METHODS; m++) {
    if (method[m]->tensors != NULL) {
      n += method[m]->tensors(job, tensor + n);
    }
  }
  return n;
}

struct pbt_tensor pbt_method_tensor(const char *prefix, const char *name,
                                    enum pbt_dtype dtype, int64_t rows, int64_t columns) {
  struct pbt_tensor tensor = {.role = PBT_ROLE_LOCAL,
                              .dtype = dtype,
                              .ndim = columns > 0 ? 2 : 1,
                              .dim = {rows, columns}};
  snprintf(tensor.name, sizeof tensor.name, "%s/%s", prefix, name);
  return tensor;
}

static const struct {
  const char *name, *what, *source;
} seeding[] = {
    {"random", "each member draws its first values on its own", ""},
    {"latin", "a Latin hypercube: each share of a range is used once",
     "McKay, Beckman, Conover 1979"},
    {"sobol", "Sobol's sequence with a shift drawn from the seed",
     "directions of Joe and Kuo 2008"},
    {"grid", "all combinations of evenly spaced levels", ""},
};

static void describe(const char *table, const struct pbt_method *const method[], size_t n,
                     struct pbt_text *text) {
  pbt_text_add(text, "%s.kind\n", table);
  for (size_t i = 0; i < n; i++) {
    pbt_text_add(text, "  %-12s %s\n", method[i]->name, method[i]->what);
    if (method[i]->source[0] != '\0') {
      pbt_text_add(text, "  %-12s   %s\n", "", method[i]->source);
    }
  }
}

void pbt_methods_describe(struct pbt_text *text) {
  pbt_text_add(text, "population.seeding\n");
  for (size_t i = 0; i < sizeof seeding / sizeof *seeding; i++) {
    pbt_text_add(text, "  %-12s %s\n", seeding[i].name, seeding[i].what);
    if (seeding[i].source[0] != '\0') {
      pbt_text_add(text, "  %-12s   %s\n", "", seeding[i].source);
    }
  }
  describe("exploit", exploit, sizeof exploit / sizeof *exploit, text);
  describe("guard", guard, sizeof guard / sizeof *guard, text);
  describe("explore", explore, sizeof explore / sizeof *explore, text);
}
