/*
 * tree.c - the phylogeny as text, as DOT and as Newick.
 *
 * Newick has a node for every moment in which lines part: a life with children parts at
 * each child's birth.  Branch lengths are generations; the roots hang on one unnamed node
 * at length 0, since their first weights have no common ancestor.
 */
#include "base/memory.h"
#include "tools/ancestry.h"
#include "tools/commands.h"
#include "tools/option.h"
#include "tools/output.h"
#include "tools/phylogeny.h"

#include <string.h>

struct tree {
  struct history history;
  struct forest forest;
  struct phylogeny phylogeny;
  struct ancestry winner;
  bool *won; // [n_life]: on the winner's way
};

/* ---- text ---- */

static void print_survivors(const struct tree *it, struct pbt_text *text) {
  enum { SOME = 16 };
  int64_t n = it->history.n_generation, rows = n < SOME ? n : SOME;
  pbt_text_add(text, "Of how many of a generation do the final members descend, and how "
                     "many roots are left?\n\n   gen  ancestors  roots\n");
  for (int64_t row = 0; row < rows; row++) {
    int64_t g = rows == n ? row : row * (n - 1) / (rows - 1);
    pbt_text_add(text, "%6lld %10lld %6lld\n", (long long)g,
                 (long long)it->forest.ancestors[g], (long long)it->forest.roots[g]);
  }
}

static void print_shares(const struct tree *it, struct pbt_text *text) {
  pbt_text_add(text, "\nRoots of the final members:\n");
  for (int64_t i = 0; i < it->forest.n_life; i++) {
    const struct life *life = &it->forest.life[i];
    if (life->root != i || !life->survives) {
      continue;
    }
    double share = (double)life->descendants / (double)it->history.n_member;
    pbt_text_add(text, "  member %d of generation %lld: %lld of %lld (%.1f %%)%s\n",
                 life->member, (long long)life->first, (long long)life->descendants,
                 (long long)it->history.n_member, 100.0 * share,
                 it->won[i] ? ", and the winner" : "");
  }
}

static void print_life(const struct tree *it, int64_t i, struct pbt_text *text) {
  const struct life *life = &it->forest.life[i];
  char fitness[OUTPUT_SHORT];
  int64_t end = it->phylogeny.until[i];
  enum { DEEP = 30 };
  int64_t depth = it->phylogeny.depth[i];
  if (depth > DEEP) {
    pbt_text_add(text, "  %*s(%lld) ", 2 * DEEP, "", (long long)depth);
  } else {
    pbt_text_add(text, "  %*s", (int)(2 * depth), "");
  }
  pbt_text_add(
      text, "%d: %lld-%lld  %s%s%s\n", life->member, (long long)life->first,
      (long long)end,
      output_short(it->history.fitness[history_at(&it->history, end, life->member)],
                   fitness),
      life->is_final   ? ""
      : life->survives ? "  lives on in others"
                       : "  replaced",
      it->won[i] ? "  *" : "");
}

static void print_text(const struct tree *it, struct pbt_text *text) {
  print_survivors(it, text);
  print_shares(it, text);
  pbt_text_add(text,
               "\nMember: generations  fitness at the end; copies below what they were "
               "copied from%s\n",
               it->winner.member != NULL ? ", * on the winner's way" : "");
  for (int64_t i = 0; i < it->phylogeny.n; i++) {
    print_life(it, it->phylogeny.shown[i], text);
  }
}

/* ---- DOT ---- */

static void print_dot(const struct tree *it, struct pbt_text *text) {
  char fitness[OUTPUT_SHORT];
  pbt_text_add(text, "digraph lineage {\n  rankdir=LR;\n  node [shape=box, "
                     "fontname=\"sans-serif\"];\n");
  for (int64_t k = 0; k < it->phylogeny.n; k++) {
    int64_t i = it->phylogeny.shown[k];
    const struct life *life = &it->forest.life[i];
    int64_t end = history_at(&it->history, life->last, life->member);
    pbt_text_add(text, "  m%dg%lld [label=\"member %d\\n%lld-%lld\\n%s\"%s%s];\n",
                 life->member, (long long)life->first, life->member,
                 (long long)life->first, (long long)life->last,
                 output_short(it->history.fitness[end], fitness),
                 it->won[i] ? ", penwidth=3, color=\"#d55e00\"" : "",
                 life->is_final   ? ", style=filled, fillcolor=\"#dce9f5\""
                 : life->survives ? ""
                                  : ", style=dashed");
  }
  for (int64_t k = 0; k < it->phylogeny.n; k++) {
    int64_t i = it->phylogeny.shown[k];
    const struct life *life = &it->forest.life[i];
    if (life->parent < 0) {
      continue;
    }
    const struct life *parent = &it->forest.life[life->parent];
    pbt_text_add(text, "  m%dg%lld -> m%dg%lld [label=\"%lld\"%s];\n", parent->member,
                 (long long)parent->first, life->member, (long long)life->first,
                 (long long)life->first - 1,
                 it->won[i] && it->won[life->parent] ? ", penwidth=3, color=\"#d55e00\""
                                                     : "");
  }
  pbt_text_add(text, "}\n");
}

