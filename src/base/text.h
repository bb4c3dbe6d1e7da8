/*
 * text.h - growing text and the nearest word.  Local.
 */
#ifndef PBT_BASE_TEXT_H
#define PBT_BASE_TEXT_H

#include <stddef.h>

#include "base/status.h"

/* Zero-initialise; `data` is NUL-terminated once anything was added.  Free with
 * pbt_text_free.  A failed allocation is remembered in `status`; later adds do nothing.
 */
struct pbt_text {
  char *data;
  size_t length;
  size_t room;
  pbt_status status;
};

void pbt_text_add(struct pbt_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void pbt_text_add_bytes(struct pbt_text *text, const void *data, size_t bytes);
void pbt_text_free(struct pbt_text *text);

/* The candidate nearest to `word` (Damerau-Levenshtein, at most a third of its length and
 * never more than 3 edits), or NULL.  `candidate` has n entries. */
const char *pbt_text_nearest(const char *word, const char *const candidate[], size_t n);

#endif
