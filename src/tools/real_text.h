/*
 * real_text.h - a real number in as few digits as read back the same.  Pure.
 */
#ifndef PBT_TOOLS_REAL_TEXT_H
#define PBT_TOOLS_REAL_TEXT_H

enum { REAL_TEXT = 32 };

/* A finite value as "%.15g", "%.16g" or "%.17g" would print it, the first of them that
 * strtod reads back as the same number; a few nanoseconds instead of a microsecond.
 * Returns the length; a NUL follows. */
int real_text(double value, char text[REAL_TEXT]);

#endif
