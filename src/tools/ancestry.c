#include "tools/ancestry.h"

#include "base/memory.h" // arrays

#include <math.h>
#include <string.h>

/* ---- one ancestry ---- */

pbt_status ancestry_open(const struct history *history, int64_t generation,
                         int32_t member, struct ancestry *ancestry) {
  *ancestry = (struct ancestry){.last = generation, .first = generation};
  PBT_TRY(PBT_NEW(generation + 1, &ancestry->member));
  for (int64_t g = generation; g >= 0; g--) {
    if (g < generation && member >= 0) {
      member = history->parent[history_at(history, g, member)];
    }
    ancestry->member[g] = member;
    ancestry->first = member >= 0 ? g : ancestry->first;
  }
  return PBT_OK;
}

void ancestry_free(struct ancestry *ancestry) {
  pbt_mem_free(ancestry->member);
  *ancestry = (struct ancestry){0};
}

pbt_status ancestry_of_winner(const struct history *history, struct ancestry *ancestry) {
  *ancestry = (struct ancestry){0};
  if (history->n_generation == 0) {
    return pbt_fail(PBT_ERR_DATA, "%s holds no committed generation yet", history->path);
  }
  const struct pbt_lineage_commit *last = &history->commit[history->n_generation - 1];
  if (last->best_member < 0 || last->best_generation < 0) {
    return pbt_fail(PBT_ERR_DATA, "%s has no winner: no member ever had a finite score",
                    history->path);
  }
  if (last->best_member >= history->n_member ||
      last->best_generation >= history->n_generation) {
    return pbt_fail(PBT_ERR_DATA, "%s names a winner that is not in it", history->path);
  }
  return ancestry_open(history, last->best_generation, last->best_member, ancestry);
}

int64_t ancestry_stretch(const struct ancestry *ancestry, int64_t from) {
  while (from < ancestry->last && ancestry->member[from + 1] == ancestry->member[from]) {
    from++;
  }
  return from;
}

bool ancestry_values_change(const struct history *history,
                            const struct ancestry *ancestry, int64_t g) {
  int64_t before = history_at(history, g - 1, ancestry->member[g - 1]);
  int64_t now = history_at(history, g, ancestry->member[g]);
  for (int32_t h = 0; h < history->n_hparam; h++) {
    if (history->value[h][before] != history->value[h][now]) {
      return true;
    }
  }
  return false;
}

/* ---- all of them ---- */

static int64_t count_lives(const struct history *history) {
  int64_t n = history->n_generation > 0 ? history->n_member : 0;
  for (int64_t g = 0; g + 1 < history->n_generation; g++) {
    for (int64_t m = 0; m < history->n_member; m++) {
      n += history->parent[history_at(history, g, m)] != m;
    }
  }
  return n;
}

static void begin(struct forest *forest, int64_t member, int64_t generation,
                  int64_t parent) {
  forest->life[forest->n_life] =
      (struct life){.member = (int32_t)member,
                    .first = generation,
                    .last = generation,
                    .parent = parent,
                    .root = parent < 0 ? forest->n_life : forest->life[parent].root,
                    .last_child = -1};
  forest->n_life++;
}

/* Forward: who lives where.  `now` and `next` are [n_member] lives. */
static void live(const struct history *history, struct forest *forest, int64_t now[],
                 int64_t next[]) {
  for (int64_t m = 0; m < history->n_member; m++) {
    now[m] = forest->n_life;
    begin(forest, m, 0, -1);
  }
  for (int64_t g = 0; g + 1 < history->n_generation; g++) {
    for (int64_t m = 0; m < history->n_member; m++) {
      int32_t parent = history->parent[history_at(history, g, m)];
      if (parent == m) {
        next[m] = now[m];
        forest->life[now[m]].last = g + 1;
      } else {
        next[m] = forest->n_life;
        begin(forest, m, g + 1, parent < 0 ? -1 : now[parent]);
      }
    }
    memcpy(now, next, (size_t)history->n_member * sizeof *now);
  }
  memcpy(forest->final, now, (size_t)history->n_member * sizeof *now);
}

