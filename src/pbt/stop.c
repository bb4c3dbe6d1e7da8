#include "pbt/stop.h"

#include "base/clock.h" // pbt_seconds
#include "base/file.h"  // pbt_file_exists
#include "base/status.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A signal reaches the process, not a caller: these are the process' own. */
static volatile sig_atomic_t caught;
static double started;
static double limit;
static double looked;
static char stop_file[PBT_PATH_BYTES];

static void on_signal(int number) {
  if (caught != 0 && number != SIGUSR1) {
    _exit(PBT_STOPPED);
  }
  caught = number;
}

void pbt_stop_catch_signals(void) {
  started = pbt_seconds();
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGUSR1, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
}

void pbt_stop_set_limit(double seconds) {
  limit = seconds;
}

void pbt_stop_set_file(const char *path) {
  snprintf(stop_file, sizeof stop_file, "%s", path == NULL ? "" : path);
}

static bool stop_file_is_there(double now) {
  if (stop_file[0] == '\0' || now - looked < 1.0) {
    return false;
  }
  looked = now;
  return pbt_file_exists(stop_file);
}

enum pbt_stop pbt_stop_reason(void) {
  switch (caught) {
  case 0:
    break;
  case SIGUSR1:
    return PBT_STOP_USR1;
  case SIGTERM:
    return PBT_STOP_TERM;
  default:
    return PBT_STOP_INT;
  }
  double now = pbt_seconds();
  if (limit > 0.0 && now - started >= limit) {
    return PBT_STOP_LIMIT;
  }
  return stop_file_is_there(now) ? PBT_STOP_FILE : PBT_GO_ON;
}

const char *pbt_stop_name(enum pbt_stop stop) {
  static const char *const name[PBT_STOPS] = {
      [PBT_GO_ON] = "nothing",         [PBT_STOP_USR1] = "signal USR1",
      [PBT_STOP_TERM] = "signal TERM", [PBT_STOP_INT] = "signal INT",
      [PBT_STOP_LIMIT] = "time limit", [PBT_STOP_FILE] = "file STOP in the run folder"};
  return name[stop];
}
