#include "job/spell.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* digits "125", exponent -1 (of the first digit): 0.125, or 1.25e-7 when far from 1. */
static void place_point(const char *digits, int exponent, bool negative, char *text) {
  int n = (int)strlen(digits);
  char *to = text;
  if (negative) {
    *to++ = '-';
  }
  if (exponent < -3 || exponent > 14) {
    *to++ = digits[0];
    if (n > 1) {
      *to++ = '.';
      memcpy(to, digits + 1, (size_t)n - 1);
      to += n - 1;
    }
    snprintf(to, 8, "e%d", exponent);
    return;
  }
  if (exponent < 0) {
    *to++ = '0';
    *to++ = '.';
    for (int i = -1; i > exponent; i--) {
      *to++ = '0';
    }
    memcpy(to, digits, (size_t)n + 1);
    return;
  }
  for (int i = 0; i <= exponent || i < n; i++) {
    if (i == exponent + 1) {
      *to++ = '.';
    }
    *to++ = i < n ? digits[i] : '0';
  }
  *to = '\0';
}

void pbt_spell_number(double value, char text[PBT_NUMBER_TEXT]) {
  if (!isfinite(value)) {
    snprintf(text, PBT_NUMBER_TEXT, "%s",
             isnan(value) ? "nan" : (value > 0 ? "inf" : "-inf"));
    return;
  }
  char e[PBT_NUMBER_TEXT];
  for (int digits = 0; digits < 17; digits++) {
    snprintf(e, sizeof e, "%.*e", digits, value);
    if (strtod(e, NULL) == value) {
      break;
    }
  }
  char *mark = strchr(e, 'e');
  int exponent = atoi(mark + 1);
  char digits[PBT_NUMBER_TEXT];
  int n = 0;
  for (char *c = e; c < mark; c++) {
    if (*c >= '0' && *c <= '9') {
      digits[n++] = *c;
    }
  }
  while (n > 1 && digits[n - 1] == '0') {
    n--;
  }
  digits[n] = '\0';
  place_point(digits, exponent, signbit(value) != 0, text);
}

void pbt_spell_real(double value, char text[PBT_NUMBER_TEXT]) {
  pbt_spell_number(value, text);
  if (strpbrk(text, ".en") == NULL) { // a point, an exponent, inf or nan
    strcat(text, ".0");
  }
}

void pbt_spell_string(struct pbt_text *text, const char *string) {
  pbt_text_add_bytes(text, "\"", 1);
  for (const char *c = string; *c != '\0'; c++) {
    if (*c == '"' || *c == '\\') {
      pbt_text_add_bytes(text, "\\", 1);
    }
    pbt_text_add_bytes(text, c, 1);
  }
  pbt_text_add_bytes(text, "\"", 1);
}

/* Bytes of the UTF-8 character at s, 0 if it is none or a control character. */
static size_t character(const unsigned char *s, size_t bytes) {
  if (s[0] < 0x80) {
    return s[0] >= 0x20 && s[0] != 0x7f ? 1 : 0;
  }
  size_t n = s[0] >= 0xf0 ? 4 : (s[0] >= 0xe0 ? 3 : 2);
  static const unsigned least[] = {0, 0, 0xa0, 0x800, 0x10000}; // 0x80..0x9f: controls
  if (s[0] < 0xc2 || s[0] > 0xf4 || n > bytes) {
    return 0;
  }
  unsigned code = s[0] & (0x7fu >> n);
  for (size_t i = 1; i < n; i++) {
    if ((s[i] & 0xc0) != 0x80) {
      return 0;
    }
    code = code << 6 | (s[i] & 0x3fu);
  }
  bool legal = code >= least[n] && code <= 0x10ffff && !(code >= 0xd800 && code < 0xe000);
  return legal ? n : 0;
}

bool pbt_spell_is_plain(const char *string, size_t bytes) {
  for (size_t i = 0; i < bytes;) {
    size_t n = character((const unsigned char *)string + i, bytes - i);
    if (n == 0) {
      return false;
    }
    i += n;
  }
  return true;
}

void pbt_spell_quote(const char *string, size_t bytes, char quote[PBT_QUOTE]) {
  enum { MOST = 48 };
  size_t used = 0;
  size_t i = 0;
  while (i < bytes && used < MOST) {
    size_t n = character((const unsigned char *)string + i, bytes - i);
    if (n == 0) {
      quote[used++] = '?';
      i++;
    } else {
      memcpy(quote + used, string + i, n);
      used += n;
      i += n;
    }
  }
  snprintf(quote + used, PBT_QUOTE - used, "%s", i < bytes ? "..." : "");
}
