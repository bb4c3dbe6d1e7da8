#include "pbt/exploit/exploit.h"
#include "pbt/explore/explore.h"

static const struct pbt_method *const exploit[] = {
    [PBT_EXPLOIT_TRUNCATION] = &pbt_exploit_truncation,
    [PBT_EXPLOIT_NONE] = &pbt_exploit_none,
};

static const struct pbt_method *const explore[] = {
    [PBT_EXPLORE_PERTURB] = &pbt_explore_perturb,
    [PBT_EXPLORE_RESAMPLE] = &pbt_explore_resample,
    [PBT_EXPLORE_NONE] = &pbt_explore_none,
};

const struct pbt_method *pbt_exploit_method(enum pbt_exploit_kind kind) {
  return exploit[kind];
}

const struct pbt_method *pbt_explore_method(enum pbt_explore_kind kind) {
  return explore[kind];
}
