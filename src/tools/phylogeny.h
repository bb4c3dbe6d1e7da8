/*
 * phylogeny.h - the forest of lives laid out in rows, so that no two lines cross.
 *
 * A row belongs to a leaf: a life of the last generation and, if all lives are shown,
 * each that was replaced.  A life with descendants in the end but none of its own end is
 * drawn in the row of the last child that took over from it.  Children are below their
 * parent, the last born nearest, so that the line down to a child crosses nothing.  Pure.
 */
#ifndef PBT_TOOLS_PHYLOGENY_H
#define PBT_TOOLS_PHYLOGENY_H

#include "tools/ancestry.h"

struct phylogeny {
  bool all;       // with lives that left nobody behind
  int64_t n;      // lives shown
  int64_t *shown; // [n]: lives, in the order of their rows, parents before children
  int64_t *row;   // [n_life]: -1 if not shown
  int64_t *until; // [n_life]: last generation to draw
  int64_t *depth; // [n_life]: copies since its root
  int64_t n_row;
  int64_t *first_child, *next_child; // [n_life]: shown ones, the last born first; or -1
};
pbt_status phylogeny_open(const struct forest *forest, bool all,
                          struct phylogeny *phylogeny);
void phylogeny_free(struct phylogeny *phylogeny);

#endif