/* Backward: who has descendants in the end.  Children come after their parents. */
static void survive(const struct history *history, struct forest *forest) {
  for (int64_t m = 0; m < history->n_member; m++) {
    struct life *life = &forest->life[forest->final[m]];
    life->is_final = life->survives = true;
    life->descendants = 1;
  }
  for (int64_t i = forest->n_life - 1; i >= 0; i--) {
    const struct life *life = &forest->life[i];
    if (life->survives && life->parent >= 0) {
      struct life *parent = &forest->life[life->parent];
      parent->survives = true;
      parent->descendants += life->descendants;
      parent->last_child =
          parent->last_child > life->first ? parent->last_child : life->first;
    }
  }
}

/* A surviving life is an ancestor from its first generation to its end, or to the last
 * that handed its state on.  Differences first, then their sums. */
static void count_ancestors(const struct history *history, struct forest *forest) {
  for (int64_t i = 0; i < forest->n_life; i++) {
    const struct life *life = &forest->life[i];
    if (!life->survives) {
      continue;
    }
    forest->ancestors[life->first]++;
    int64_t end = life->is_final ? life->last + 1 : life->last_child;
    if (end < history->n_generation) {
      forest->ancestors[end]--;
    }
  }
  for (int64_t g = 1; g < history->n_generation; g++) {
    forest->ancestors[g] += forest->ancestors[g - 1];
  }
}

/* Roots among the members of each generation: a root is there as long as a life of its
 * is.  `seen` is [n_life], the last generation in which a root was met. */
static void count_roots(const struct history *history, struct forest *forest,
                        int64_t seen[]) {
  for (int64_t i = 0; i < forest->n_life; i++) {
    seen[i] = -1;
  }
  for (int64_t i = 0; i < forest->n_life; i++) {
    const struct life *life = &forest->life[i];
    seen[life->root] = seen[life->root] > life->last ? seen[life->root] : life->last;
  }
  for (int64_t i = 0; i < forest->n_life; i++) {
    if (forest->life[i].root == i) { // in every generation from its first to seen[i]
      forest->roots[forest->life[i].first]++;
      if (seen[i] + 1 < history->n_generation) {
        forest->roots[seen[i] + 1]--;
      }
    }
  }
  for (int64_t g = 1; g < history->n_generation; g++) {
    forest->roots[g] += forest->roots[g - 1];
  }
}

static pbt_status grow(const struct history *history, struct forest *forest,
                       int64_t **scratch) {
  int64_t n_life = count_lives(history), n = history->n_member;
  PBT_TRY(PBT_NEW(n_life + 1, &forest->life));
  PBT_TRY(PBT_NEW(n, &forest->final));
  PBT_TRY(PBT_NEW(history->n_generation + 1, &forest->ancestors));
  PBT_TRY(PBT_NEW(history->n_generation + 1, &forest->roots));
  PBT_TRY(PBT_NEW(2 * n + n_life, scratch));
  if (history->n_generation > 0) {
    live(history, forest, *scratch, *scratch + n);
    survive(history, forest);
    count_ancestors(history, forest);
    count_roots(history, forest, *scratch);
  }
  return PBT_OK;
}

pbt_status forest_grow(const struct history *history, struct forest *forest) {
  *forest = (struct forest){0};
  int64_t *scratch = NULL;
  pbt_status status = grow(history, forest, &scratch);
  pbt_mem_free(scratch);
  if (status != PBT_OK) {
    forest_free(forest);
  }
  return status;
}

/* From the youngest life back: the one that held the place is the one whose generations
 * do. */
pbt_status forest_mark(const struct forest *forest, const struct ancestry *ancestry,
                       bool on_way[]) {
  for (int64_t i = forest->n_life - 1; i >= 0; i--) {
    const struct life *life = &forest->life[i];
    int64_t g = ancestry->last;
    if (life->member == ancestry->member[g] && life->first <= g && g <= life->last) {
      for (int64_t at = i; at >= 0; at = forest->life[at].parent) {
        on_way[at] = true;
      }
      return PBT_OK;
    }
  }
  return PBT_BUG("an ancestry ends in no life");
}

void forest_free(struct forest *forest) {
  pbt_mem_free(forest->life);
  pbt_mem_free(forest->final);
  pbt_mem_free(forest->ancestors);
  pbt_mem_free(forest->roots);
  *forest = (struct forest){0};
}
