#include "pbt/stop.h"

#include "base/clock.h" // pbt_seconds
#include "base/file.h"  // pbt_file_exists
#include "base/status.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A signal reaches the process, not a caller: these are the process' own. */
static volatile sig_atomic_t caught;
static volatile sig_atomic_t told_to_end; // TERM or INT came
static double started;
static double limit;
static double end, end_seconds, end_margin; // of the allocation; 0: none known
static double saving;                       // the longest checkpoint of late
static double looked;
static char stop_file[PBT_PATH_BYTES];

/* Two, so that a handler never meets one that is being filled. */
static char last_words[2][2048];
static const char *volatile words;

/* What a handler may call: write and _exit. */
static void speak(void) {
  const char *line = words;
  words = NULL;
  size_t n = 0;
  while (line != NULL && line[n] != '\0') {
    n++;
  }
  if (n > 0) {
    ssize_t written = write(STDERR_FILENO, line, n);
    (void)written;
  }
}

static void on_signal(int number) {
  int error = errno;
  if (number != SIGUSR1) {
    if (told_to_end || number == SIGTERM) {
      speak();
    }
    if (told_to_end) {
      _exit(PBT_STOPPED);
    }
    told_to_end = 1;
  }
  caught = number;
  errno = error;
}

void pbt_stop_set_last_words(const char *line) {
  char *next = last_words[words == last_words[0] ? 1 : 0];
  if (line != NULL) {
    snprintf(next, sizeof last_words[0] - 1, "%s", line);
    memcpy(next + strlen(next), "\n", 2);
  }
  words = line == NULL ? NULL : next;
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

void pbt_stop_set_end(double seconds_left, double margin) {
  end = pbt_seconds() + seconds_left;
  end_seconds = seconds_left;
  end_margin = margin;
}

void pbt_stop_note_saving(double seconds) {
  saving = seconds > 0.5 * saving ? seconds : 0.5 * saving;
}

/* The next checkpoint may take twice as long as those before. */
static bool end_is_near(double now) {
  double margin = end_margin + 2.0 * saving;
  margin = margin < 0.5 * end_seconds ? margin : 0.5 * end_seconds;
  return end > 0.0 && now >= end - margin;
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
  if (end_is_near(now)) {
    return PBT_STOP_END;
  }
  return stop_file_is_there(now) ? PBT_STOP_FILE : PBT_GO_ON;
}

const char *pbt_stop_name(enum pbt_stop stop) {
  static const char *const name[PBT_STOPS] = {
      [PBT_GO_ON] = "nothing",
      [PBT_STOP_USR1] = "signal USR1",
      [PBT_STOP_TERM] = "signal TERM",
      [PBT_STOP_INT] = "signal INT",
      [PBT_STOP_LIMIT] = "time limit",
      [PBT_STOP_FILE] = "file STOP in the run folder",
      [PBT_STOP_END] = "the end of the SLURM allocation"};
  return name[stop];
}
