/*
 * SLURM before 23.02 does not tell a job when it ends, so squeue is asked for the time
 * that is left: "59:30", "3:59:30", "1-03:59:30", or UNLIMITED.  Left, not the end's
 * date: a date comes without its time zone.
 */
#include "pbt/launcher.h"

#include "base/clock.h" // since when an answer is true

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool pbt_launcher_is_first(void) {
  static const char *const variable[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK",
                                         "SLURM_PROCID"};
  for (size_t i = 0; i < sizeof variable / sizeof *variable; i++) {
    const char *rank = getenv(variable[i]);
    if (rank != NULL) {
      return strcmp(rank, "0") == 0;
    }
  }
  return true;
}

/* ---- the end of the allocation ---- */

/* [DAYS-][[HOURS:]MINUTES:]SECONDS */
static bool parse_left(const char *text, double *seconds) {
  double days = 0.0, rest = 0.0;
  const char *at = text;
  const char *dash = strchr(text, '-');
  if (dash != NULL) {
    days = strtod(text, NULL);
    at = dash + 1;
  }
  for (int parts = 0; parts < 3; parts++) {
    char *end = NULL;
    if (!isdigit((unsigned char)*at)) {
      return false;
    }
    rest = 60.0 * rest + (double)strtol(at, &end, 10);
    if (*end != ':') {
      *seconds = 86400.0 * days + rest;
      return *end == '\0';
    }
    at = end + 1;
  }
  return false;
}

static bool is_number(const char *text) {
  size_t n = strlen(text);
  return n > 0 && n < 20 && strspn(text, "0123456789") == n;
}

static FILE *squeue; // its answer, on the way
static double asked; // when

void pbt_launcher_ask(void) {
  char command[96];
  const char *job = getenv("SLURM_JOB_ID"), *end = getenv("SLURM_JOB_END_TIME");
  if (job != NULL && is_number(job) && !(end != NULL && is_number(end))) {
    snprintf(command, sizeof command, "timeout 10 squeue -h -j %s -o %%L 2>/dev/null",
             job);
    squeue = popen(command, "re");
    asked = pbt_seconds();
  }
}

static bool hear_squeue(const char *job, double *seconds, char *why, size_t why_bytes) {
  char line[64] = "";
  if (squeue != NULL) {
    if (fgets(line, sizeof line, squeue) == NULL) {
      line[0] = '\0';
    }
    pclose(squeue);
    squeue = NULL;
  }
  line[strcspn(line, "\n")] = '\0';
  if (strcmp(line, "UNLIMITED") == 0) {
    return false;
  }
  if (parse_left(line, seconds)) {
    *seconds -= pbt_seconds() - asked;
    return true;
  }
  snprintf(why, why_bytes,
           "squeue does not say when SLURM job %s ends: give --max-time, or let SLURM "
           "send a signal before",
           job);
  return false;
}

bool pbt_launcher_seconds_left(double *seconds, char *why, size_t why_bytes) {
  why[0] = '\0';
  const char *job = getenv("SLURM_JOB_ID"), *end = getenv("SLURM_JOB_END_TIME");
  if (job == NULL || !is_number(job)) {
    return false;
  }
  if (end != NULL && is_number(end)) {
    *seconds = strtod(end, NULL) - (double)time(NULL);
    return true;
  }
  return hear_squeue(job, seconds, why, why_bytes);
}

/* ---- the command ---- */

static void add(char *text, size_t bytes, const char *more) {
  size_t used = strlen(text);
  snprintf(text + used, bytes - used, "%s", more);
}

/* As a shell's word. */
static void add_word(char *text, size_t bytes, const char *word) {
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "0123456789-_./=+:,@%";
  size_t n = strlen(word);
  if (n > 0 && strspn(word, plain) == n) {
    add(text, bytes, word);
    return;
  }
  add(text, bytes, "'");
  for (; *word != '\0'; word++) {
    add(text, bytes, *word == '\'' ? "'\\''" : (char[]){*word, '\0'});
  }
  add(text, bytes, "'");
}

void pbt_launcher_command(int argc, char *const argv[], char *text, size_t bytes) {
  static const struct {
    const char *size, *start;
  } launcher[] = {{"OMPI_COMM_WORLD_SIZE", "mpirun -np "},
                  {"PMI_SIZE", "mpiexec -n "},
                  {"SLURM_STEP_NUM_TASKS", "srun --mpi=pmix -n "}};
  text[0] = '\0';
  for (size_t i = 0; i < sizeof launcher / sizeof *launcher; i++) {
    const char *size = getenv(launcher[i].size);
    if (size != NULL) {
      add(text, bytes, launcher[i].start);
      add(text, bytes, size);
      add(text, bytes, " ");
      break;
    }
  }
  for (int i = 0; i < argc; i++) {
    add_word(text, bytes, argv[i]);
    add(text, bytes, i + 1 < argc ? " " : "");
  }
}
