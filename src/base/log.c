#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int log_rank;
static int log_size = 1;
static char log_host[64];

void pbt_log_set_rank(int rank, int size, const char *host) {
  log_rank = rank;
  log_size = size;
  snprintf(log_host, sizeof log_host, "%s", host);
}

int pbt_log_rank(void) {
  return log_rank;
}

void pbt_write_all(int descriptor, const char *text) {
  size_t left = strlen(text);
  while (left > 0) {
    ssize_t n = write(descriptor, text, left);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      return;
    }
    text += n;
    left -= (size_t)n;
  }
}

static void print_line(const char *prefix, const char *format, va_list list) {
  char line[2048];
  int used = snprintf(line, sizeof line - 1, "%s", prefix);
  int more = vsnprintf(line + used, sizeof line - 1 - (size_t)used, format, list);
  if (more < 0) {
    return;
  }
  size_t end = strlen(line);
  line[end] = '\n';
  line[end + 1] = '\0';
  pbt_write_all(STDERR_FILENO, line);
}

void pbt_info(const char *format, ...) {
  if (log_rank != 0) {
    return;
  }
  va_list list;
  va_start(list, format);
  print_line("", format, list);
  va_end(list);
}

void pbt_warn(const char *format, ...) {
  if (log_rank != 0) {
    return;
  }
  va_list list;
  va_start(list, format);
  print_line("pbt_mpi: warning: ", format, list);
  va_end(list);
}

void pbt_warn_any(const char *format, ...) {
  char prefix[128];
  snprintf(prefix, sizeof prefix, "pbt_mpi: warning: rank %d (%s): ", log_rank, log_host);
  va_list list;
  va_start(list, format);
  print_line(prefix, format, list);
  va_end(list);
}

void pbt_print_error(const char *text) {
  char line[2048];
  if (log_size > 1 && log_rank > 0) {
    snprintf(line, sizeof line, "pbt_mpi: rank %d (%s): %s\n", log_rank, log_host, text);
  } else {
    snprintf(line, sizeof line, "pbt_mpi: %s\n", text);
  }
  pbt_write_all(STDERR_FILENO, line);
}
