#include "base/clock.h"

#include <time.h>

double pbt_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void pbt_time_text(char *text, size_t bytes) {
  time_t now = time(NULL);
  struct tm utc;
  gmtime_r(&now, &utc);
  strftime(text, bytes, "%Y-%m-%dT%H:%M:%SZ", &utc);
}
