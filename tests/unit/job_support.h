/* What the tests of job/ share. */
#ifndef PBT_TESTS_JOB_SUPPORT_H
#define PBT_TESTS_JOB_SUPPORT_H

#include <stdio.h>
#include <string.h>

#include "job/job.h"

static inline pbt_status parse(const char *path, const char *text, int ranks,
                               struct pbt_job *job) {
  struct pbt_job_source source = {
      .path = path, .text = text, .bytes = strlen(text), .ranks = ranks};
  return pbt_job_parse(&source, job);
}

static inline pbt_status parse_set(const char *path, const char *text, const char *set,
                                   struct pbt_job *job) {
  struct pbt_job_source source = {.path = path,
                                  .text = text,
                                  .bytes = strlen(text),
                                  .set = &set,
                                  .n_set = 1,
                                  .ranks = 1};
  return pbt_job_parse(&source, job);
}

static inline void forget_places(struct pbt_job *job) {
  for (int i = 0; i < job->search.n; i++) {
    job->search.hparam[i].line = job->search.hparam[i].column = 0;
  }
}

/* A file of the source tree: this header lies in tests/unit. */
static inline void in_source(char *path, size_t bytes, const char *inside) {
  static const char here[] = __FILE__;
  snprintf(path, bytes, "%.*s%s", (int)(sizeof here - sizeof "tests/unit/job_support.h"),
           here, inside);
}

#endif
