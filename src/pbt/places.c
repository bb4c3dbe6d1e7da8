#include "pbt/places.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"

static bool same_device(const struct pbt_rank_place *a, const struct pbt_rank_place *b) {
  return a->special && b->special && strcmp(a->place.device, b->place.device) == 0;
}

int pbt_places_write(const struct pbt_rank_place place[], int ranks,
                     struct pbt_text *text) {
  int crowded = 0;
  for (int rank = 0; rank < ranks; rank++) {
    const struct pbt_rank_place *mine = &place[rank];
    int together = 0;
    for (int other = 0; other < ranks; other++) {
      together += same_device(mine, &place[other]);
    }
    if (together > 1 && !mine->place.may_share && together > crowded) {
      crowded = together;
    }
    if (mine->special) {
      pbt_text_add(text, "rank %d on %s: %s, %s\n", rank, mine->host, mine->place.text,
                   mine->place.device);
    } else {
      pbt_text_add(text, "rank %d on %s: processors\n", rank, mine->host);
    }
  }
  return crowded;
}

static pbt_status show(const struct pbt_rank_place place[], int ranks) {
  bool any = false;
  for (int rank = 0; rank < ranks; rank++) {
    any = any || place[rank].special;
  }
  if (!any) {
    return PBT_OK;
  }
  struct pbt_text text = {0};
  int crowded = pbt_places_write(place, ranks, &text);
  pbt_status status = text.status;
  for (char *line = text.data; status == PBT_OK && line != NULL && *line != '\0';) {
    char *end = strchr(line, '\n');
    *end = '\0';
    pbt_info("%s", line);
    line = end + 1;
  }
  if (status == PBT_OK && crowded > 1) {
    pbt_warn("%d ranks share one GPU and take turns on it: start NVIDIA's MPS "
             "(docs/gpu.md), or one rank with all members",
             crowded);
  }
  pbt_text_free(&text);
  return status;
}

pbt_status pbt_places_show(struct pbt_population *population) {
  const struct pbt_task *task = population->member[0].task;
  struct pbt_rank_place mine = {0}, *all = NULL;
  snprintf(mine.host, sizeof mine.host, "%s", pbt_comm_host(population->comm));
  mine.special = population->task_ops->place != NULL &&
                 population->task_ops->place(task, &mine.place);
  int ranks = pbt_comm_size(population->comm);
  pbt_status status = PBT_OK;
  bool first = pbt_comm_rank(population->comm) == 0;
  if (first) {
    status = PBT_NEW(ranks, &all);
  }
  PBT_TRY(pbt_population_agree(population, status));
  PBT_TRY(pbt_comm_gather(population->comm, &mine, sizeof mine, ranks, all));
  status = first ? show(all, ranks) : PBT_OK;
  pbt_mem_free(all);
  return status;
}