/* ---- Newick ---- */

/* A life's subtree is written from its end back to its beginning: first as many "(" as it
 * has nodes, then its own end and its children, last born first; each node is closed with
 * its length once the children born then are written. */
static void open_life(const struct tree *it, int64_t i, struct pbt_text *text) {
  const struct life *life = it->forest.life;
  int64_t last_born = it->phylogeny.first_child[i];
  for (int64_t c = last_born; c >= 0; c = it->phylogeny.next_child[c]) {
    int64_t next = it->phylogeny.next_child[c];
    if (next < 0 || life[next].first != life[c].first) {
      pbt_text_add_bytes(text, "(", 1);
    }
  }
  int64_t begin = last_born >= 0 ? life[last_born].first : life[i].first;
  bool own_end = it->phylogeny.all || life[i].is_final;
  if (own_end && it->phylogeny.until[i] >= begin) {
    pbt_text_add(
        text, "m%dg%lld:%lld%s", life[i].member, (long long)it->phylogeny.until[i],
        (long long)(it->phylogeny.until[i] - begin + 1), last_born >= 0 ? "," : "");
  }
}

/* After child c (with its subtree) of life i: the node is complete if the next child was
 * born before. */
static void close_child(const struct tree *it, int64_t c, struct pbt_text *text) {
  const struct life *life = &it->forest.life[c];
  int64_t next = it->phylogeny.next_child[c];
  if (next >= 0 && it->forest.life[next].first == life->first) {
    pbt_text_add_bytes(text, ",", 1);
    return;
  }
  const struct life *parent = &it->forest.life[life->parent];
  int64_t begin = next >= 0 ? it->forest.life[next].first : parent->first;
  pbt_text_add(text, ")m%dg%lld:%lld%s", parent->member, (long long)life->first - 1,
               (long long)(life->first - begin), next >= 0 ? "," : "");
}

static void print_newick(const struct tree *it, struct pbt_text *text) {
  bool first = true;
  pbt_text_add_bytes(text, "(", 1);
  for (int64_t root = 0; root < it->forest.n_life; root++) {
    if (it->forest.life[root].parent >= 0 || it->phylogeny.row[root] < 0) {
      continue;
    }
    pbt_text_add(text, "%s", first ? "" : ",");
    first = false;
    int64_t i = root;
    bool done = false;
    while (!done) {
      open_life(it, i, text);
      int64_t down = it->phylogeny.first_child[i];
      while (down < 0) { // a leaf: back up to the next child
        if (i == root) {
          done = true;
          break;
        }
        close_child(it, i, text);
        down = it->phylogeny.next_child[i];
        i = it->forest.life[i].parent;
      }
      i = done ? i : down;
    }
  }
  pbt_text_add(text, ");\n");
}

/* ---- the command ---- */

static pbt_status load(const char *run, bool all, struct tree *it) {
  PBT_TRY(history_load(run, &it->history));
  if (it->history.n_generation == 0) {
    return pbt_fail(PBT_ERR_DATA, "%s holds no committed generation yet",
                    it->history.path);
  }
  PBT_TRY(forest_grow(&it->history, &it->forest));
  PBT_TRY(phylogeny_open(&it->forest, all, &it->phylogeny));
  PBT_TRY(PBT_NEW(it->forest.n_life, &it->won));
  pbt_status status = ancestry_of_winner(&it->history, &it->winner);
  if (status != PBT_OK) {
    pbt_error_clear(); // a tree without a winner is a tree
    return status == PBT_ERR_UNAVAILABLE ? status : PBT_OK;
  }
  return forest_mark(&it->forest, &it->winner, it->won);
}

static pbt_status print(const struct tree *it, bool dot, bool newick,
                        struct pbt_text *text) {
  if (dot) {
    print_dot(it, text);
  } else if (newick) {
    print_newick(it, text);
  } else {
    print_text(it, text);
  }
  return output_write(text, NULL);
}

pbt_status command_tree(int n_word, char *word[]) {
  bool all = false, dot = false, newick = false;
  const struct option_spec spec[] = {
      {"--all", &all, NULL}, {"--dot", &dot, NULL}, {"--newick", &newick, NULL}};
  const char *run;
  PBT_TRY(option_take(spec, sizeof spec / sizeof *spec, word, &n_word));
  PBT_TRY(option_one("tree", word, n_word, &run));
  if (dot && newick) {
    return pbt_fail(PBT_ERR_USAGE, "tree: --dot or --newick, not both");
  }
  struct tree tree = {0};
  struct pbt_text text = {0};
  pbt_status status = load(run, all, &tree);
  if (status == PBT_OK) {
    status = print(&tree, dot, newick, &text);
  }
  pbt_text_free(&text);
  pbt_mem_free(tree.won);
  ancestry_free(&tree.winner);
  phylogeny_free(&tree.phylogeny);
  forest_free(&tree.forest);
  history_free(&tree.history);
  return status;
}
