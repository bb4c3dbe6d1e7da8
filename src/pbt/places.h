/*
 * places.h - which rank computes on which device: a table at the start, and a warning
 * where ranks share a device that does not share well.
 */
#ifndef PBT_PBT_PLACES_H
#define PBT_PBT_PLACES_H

#include "base/text.h"
#include "pbt/population.h"

struct pbt_rank_place {
  char host[64];
  bool special; // a device of its own; else the host's processors
  struct pbt_place place;
};

/* One line a rank, in order.  Returns the most ranks that share one device which does not
 * share well; 0: none do.  Pure. */
int pbt_places_write(const struct pbt_rank_place place[], int ranks,
                     struct pbt_text *text);

/* Rank 0 prints the table, where any rank has a device.  Collective. */
pbt_status pbt_places_show(struct pbt_population *population);

#endif
