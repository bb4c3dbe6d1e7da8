/*
 * The recorded effective job is read again with settings on top, as pbt_mpi --replay
 * does; what comes out is again an effective job.
 */
#include "tools/replay_job.h"

#include "base/memory.h"
#include "job/job.h"
#include "tools/output.h"

#include <stdio.h>
#include <string.h>

enum { FIXED = 4, SETTINGS = FIXED + PBT_MAX_HPARAM };

static void schedule(const struct history *history, const struct ancestry *way,
                     int32_t hparam, struct pbt_text *text) {
  pbt_text_add(text, "search.%s.schedule=[", history->hparam[hparam].name);
  for (int64_t g = way->first; g <= way->last; g++) {
    pbt_text_add(text, "%s", g > way->first ? ", " : "");
    output_json_real(
        text, history_effective(history, hparam, history_at(history, g, way->member[g])));
  }
  pbt_text_add(text, "]");
}

static void settings(const struct history *history, const struct ancestry *way,
                     const struct pbt_job *job, struct pbt_text text[SETTINGS]) {
  enum { ROOM = PBT_JOB_NAME - sizeof "-replay" };
  char output[PBT_JOB_PATH + 16], name[PBT_JOB_NAME];
  snprintf(output, sizeof output, "%s-replay", job->output);
  snprintf(name, sizeof name, "%.*s-replay", (int)ROOM, job->name);
  pbt_text_add(&text[0], "exploit.kind=none");
  pbt_text_add(&text[1], "explore.kind=replay");
  pbt_text_add(&text[2], "name=");
  output_json_string(&text[2], name);
  pbt_text_add(&text[3], "output=");
  output_json_string(&text[3], output);
  for (int32_t h = 0; h < history->n_hparam; h++) {
    schedule(history, way, h, &text[FIXED + h]);
  }
}

static void head(const struct history *history, const struct ancestry *way,
                 struct pbt_text *text) {
  pbt_text_add(
      text,
      "# The schedule that led to member %d in generation %lld of %s,\n"
      "# for every member of a population that searches no more.\n"
      "#\n"
      "#   mpirun -np RANKS pbt_mpi THIS_FILE\n"
      "#\n"
      "# Other members, another seed or a longer budget may be set on top: --set "
      "population.size=1,\n"
      "# --seed 2.  The last values hold on.\n",
      way->member[way->last], (long long)way->last, history->info->job_name);
}

pbt_status replay_job(const struct history *history, const struct ancestry *way,
                      struct pbt_text *text) {
  if (history->n_hparam == 0) {
    return pbt_fail(PBT_ERR_DATA, "%s searched nothing: there is no schedule",
                    history->path);
  }
  if (way->last - way->first + 1 > PBT_MAX_SCHEDULE) {
    return pbt_fail(
        PBT_ERR_DATA, "%s: the schedule has %lld generations; at most %d can be replayed",
        history->path, (long long)(way->last - way->first + 1), PBT_MAX_SCHEDULE);
  }
  struct pbt_job *job = NULL;
  struct pbt_text made[SETTINGS] = {{0}};
  const char *set[SETTINGS];
  struct pbt_job_source source = {.path = history->path,
                                  .text = history->info->job_text,
                                  .bytes = strlen(history->info->job_text),
                                  .ranks = 1};
  PBT_TRY(PBT_NEW(1, &job));
  pbt_status status = pbt_job_parse(&source, job);
  if (status == PBT_OK) {
    settings(history, way, job, made);
    source.set = set;
    source.n_set = FIXED + history->n_hparam;
  }
  for (int i = 0; i < source.n_set && status == PBT_OK; i++) {
    status = made[i].status;
    set[i] = made[i].data;
  }
  if (status == PBT_OK) {
    status = pbt_job_parse(&source, job);
  }
  if (status == PBT_OK) {
    head(history, way, text);
    status = pbt_job_effective(&source, job, text);
  }
  for (int i = 0; i < SETTINGS; i++) {
    pbt_text_free(&made[i]);
  }
  pbt_mem_free(job);
  return status;
}
