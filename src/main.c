/*
 * main.c - argv -> comm -> run -> one status -> exit code.  The only place that exits.
 */
#include "backend/backend.h" // what --version lists
#include "base/log.h"        // the error line
#include "comm/comm.h"       // MPI's start and end
#include "pbt/best.h"        // --evaluate
#include "pbt/data_trial.h"  // HDF5 data
#include "pbt/launcher.h"    // the end of the allocation
#include "pbt/method.h"      // --list
#include "pbt/run.h"         // the run
#include "pbt/stop.h"        // signals, --max-time
#include "record/version.h"  // HDF5's version
#include "version.h"         // PBT_VERSION, PBT_GIT_ID

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SET = 64, SET_BYTES = 600, COMMAND_BYTES = 1024 };
static const double default_margin = 30.0;

struct command {
  struct pbt_run_options run;
  const char *set[MAX_SET];
  char made[3][SET_BYTES]; // --seed, --output and --resize as settings
  const char *evaluate;
  double max_seconds;
  double margin; // before the end of the allocation
  char line[COMMAND_BYTES];
  bool help, version, list;
};

static const char help_text[] =
    "Usage: mpirun -np RANKS pbt_mpi [options] [JOB.toml]\n"
    "\n"
    "Trains a population of networks, one member a rank (or more, see population.size), "
    "and\n"
    "records which hyperparameter schedule made the winner.  Without JOB.toml it runs a\n"
    "built-in job: LeNet-5 on generated digits.\n"
    "\n"
    "  -h, --help             this text\n"
    "  -V, --version          program, MPI, HDF5 and the backends in this build\n"
    "  -c, --check            check the job, print it with all defaults, and the memory "
    "it\n"
    "                         takes per rank; train nothing\n"
    "  -s, --set KEY=VALUE    set a key of the job file, for instance\n"
    "                         --set optimizer.batch_size=128; may be repeated\n"
    "      --seed N           short for --set seed=N\n"
    "  -o, --output DIR       short for --set output=DIR, the run folder\n"
    "      --resume auto|never  auto (the default) goes on with an unfinished run in the "
    "run\n"
    "                         folder; never moves an old run aside and begins anew\n"
    "      --resize N         go on with N members: fewer keeps the best, more adds "
    "clones "
    "of\n"
    "                         them whose values are moved\n"
    "      --take-over        run even though another process seems to hold the run "
    "folder\n"
    "      --max-time TIME    stop, saved, after TIME (3h50m, 90m, 300s)\n"
    "      --margin TIME      in a SLURM job: stop, saved, TIME before it ends (30s, and "
    "more\n"
    "                         where saving takes long); off: whatever its end\n"
    "      --replay RUN[:MEMBER]  train with the schedule of RUN's winner (or a member "
    "of its\n"
    "                         last generation) instead of searching; --replay-final "
    "holds\n"
    "                         its last values constant\n"
    "  -l, --list             the ways to exploit and explore\n"
    "  -e, --evaluate MODEL   score a RUN/best.h5 on its validation and test data\n"
    "\n"
    "A run stops early, saved, on USR1, TERM, INT, --max-time, a file RUN/STOP or near "
    "the "
    "end\n"
    "of its SLURM job; the same command goes on.\n"
    "Exit codes: 0 done, 64 usage, 65 bad job or data, 66 input missing, 69 device, MPI "
    "or\n"
    "memory unavailable, 70 internal error, 74 input/output error, 75 stopped early.\n";

enum {
  OPTION_SEED = 256,
  OPTION_RESUME,
  OPTION_TAKE_OVER,
  OPTION_RESIZE,
  OPTION_MAX_TIME,
  OPTION_MARGIN,
  OPTION_REPLAY,
  OPTION_REPLAY_FINAL
};

