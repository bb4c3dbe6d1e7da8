/* spell.h - values as TOML and as parts of messages.  Pure. */
#ifndef PBT_JOB_SPELL_H
#define PBT_JOB_SPELL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

enum { PBT_NUMBER_TEXT = 40 };

/* The shortest decimal that reads back as the same double: "0.1", "1e-5", "250". */
void pbt_spell_number(double value, char text[PBT_NUMBER_TEXT]);
/* The same as a TOML float, never an integer: "250.0". */
void pbt_spell_real(double value, char text[PBT_NUMBER_TEXT]);

/* A TOML string in quotes.  `string` must be plain. */
void pbt_spell_string(struct pbt_text *text, const char *string);

/* UTF-8 without control characters: may be printed, logged and written to a file. */
bool pbt_spell_is_plain(const char *string, size_t bytes);

/* For messages: what a person wrote, at most 48 bytes, nothing that upsets a terminal. */
enum { PBT_QUOTE = 64 };
void pbt_spell_quote(const char *string, size_t bytes, char quote[PBT_QUOTE]);

#endif
