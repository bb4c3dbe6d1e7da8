#include "pbt/generation_record.h"

#include "base/clock.h"  // seconds
#include "base/fault.h"  // lineage_append
#include "base/memory.h" // gathered settlements
#include "pbt/display.h" // the line a person sees

#include <string.h>
#include <sys/time.h>

/* What a member knows only after the transfer. */
struct settlement {
  uint64_t digest_after;
  double seconds[PBT_PHASES];
};

void pbt_record_begin(struct pbt_population *population) {
  if (population->row == NULL) {
    return;
  }
  for (int64_t i = 0; i < population->n; i++) {
    struct pbt_lineage_row *row = &population->row[i];
    const struct pbt_report *report = &population->report[i];
    *row = (struct pbt_lineage_row){.fitness = report->fitness,
                                    .validation_loss = report->loss,
                                    .validation_accuracy = report->accuracy,
                                    .validation_macro_f1 = report->macro_f1,
                                    .training_loss = report->training_loss,
                                    .steps = report->steps,
                                    .digest_before = report->digest};
    memcpy(row->value, population->known.value + i * population->columns,
           (size_t)population->job->search.n * sizeof(double));
  }
}

static void finish_rows(struct pbt_population *population,
                        const struct settlement settlement[]) {
  for (int64_t i = 0; i < population->n; i++) {
    struct pbt_lineage_row *row = &population->row[i];
    const struct pbt_step_plan *plan = &population->plan[i];
    bool moved = plan->donor == -1 || pbt_copies_weights(population->job);
    row->parent = moved ? plan->donor : (int32_t)i;
    row->event = plan->event;
    row->digest_after = settlement[i].digest_after;
    memcpy(row->seconds, settlement[i].seconds, sizeof row->seconds);
    memcpy(row->next, plan->value, sizeof row->next);
    memcpy(row->move, plan->move, sizeof row->move);
  }
}

static int32_t copies_in(const struct pbt_population *population) {
  int32_t copies = 0;
  for (int64_t i = 0; i < population->n; i++) {
    copies += population->plan[i].donor >= 0 && population->plan[i].donor != i;
  }
  return copies;
}

static double unix_time(void) {
  struct timeval now;
  gettimeofday(&now, NULL);
  return (double)now.tv_sec + 1e-6 * (double)now.tv_usec;
}

static pbt_status append(struct pbt_population *population, double seconds) {
  const struct pbt_lineage_commit commit = {
      .generation = population->generation,
      .unix_time = unix_time(),
      .best_member = (int32_t)population->known.best_place[0],
      .best_generation = (int32_t)population->known.best_place[1],
      .best_fitness = population->known.best[PBT_FITNESS],
      .copies = copies_in(population)};
  PBT_TRY(pbt_fault("lineage_append", PBT_ERR_IO));
  PBT_TRY(pbt_lineage_append(population->lineage, population->row, &commit));
  struct pbt_text line = {0};
  pbt_progress_line(population, seconds, &line);
  pbt_status status = line.status;
  if (status == PBT_OK) {
    status = pbt_progress_append(population->progress, line.data);
  }
  pbt_text_free(&line);
  return status;
}

static void settle(const struct pbt_population *population, struct settlement mine[]) {
  for (int64_t i = 0; i < population->end - population->begin; i++) {
    const struct pbt_member *member = &population->member[i];
    mine[i].digest_after = member->digest_after;
    memcpy(mine[i].seconds, member->seconds, sizeof mine[i].seconds);
    mine[i].seconds[PBT_PHASE_RECORD] = population->record_seconds;
  }
}

pbt_status pbt_record_generation(struct pbt_population *population) {
  bool root = population->row != NULL;
  struct settlement *mine = NULL, *all = NULL;
  pbt_status status = PBT_NEW(population->end - population->begin, &mine);
  if (status == PBT_OK && root) {
    status = PBT_NEW(population->n, &all);
  }
  if (status == PBT_OK) {
    settle(population, mine);
    status = pbt_comm_gather(population->comm, mine, sizeof *mine, population->n, all);
  }
  if (status == PBT_OK && root) {
    double now = pbt_seconds();
    double seconds = now - population->generation_began;
    population->generation_began = now;
    finish_rows(population, all);
    if (population->trouble == PBT_OK) {
      population->trouble = append(population, seconds);
    }
    int64_t left = population->generations - population->generation - 1;
    pbt_display_generation(population, seconds, seconds * (double)left);
    population->checkpoint_seconds = 0.0;
    population->write_seconds = 0.0;
  }
  pbt_mem_free(all);
  pbt_mem_free(mine);
  return status;
}