static const struct option long_option[] = {
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {"check", no_argument, NULL, 'c'},
    {"set", required_argument, NULL, 's'},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"output", required_argument, NULL, 'o'},
    {"resume", required_argument, NULL, OPTION_RESUME},
    {"resize", required_argument, NULL, OPTION_RESIZE},
    {"take-over", no_argument, NULL, OPTION_TAKE_OVER},
    {"max-time", required_argument, NULL, OPTION_MAX_TIME},
    {"margin", required_argument, NULL, OPTION_MARGIN},
    {"replay", required_argument, NULL, OPTION_REPLAY},
    {"replay-final", required_argument, NULL, OPTION_REPLAY_FINAL},
    {"list", no_argument, NULL, 'l'},
    {"evaluate", required_argument, NULL, 'e'},
    {NULL, 0, NULL, 0}};

static pbt_status add_set(struct command *command, const char *setting) {
  if (command->run.n_set == MAX_SET) {
    return pbt_fail(PBT_ERR_USAGE, "more than %d settings on the command line", MAX_SET);
  }
  command->set[command->run.n_set++] = setting;
  return PBT_OK;
}

static pbt_status add_made(struct command *command, int place, const char *form,
                           const char *value) {
  char *made = command->made[place];
  int n = snprintf(made, SET_BYTES, form, value);
  if (n >= SET_BYTES) {
    return pbt_fail(PBT_ERR_USAGE, "too long: %s", value);
  }
  return add_set(command, made);
}

/* "3h50m", "90m", "300s", "300". */
static pbt_status parse_time(const char *option, const char *text, double *seconds) {
  const char *at = text;
  *seconds = 0.0;
  while (*at != '\0') {
    char *end = NULL;
    double n = strtod(at, &end);
    double unit = *end == 'h' ? 3600.0 : *end == 'm' ? 60.0 : 1.0;
    bool known = *end == 'h' || *end == 'm' || *end == 's' || *end == '\0';
    if (end == at || !known || !(n >= 0.0)) {
      return pbt_fail(PBT_ERR_USAGE,
                      "%s %s: write hours, minutes and seconds like 3h50m, 90m or 300s",
                      option, text);
    }
    *seconds += n * unit;
    at = *end == '\0' ? end : end + 1;
  }
  if (*seconds <= 0.0) {
    return pbt_fail(PBT_ERR_USAGE, "%s %s: must be more than 0", option, text);
  }
  return PBT_OK;
}

static pbt_status take_option(struct command *command, int option) {
  switch (option) {
  case 'h':
    command->help = true;
    return PBT_OK;
  case 'V':
    command->version = true;
    return PBT_OK;
  case 'c':
    command->run.check = true;
    return PBT_OK;
  case 's':
    return add_set(command, optarg);
  case OPTION_SEED:
    return add_made(command, 0, "seed=%s", optarg);
  case 'o':
    return add_made(command, 1, "output='%s'", optarg);
  case OPTION_RESUME:
    command->run.resume_never = strcmp(optarg, "never") == 0;
    if (!command->run.resume_never && strcmp(optarg, "auto") != 0) {
      return pbt_fail(PBT_ERR_USAGE, "--resume %s: auto or never", optarg);
    }
    return PBT_OK;
  case OPTION_RESIZE:
    command->run.resize = true;
    if (optarg[0] == '\0' || strspn(optarg, "0123456789") != strlen(optarg)) {
      return pbt_fail(PBT_ERR_USAGE, "--resize %s: how many members?", optarg);
    }
    return add_made(command, 2, "population.size=%s", optarg);
  case OPTION_TAKE_OVER:
    command->run.take_over = true;
    return PBT_OK;
  case OPTION_MAX_TIME:
    return parse_time("--max-time", optarg, &command->max_seconds);
  case OPTION_MARGIN:
    command->margin = 0.0;
    return strcmp(optarg, "off") == 0 ? PBT_OK
                                      : parse_time("--margin", optarg, &command->margin);
  case OPTION_REPLAY:
  case OPTION_REPLAY_FINAL:
    command->run.replay = optarg;
    command->run.replay_final = option == OPTION_REPLAY_FINAL;
    return PBT_OK;
  case 'l':
    command->list = true;
    return PBT_OK;
  case 'e':
    command->evaluate = optarg;
    return PBT_OK;
  default:
    return PBT_ERR_USAGE;
  }
}

