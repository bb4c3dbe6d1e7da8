/* explore.h - the ways to explore; method_list.c is the table. */
#ifndef PBT_PBT_EXPLORE_EXPLORE_H
#define PBT_PBT_EXPLORE_EXPLORE_H

#include "pbt/method.h"

extern const struct pbt_method pbt_explore_perturb;
extern const struct pbt_method pbt_explore_resample;
extern const struct pbt_method pbt_explore_normal;
extern const struct pbt_method pbt_explore_none;
extern const struct pbt_method pbt_explore_de;
extern const struct pbt_method pbt_explore_shade;
extern const struct pbt_method pbt_explore_lshade;
extern const struct pbt_method pbt_explore_pb2;
extern const struct pbt_method pbt_explore_cosine;
extern const struct pbt_method pbt_explore_step;
extern const struct pbt_method pbt_explore_replay;

#endif
