/* clock.h - monotonic seconds and wall-clock text.  Local. */
#ifndef PBT_BASE_CLOCK_H
#define PBT_BASE_CLOCK_H

#include <stddef.h>

double pbt_seconds(void); // monotonic
/* "2026-01-31T12:00:00Z"; at least 21 bytes. */
void pbt_time_text(char *text, size_t bytes);

#endif
