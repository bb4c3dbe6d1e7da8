#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char message[PBT_ERROR_BYTES];

const char *pbt_status_text(pbt_status status) {
  switch (status) {
#define PBT_STATUS_CASE(name, code, text)                                                \
  case name:                                                                             \
    return text;
    PBT_STATUS_LIST(PBT_STATUS_CASE)
#undef PBT_STATUS_CASE
  }
  return "unknown status";
}

const char *pbt_error(void) {
  return message;
}

void pbt_error_clear(void) {
  message[0] = '\0';
}

void pbt_error_set(const char *text) {
  snprintf(message, sizeof message, "%s", text);
}

pbt_status pbt_fail(pbt_status status, const char *format, ...) {
  if (message[0] == '\0') {
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
  }
  return status;
}

pbt_status pbt_fail_errno(pbt_status status, const char *format, ...) {
  int error = errno;
  if (message[0] == '\0') {
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    size_t used = strlen(message);
    snprintf(message + used, sizeof message - used, ": %s", strerror(error));
  }
  return status;
}

pbt_status pbt_context(pbt_status status, const char *format, ...) {
  char before[PBT_ERROR_BYTES];
  snprintf(before, sizeof before, "%s", message);
  va_list list;
  va_start(list, format);
  int used = vsnprintf(message, sizeof message, format, list);
  va_end(list);
  if (used >= 0 && (size_t)used + 2 < sizeof message) {
    size_t room = sizeof message - (size_t)used - 3;
    size_t n = strnlen(before, room); // a message too long loses its end
    memcpy(message + used, ": ", 2);
    memcpy(message + used + 2, before, n);
    message[(size_t)used + 2 + n] = '\0';
  }
  return status;
}
