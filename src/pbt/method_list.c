/* The tables of methods, in the order of their enums. */
#include "base/text.h" // pbt_text_add
#include "pbt/exploit/exploit.h"
#include "pbt/explore/explore.h"
#include "pbt/guard/guard.h"

#include <stdio.h>

static const struct pbt_method *const exploit[] = {
    [PBT_EXPLOIT_TRUNCATION] = &pbt_exploit_truncation,
    [PBT_EXPLOIT_NONE] = &pbt_exploit_none,
    [PBT_EXPLOIT_TOURNAMENT] = &pbt_exploit_tournament,
    [PBT_EXPLOIT_TTEST] = &pbt_exploit_ttest,
    [PBT_EXPLOIT_MFPBT] = &pbt_exploit_mfpbt,
    [PBT_EXPLOIT_LTFB] = &pbt_exploit_ltfb,
};

static const struct pbt_method *const guard[] = {
    [PBT_GUARD_NONE] = NULL,
    [PBT_GUARD_WELCH] = &pbt_guard_welch,
    [PBT_GUARD_DEXPBT] = &pbt_guard_dexpbt,
};

static const struct pbt_method *const explore[] = {
    [PBT_EXPLORE_PERTURB] = &pbt_explore_perturb,
    [PBT_EXPLORE_RESAMPLE] = &pbt_explore_resample,
    [PBT_EXPLORE_NONE] = &pbt_explore_none,
    [PBT_EXPLORE_NORMAL] = &pbt_explore_normal,
    [PBT_EXPLORE_DE] = &pbt_explore_de,
    [PBT_EXPLORE_SHADE] = &pbt_explore_shade,
    [PBT_EXPLORE_LSHADE] = &pbt_explore_lshade,
    [PBT_EXPLORE_PB2] = &pbt_explore_pb2,
    [PBT_EXPLORE_COSINE] = &pbt_explore_cosine,
    [PBT_EXPLORE_STEP] = &pbt_explore_step,
    [PBT_EXPLORE_REPLAY] = &pbt_explore_replay,
};

const struct pbt_method *pbt_exploit_method(enum pbt_exploit_kind kind) {
  return exploit[kind];
}

const struct pbt_method *pbt_guard_method(enum pbt_guard_kind kind) {
  return guard[kind];
}

const struct pbt_method *pbt_explore_method(enum pbt_explore_kind kind) {
  return explore[kind];
}

int pbt_methods_of(const struct pbt_job *job, const struct pbt_method *method[]) {
  int n = 0;
  method[n++] = exploit[job->exploit.kind];
  if (guard[job->guard.kind] != NULL) {
    method[n++] = guard[job->guard.kind];
  }
  method[n++] = explore[job->explore.kind];
  return n;
}

bool pbt_has_trials(const struct pbt_job *job) {
  const struct pbt_method *method[PBT_METHODS];
  int n = pbt_methods_of(job, method);
  bool has = false;
  for (int m = 0; m < n; m++) {
    has = has || method[m]->propose != NULL;
  }
  return has;
}

int pbt_method_tensors(const struct pbt_job *job, struct pbt_tensor tensor[]) {
  const struct pbt_method *method[PBT_METHODS];
  int n_method = pbt_methods_of(job, method), n = 0;
  for (int m = 0; m < n_method; m++) {
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
    if (method[i] == NULL) {
      pbt_text_add(text, "  %-12s nothing more is asked\n", "none");
      continue;
    }
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
