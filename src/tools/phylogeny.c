#include "tools/phylogeny.h"

#include "base/memory.h"

static bool is_shown(const struct phylogeny *it, const struct life *life) {
  return it->all || life->survives;
}

/* Lives are in the order of birth, so pushing each in front puts the last born first. */
static void link_children(const struct forest *forest, struct phylogeny *it) {
  for (int64_t i = 0; i < forest->n_life; i++) {
    it->first_child[i] = it->next_child[i] = it->row[i] = -1;
  }
  for (int64_t i = 0; i < forest->n_life; i++) {
    const struct life *life = &forest->life[i];
    bool own_end = it->all || life->is_final;
    it->until[i] = own_end ? life->last : life->last_child - 1;
    if (!is_shown(it, life)) {
      continue;
    }
    if (life->parent >= 0) {
      it->depth[i] = it->depth[life->parent] + 1;
      it->next_child[i] = it->first_child[life->parent];
      it->first_child[life->parent] = i;
    }
  }
}

/* Depth first without recursion: `stack` is [n_life]. */
static void place(const struct forest *forest, struct phylogeny *it, int64_t root,
                  int64_t stack[]) {
  int64_t top = 0;
  stack[top++] = root;
  while (top > 0) {
    int64_t i = stack[--top];
    const struct life *life = &forest->life[i];
    bool own_row = it->all || life->is_final;
    it->shown[it->n++] = i;
    it->row[i] = own_row ? it->n_row++ : it->n_row; // or the next leaf's: its child's
    /* Pushed in reverse, so that the last born comes off first. */
    int64_t begin = top;
    for (int64_t c = it->first_child[i]; c >= 0; c = it->next_child[c]) {
      stack[top++] = c;
    }
    for (int64_t a = begin, b = top - 1; a < b; a++, b--) {
      int64_t swap = stack[a];
      stack[a] = stack[b];
      stack[b] = swap;
    }
  }
}

static pbt_status lay_out(const struct forest *forest, struct phylogeny *it,
                          int64_t **stack) {
  int64_t n = forest->n_life + 1;
  PBT_TRY(PBT_NEW(n, &it->shown));
  PBT_TRY(PBT_NEW(n, &it->row));
  PBT_TRY(PBT_NEW(n, &it->until));
  PBT_TRY(PBT_NEW(n, &it->depth));
  PBT_TRY(PBT_NEW(n, &it->first_child));
  PBT_TRY(PBT_NEW(n, &it->next_child));
  PBT_TRY(PBT_NEW(n, stack));
  link_children(forest, it);
  for (int64_t i = 0; i < forest->n_life; i++) {
    if (forest->life[i].parent < 0 && is_shown(it, &forest->life[i])) {
      place(forest, it, i, *stack);
    }
  }
  return PBT_OK;
}

pbt_status phylogeny_open(const struct forest *forest, bool all,
                          struct phylogeny *phylogeny) {
  *phylogeny = (struct phylogeny){.all = all};
  int64_t *stack = NULL;
  pbt_status status = lay_out(forest, phylogeny, &stack);
  pbt_mem_free(stack);
  if (status != PBT_OK) {
    phylogeny_free(phylogeny);
  }
  return status;
}

void phylogeny_free(struct phylogeny *it) {
  pbt_mem_free(it->shown);
  pbt_mem_free(it->row);
  pbt_mem_free(it->until);
  pbt_mem_free(it->depth);
  pbt_mem_free(it->first_child);
  pbt_mem_free(it->next_child);
  *it = (struct phylogeny){0};
}
