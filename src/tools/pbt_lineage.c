/*
 * pbt_lineage.c - what a run found, for people who look afterwards, or while it runs.
 *
 * One command a word, all of them in the table below; each loads the lineage into plain
 * arrays (history.h) and says one thing about it.  No MPI: it runs on a login node.
 */
#include "base/log.h"       // one write for the error line
#include "record/version.h" // HDF5's version
#include "tools/commands.h"
#include "version.h" // PBT_VERSION, PBT_GIT_ID

#include "base/text.h" // the nearest command

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct command {
  const char *name;
  pbt_status (*run)(int n_word, char *word[]);
  const char *usage, *help;
};

static const struct command command[] = {
    {"summary", command_summary, "RUN [--all] [--json]",
     "What ran, how far and how long; the winner and its scores; fitness,\n"
     "copies and surviving roots by generation; where the time went.\n"
     "  --all    every generation, not some twenty\n"
     "  --json   as one JSON object"},
    {"best", command_best,
     "RUN [--schedule] [--csv | --json | --job] [--member M] [--generation G]",
     "The winner's ancestry from generation 0, through its donors, and its\n"
     "hyperparameter schedule.\n"
     "  --schedule       a line for every generation, not for every change\n"
     "  --csv, --json    for programs: always every generation\n"
     "  --job            a job file that replays the schedule\n"
     "  --member M       another member's, as of --generation G (the last)"},
    {"tree", command_tree, "RUN [--all] [--dot | --newick]",
     "Who descends from whom: how many roots and ancestors are left at each\n"
     "generation, and what share of the final population each root has.\n"
     "  --all      with the lives that left nobody behind\n"
     "  --dot      for graphviz\n"
     "  --newick   for phylogeny programs; lengths are generations"},
    {"compare", command_compare,
     "RUN... [-- RUN...]... [--target FITNESS] [--match work|steps|none] [--csv | "
     "--json]",
     "Runs side by side at equal budgets.  Two or more groups, with -- between\n"
     "them, are tested: Welch and Mann-Whitney, corrected by Holm.\n"
     "  --target F   when did each run first reach fitness F?\n"
     "  --match      equal optimiser steps of all members together (work, the\n"
     "               default), of each member (steps), or whole runs (none)"},
    {"export", command_export, "RUN (--csv | --jsonl | --tensorboard DIR) [-o FILE]",
     "Everything, a row for each member in each generation.\n"
     "  --tensorboard DIR   event files: DIR/member-N and DIR/winner"},
    {"report", command_report, "RUN [-o FILE]",
     "One HTML page that needs nothing else, by default RUN/report.html:\n"
     "fitness, hyperparameters, phylogeny, who copied whom, time, the job."},
    {"plot", command_plot, "RUN [-o DIR] [--width PIXELS]",
     "The report's figures as SVG files, by default in RUN/plots."},
    {"follow", command_follow, "RUN [--once] [--interval SECONDS]",
     "A run as it goes on: a line a generation, until it ends.\n"
     "  --once   what there is now, then leave"},
    {"check", command_check, "RUN [--repair FILE]",
     "Is everything in the run folder whole?  A line for each file, what a\n"
     "resumed run would go on from, and the command for it; 65 if anything is\n"
     "damaged.\n"
     "  --repair FILE   a lineage that a kill left open, or that is damaged behind\n"
     "                  some generation, as a new file; the old one stays as it is"},
};
enum { COMMANDS = sizeof command / sizeof *command };

/* ---- help ---- */

static void print_command(const struct command *one) {
  printf("pbt_lineage %s %s\n", one->name, one->usage);
  for (const char *line = one->help; *line != '\0';) {
    size_t n = strcspn(line, "\n");
    printf("    %.*s\n", (int)n, line);
    line += n + (line[n] == '\n');
  }
}

static void print_help(void) {
  printf(
      "Usage: pbt_lineage COMMAND RUN [options]\n"
      "\n"
      "Says what a run of pbt_mpi found, also while it runs.  RUN is a run folder or a\n"
      "lineage.h5.\n\n");
  for (int i = 0; i < COMMANDS; i++) {
    print_command(&command[i]);
    printf("\n");
  }
  printf("pbt_lineage --help, pbt_lineage COMMAND --help, pbt_lineage --version\n"
         "\n"
         "Exit codes: 0 done, 64 usage, 65 damaged or foreign file, or nothing in it, 66 "
         "no\n"
         "such run, 69 out of memory, 74 input/output error.\n");
}

/* ---- running ---- */

/* A foreign file that sends HDF5 into a loop is given up (history.c sets the time). */
static void give_up(int signal) {
  (void)signal;
  static const char line[] =
      "pbt_lineage: reading takes too long: the file is damaged, or "
      "its disk does not answer\n";
  ssize_t n = write(STDERR_FILENO, line, sizeof line - 1);
  (void)n;
  _exit(PBT_ERR_DATA);
}

static pbt_status find(const char *name, const struct command **found) {
  const char *names[COMMANDS];
  for (int i = 0; i < COMMANDS; i++) {
    if (strcmp(name, command[i].name) == 0) {
      *found = &command[i];
      return PBT_OK;
    }
    names[i] = command[i].name;
  }
  const char *nearest = pbt_text_nearest(name, names, COMMANDS);
  if (nearest != NULL) {
    return pbt_fail(PBT_ERR_USAGE, "no command %s; did you mean %s?", name, nearest);
  }
  return pbt_fail(PBT_ERR_USAGE, "no command %s; see pbt_lineage --help", name);
}

static bool is_help(const char *word) {
  return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static pbt_status run(int argc, char **argv) {
  const struct command *one = NULL;
  if (argc < 2) {
    return pbt_fail(PBT_ERR_USAGE, "which command? See pbt_lineage --help");
  }
  if (is_help(argv[1]) || strcmp(argv[1], "help") == 0) {
    print_help();
    return PBT_OK;
  }
  if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
    printf("pbt_lineage %s (%s)\n%s\n", PBT_VERSION, PBT_GIT_ID, pbt_record_library());
    return PBT_OK;
  }
  PBT_TRY(find(argv[1], &one));
  for (int i = 2; i < argc; i++) {
    if (is_help(argv[i])) {
      print_command(one);
      return PBT_OK;
    }
  }
  return one->run(argc - 2, argv + 2);
}

int main(int argc, char **argv) {
  signal(SIGALRM, give_up);
  signal(SIGPIPE, SIG_DFL); // `| head` ends us without a word
  pbt_status status = run(argc, argv);
  if (status != PBT_OK) {
    char line[PBT_ERROR_BYTES + 32];
    snprintf(line, sizeof line, "pbt_lineage: %s\n",
             pbt_error()[0] != '\0' ? pbt_error() : pbt_status_text(status));
    pbt_write_all(STDERR_FILENO, line);
  }
  return (int)status;
}
