/*
 * methods.h - the table of all methods: NAME of the enumerator, name in the job file and
 * of the object that holds it.  A new method is one file in src/pbt/exploit, guard or
 * explore, which defines pbt_exploit_NAME and so on, and one line here.
 */
#ifndef PBT_JOB_METHODS_H
#define PBT_JOB_METHODS_H

#define PBT_EXPLOIT_METHODS(X)                                                           \
  X(TRUNCATION, truncation)                                                              \
  X(NONE, none)                                                                          \
  X(TOURNAMENT, tournament)                                                              \
  X(TTEST, ttest)                                                                        \
  X(MFPBT, mfpbt)                                                                        \
  X(LTFB, ltfb)

#define PBT_GUARD_METHODS(X)                                                             \
  X(NONE, none)                                                                          \
  X(WELCH, welch)                                                                        \
  X(DEXPBT, dexpbt)

#define PBT_EXPLORE_METHODS(X)                                                           \
  X(PERTURB, perturb)                                                                    \
  X(RESAMPLE, resample)                                                                  \
  X(NONE, none)                                                                          \
  X(NORMAL, normal)                                                                      \
  X(DE, de)                                                                              \
  X(SHADE, shade)                                                                        \
  X(LSHADE, lshade)                                                                      \
  X(PB2, pb2)                                                                            \
  X(COSINE, cosine)                                                                      \
  X(STEP, step)                                                                          \
  X(REPLAY, replay)

/* The enumerators, in the order of the tables; the first is the default. */
#define PBT_EXPLOIT_KIND(NAME, name) PBT_EXPLOIT_##NAME,
#define PBT_GUARD_KIND(NAME, name) PBT_GUARD_##NAME,
#define PBT_EXPLORE_KIND(NAME, name) PBT_EXPLORE_##NAME,
enum pbt_exploit_kind { PBT_EXPLOIT_METHODS(PBT_EXPLOIT_KIND) };
enum pbt_guard_kind { PBT_GUARD_METHODS(PBT_GUARD_KIND) };
enum pbt_explore_kind { PBT_EXPLORE_METHODS(PBT_EXPLORE_KIND) };

/* The job file's words for them, for the braces of an array. */
#define PBT_METHOD_WORD(NAME, name) #name,

#endif