static pbt_status parse_command(int argc, char **argv, struct command *command) {
  command->run.set = command->set;
  command->run.git_id = PBT_GIT_ID;
  command->run.command = command->line;
  command->margin = default_margin;
  pbt_launcher_command(argc, argv, command->line, sizeof command->line);
  opterr = 0;
  for (;;) {
    int before = optind;
    int option = getopt_long(argc, argv, ":hVcls:o:e:", long_option, NULL);
    if (option == -1) {
      break;
    }
    if (option == ':' || option == '?') {
      const char *word = argv[before < argc ? before : argc - 1];
      return pbt_fail(PBT_ERR_USAGE, "%s %s; see pbt_mpi --help",
                      option == ':' ? "a value is missing after" : "unknown option",
                      word);
    }
    PBT_TRY(take_option(command, option));
  }
  if (optind < argc) {
    command->run.job_path = argv[optind++];
  }
  if (optind < argc) {
    return pbt_fail(PBT_ERR_USAGE, "one job file at a time, but there is also %s",
                    argv[optind]);
  }
  return PBT_OK;
}

static void print_version(void) {
  printf("pbt_mpi %s (%s)\n%s\n%s\nbackends: %s\n", PBT_VERSION, PBT_GIT_ID,
         pbt_comm_library(), pbt_record_library(), pbt_backend_list());
}

/* For what needs no other rank. */
static int leave(pbt_status status) {
  if (status != PBT_OK) {
    pbt_print_error(pbt_error());
  }
  return (int)status;
}

static void watch_allocation(double margin) {
  double left = 0.0;
  char why[256];
  if (margin <= 0.0) {
    return;
  }
  if (pbt_launcher_seconds_left(&left, why, sizeof why)) {
    pbt_info("SLURM ends this job in %.0f s: it stops, saved, %.0f s before", left,
             margin);
    pbt_stop_set_end(left, margin);
  } else if (why[0] != '\0') {
    pbt_info("%s", why);
  }
}

static int run_all_ranks(int argc, char **argv, struct command *command) {
  struct pbt_comm *comm = NULL;
  bool first = pbt_launcher_is_first();
  double margin = command->run.check || !first ? 0.0 : command->margin;
  if (margin > 0.0) { // processes are started before MPI, and heard of after it has
    pbt_launcher_ask();
  }
  pbt_status tried = first ? pbt_data_trial_start(&command->run) : PBT_OK;
  pbt_status status = pbt_comm_open(&argc, &argv, &comm);
  if (status != PBT_OK) {
    pbt_comm_die(status);
  }
  watch_allocation(margin);
  command->run.refused = tried == PBT_OK ? pbt_data_trial_end() : tried;
  bool shared = false;
  status = pbt_run(comm, &command->run, &shared);
  if (!shared) {
    pbt_comm_die(status);
  }
  if (status != PBT_OK && pbt_error()[0] != '\0') {
    pbt_print_error(pbt_error());
  }
  pbt_comm_close(comm);
  return (int)status;
}

static pbt_status print_list(void) {
  struct pbt_text text = {0};
  pbt_methods_describe(&text);
  if (text.status == PBT_OK) {
    fputs(text.data, stdout);
  }
  pbt_status status = text.status;
  pbt_text_free(&text);
  return status;
}

/* What one rank answers without MPI. */
static pbt_status answer(const struct command *command) {
  if (command->help) {
    fputs(help_text, stdout);
    return PBT_OK;
  }
  if (command->version) {
    print_version();
    return PBT_OK;
  }
  if (command->list) {
    return print_list();
  }
  return pbt_model_evaluate(command->evaluate, command->set, command->run.n_set);
}

static bool asks_one_rank(const struct command *command) {
  return command->help || command->version || command->list || command->evaluate != NULL;
}

int main(int argc, char **argv) {
  static struct command command;
  pbt_status status = parse_command(argc, argv, &command);
  if (status == PBT_OK && !asks_one_rank(&command)) {
    pbt_stop_catch_signals();
    pbt_stop_set_limit(command.max_seconds);
    return run_all_ranks(argc, argv, &command);
  }
  /* Bad words on the command line are seen by every rank alike: only the first speaks. */
  if (!pbt_launcher_is_first()) {
    return (int)status;
  }
  return leave(status == PBT_OK ? answer(&command) : status);
}
