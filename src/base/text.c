#include "base/text.h"

#include "base/memory.h" // pbt_mem_alloc

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool make_room(struct pbt_text *text, size_t more) {
  size_t need = text->length + more + 1;
  if (text->status != PBT_OK) {
    return false;
  }
  if (need <= text->room) {
    return true;
  }
  size_t room = need < 256 ? 256 : need + need / 2;
  void *data = NULL;
  text->status = pbt_mem_alloc(room, &data);
  if (text->status != PBT_OK) {
    return false;
  }
  if (text->length > 0) {
    memcpy(data, text->data, text->length);
  }
  pbt_mem_free(text->data);
  text->data = data;
  text->room = room;
  return true;
}

void pbt_text_add_bytes(struct pbt_text *text, const void *data, size_t bytes) {
  if (make_room(text, bytes)) {
    memcpy(text->data + text->length, data, bytes);
    text->length += bytes;
    text->data[text->length] = '\0';
  }
}

void pbt_text_add(struct pbt_text *text, const char *format, ...) {
  va_list list, again;
  va_start(list, format);
  va_copy(again, list);
  int n = vsnprintf(NULL, 0, format, list);
  va_end(list);
  if (n >= 0 && make_room(text, (size_t)n)) {
    vsnprintf(text->data + text->length, (size_t)n + 1, format, again);
    text->length += (size_t)n;
  }
  va_end(again);
}

void pbt_text_free(struct pbt_text *text) {
  pbt_mem_free(text->data);
  *text = (struct pbt_text){0};
}

enum { WORD = 63 };

static int least(int a, int b) {
  return a < b ? a : b;
}

static int distance(const char *a, const char *b) {
  int n = (int)strlen(a), m = (int)strlen(b);
  if (n > WORD || m > WORD) {
    return WORD;
  }
  int d[WORD + 1][WORD + 1];
  for (int i = 0; i <= n; i++) {
    for (int j = 0; j <= m; j++) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      int change = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
      d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1, change);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[n][m];
}

const char *pbt_text_nearest(const char *word, const char *const candidate[], size_t n) {
  const char *best = NULL;
  int limit = least(3, (int)strlen(word) / 3 + 1);
  for (size_t i = 0; i < n; i++) {
    int d = distance(word, candidate[i]);
    if (d <= limit) {
      limit = d - 1;
      best = candidate[i];
    }
  }
  return best;
}
