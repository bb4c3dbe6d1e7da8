/*
 * ancestry.h - who descends from whom.
 *
 * A generation's exchange says whose weights each member goes on with, so the state that
 * member m trains in generation g came from parent[g - 1][m].  Following that back from a
 * place gives its ancestry; it begins in generation 0, or after a restart.  Pure.
 */
#ifndef PBT_TOOLS_ANCESTRY_H
#define PBT_TOOLS_ANCESTRY_H

#include "tools/history.h"

/* The way to member[last]: member[g] held the state in generation g, first <= g <= last.
 */
struct ancestry {
  int64_t first, last;
  int32_t *member; // [last + 1]; -1 before `first`
};
pbt_status ancestry_open(const struct history *history, int64_t generation,
                         int32_t member, struct ancestry *ancestry);
void ancestry_free(struct ancestry *ancestry);

/* The best of the run so far, as the lineage says.  PBT_ERR_DATA in one line if no
 * generation or no finite score is there. */
pbt_status ancestry_of_winner(const struct history *history, struct ancestry *ancestry);

/* The next stretch of an ancestry without a change of member, from generation `from`:
 * returns its last generation. */
int64_t ancestry_stretch(const struct ancestry *ancestry, int64_t from);

/* Do the hyperparameters in force differ between generations g - 1 and g of a way? */
bool ancestry_values_change(const struct history *history,
                            const struct ancestry *ancestry, int64_t g);

/* A life: one state in one member's place, from its beginning to its end or replacement.
 * Lives are in the order of their first generation, then member. */
struct life {
  int32_t member;
  int64_t first, last; // generations it trained in
  int64_t parent;      // whose state it began with, in generation first - 1; -1: none
  int64_t root;        // the life that all this began with
  bool is_final;       // trained in the last generation
  bool survives;       // itself or a descendant is final
  int64_t last_child;  // generation in which the last surviving child began, -1: none
  int64_t descendants; // final lives among itself and its descendants
};
struct forest {
  int64_t n_life;
  struct life *life;
  int64_t *final; // [n_member]: the lives of the last generation
  /* [generation]: of how many lives of that generation the final ones descend, and how
   * many roots (first weights, restarts) there still are among its members. */
  int64_t *ancestors, *roots;
};
pbt_status forest_grow(const struct history *history, struct forest *forest);
/* on_way[life] for the lives that an ancestry passes through. */
pbt_status forest_mark(const struct forest *forest, const struct ancestry *ancestry,
                       bool on_way[]);
void forest_free(struct forest *forest); // a zeroed one is fine

#endif
