#include "tools/output.h"

#include "base/file.h" // pbt_file_replace
#include "tools/real_text.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void output_json_string(struct pbt_text *text, const char *string) {
  pbt_text_add_bytes(text, "\"", 1);
  for (const char *c = string; *c != '\0'; c++) {
    if (*c == '"' || *c == '\\') {
      pbt_text_add(text, "\\%c", *c);
    } else if ((unsigned char)*c < 0x20) {
      pbt_text_add(text, "\\u%04x", (unsigned)*c);
    } else {
      pbt_text_add_bytes(text, c, 1);
    }
  }
  pbt_text_add_bytes(text, "\"", 1);
}

static void add_real(struct pbt_text *text, double value) {
  char number[REAL_TEXT];
  int n = real_text(value, number);
  pbt_text_add_bytes(text, number, (size_t)n);
}

void output_string(struct pbt_text *text, const char *string) {
  pbt_text_add_bytes(text, string, strlen(string));
}

void output_integer(struct pbt_text *text, int64_t value) {
  char digit[24];
  size_t at = sizeof digit;
  uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  do {
    digit[--at] = (char)('0' + left % 10);
    left /= 10;
  } while (left > 0);
  if (value < 0) {
    digit[--at] = '-';
  }
  pbt_text_add_bytes(text, digit + at, sizeof digit - at);
}

void output_hex(struct pbt_text *text, uint64_t value) {
  char digit[16];
  for (int i = 15; i >= 0; i--, value >>= 4) {
    digit[i] = "0123456789abcdef"[value & 15];
  }
  pbt_text_add_bytes(text, digit, sizeof digit);
}

void output_json_real(struct pbt_text *text, double value) {
  if (isfinite(value)) {
    add_real(text, value);
  } else {
    pbt_text_add(text, "null");
  }
}

void output_csv_real(struct pbt_text *text, double value) {
  if (isfinite(value)) {
    add_real(text, value);
  } else {
    pbt_text_add(text, "%s", isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
  }
}

void output_csv_string(struct pbt_text *text, const char *string) {
  if (strpbrk(string, ",\"\r\n") == NULL) {
    pbt_text_add(text, "%s", string);
    return;
  }
  pbt_text_add_bytes(text, "\"", 1);
  for (const char *c = string; *c != '\0'; c++) {
    pbt_text_add_bytes(text, c, 1);
    if (*c == '"') {
      pbt_text_add_bytes(text, c, 1);
    }
  }
  pbt_text_add_bytes(text, "\"", 1);
}

const char *output_short(double value, char text[OUTPUT_SHORT]) {
  if (isnan(value)) {
    snprintf(text, OUTPUT_SHORT, "-");
  } else {
    snprintf(text, OUTPUT_SHORT, "%.4g", value);
  }
  return text;
}

const char *output_seconds(double seconds, char text[OUTPUT_SHORT]) {
  if (!(seconds < 172800.0)) {
    snprintf(text, OUTPUT_SHORT, "%.1f days", seconds / 86400.0);
  } else {
    long long s = (long long)(seconds + 0.5);
    snprintf(text, OUTPUT_SHORT, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
  }
  return text;
}

void output_markup(struct pbt_text *text, const char *string) {
  for (const char *c = string; *c != '\0'; c++) {
    const char *name = *c == '&'    ? "&amp;"
                       : *c == '<'  ? "&lt;"
                       : *c == '>'  ? "&gt;"
                       : *c == '"'  ? "&quot;"
                       : *c == '\'' ? "&#39;"
                                    : NULL;
    if (name != NULL) {
      pbt_text_add_bytes(text, name, strlen(name));
    } else {
      pbt_text_add_bytes(text, c, 1);
    }
  }
}

pbt_status output_write(const struct pbt_text *text, const char *path) {
  PBT_TRY(text->status);
  if (path != NULL && strcmp(path, "-") != 0) {
    return pbt_file_replace(path, text->data, text->length);
  }
  bool fine = fwrite(text->data, 1, text->length, stdout) == text->length;
  fine = fflush(stdout) == 0 && fine;
  return fine ? PBT_OK : pbt_fail_errno(PBT_ERR_IO, "cannot write to standard output");
}
