/*
 * output.h - values as people, CSV, JSON and HTML want them, and where they go.
 */
#ifndef PBT_TOOLS_OUTPUT_H
#define PBT_TOOLS_OUTPUT_H

#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

/* As they are; where a million rows are written, printf's formats take too long. */
void output_string(struct pbt_text *text, const char *string);
void output_integer(struct pbt_text *text, int64_t value);
void output_hex(struct pbt_text *text, uint64_t value); // 16 digits

/* A string in JSON's quotes. */
void output_json_string(struct pbt_text *text, const char *string);
/* The shortest number that reads back the same; JSON has no NaN or infinity: null. */
void output_json_real(struct pbt_text *text, double value);
/* The same for CSV: nan, inf and -inf, which NumPy and pandas read. */
void output_csv_real(struct pbt_text *text, double value);
/* A CSV field: in quotes where it has to be. */
void output_csv_string(struct pbt_text *text, const char *string);
/* For people: four significant digits or so, "-" for NaN. */
enum { OUTPUT_SHORT = 32 };
const char *output_short(double value, char text[OUTPUT_SHORT]);
/* 0:00:04 or 3.2 days. */
const char *output_seconds(double seconds, char text[OUTPUT_SHORT]);
/* Text for HTML and SVG: the five characters escaped. */
void output_markup(struct pbt_text *text, const char *string);

/* To the file, which appears whole, or to standard output if it is NULL or "-". */
pbt_status output_write(const struct pbt_text *text, const char *path);

#endif
