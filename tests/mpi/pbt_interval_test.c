/*
 * Turns within a rank: with tasks that only write down what they are asked, the order of
 * beginning and ending is the whole result.
 */
#include "tests/mpi/mpi_test.h"

#include "pbt/interval.h"

#include <math.h>
#include <signal.h>

enum { MEMBERS = 3, SLICE = 4 };

static char said[400]; // "t0 t1 T0 ...": begins in small letters, ends in capitals
static int64_t stop_after, begun_slices;
static int fail_member;
static double loss_of[MEMBERS];

struct scribe {
  struct pbt_task base;
  int64_t member, begun, trained;
  bool under_way;
  double value;
  int64_t image[8];
};

static void note(const struct scribe *self, char what) {
  size_t n = strlen(said);
  snprintf(said + n, sizeof said - n, "%s%c%lld", n > 0 ? " " : "", what,
           (long long)self->member);
}

static pbt_status set_hparams(struct pbt_task *task, const double value[]) {
  ((struct scribe *)task)->value = value[0];
  return PBT_OK;
}

static pbt_status train_begin(struct pbt_task *task, int64_t n_steps) {
  struct scribe *self = (struct scribe *)task;
  if (self->under_way || self->member == fail_member) {
    return pbt_fail(PBT_ERR_DATA, "cannot begin");
  }
  note(self, 't');
  self->under_way = true;
  self->begun = n_steps;
  if (++begun_slices == stop_after) {
    MPI_Barrier(MPI_COMM_WORLD); // no rank hears of another's before it has come here
    raise(SIGUSR1);
  }
  return PBT_OK;
}

static pbt_status train_end(struct pbt_task *task, struct pbt_train_report *report) {
  struct scribe *self = (struct scribe *)task;
  note(self, 'T');
  self->under_way = false;
  self->trained += self->begun;
  *report = (struct pbt_train_report){
      .n_steps = self->begun, .n_sample = self->begun, .loss = loss_of[self->member]};
  return PBT_OK;
}

static pbt_status evaluate_begin(struct pbt_task *task, enum pbt_split split,
                                 struct pbt_part part) {
  struct scribe *self = (struct scribe *)task;
  if (self->under_way || split != PBT_SPLIT_VALIDATION || part.count != 0) {
    return PBT_BUG("scored while it trains");
  }
  note(self, 's');
  self->under_way = true;
  return PBT_OK;
}

static pbt_status evaluate_end(struct pbt_task *task, struct pbt_scores *scores) {
  struct scribe *self = (struct scribe *)task;
  note(self, 'S');
  self->under_way = false;
  *scores = (struct pbt_scores){.loss = 1, .accuracy = 0.5 + (double)self->member};
  return PBT_OK;
}

static const struct pbt_state *state(const struct pbt_task *task) {
  static const struct pbt_state travels = {.travel_bytes = sizeof(int64_t[8])};
  (void)task;
  return &travels;
}

static void *state_map(struct pbt_task *task) {
  return ((struct scribe *)task)->image;
}

static int64_t slice_steps(const struct pbt_task *task) {
  (void)task;
  return SLICE;
}

static const struct pbt_task_ops ops = {.set_hparams = set_hparams,
                                        .train_begin = train_begin,
                                        .train_end = train_end,
                                        .evaluate_begin = evaluate_begin,
                                        .evaluate_end = evaluate_end,
                                        .state = state,
                                        .state_map = state_map,
                                        .slice_steps = slice_steps};

/* Three members of this rank, an interval of 10 steps: slices of 4, 4, 2. */
static struct scribe scribe[MEMBERS];
static struct pbt_member member[MEMBERS];
static struct pbt_report report[MEMBERS];
static double value[MEMBERS];
static uint64_t agreed;
static struct pbt_job job;
static struct pbt_population population;

static void begin(void) {
  said[0] = '\0';
  begun_slices = stop_after = 0;
  fail_member = -1;
  agreed = 77;
  population = (struct pbt_population){.comm = comm,
                                       .job = &job,
                                       .n = MEMBERS,
                                       .end = MEMBERS,
                                       .columns = 1,
                                       .member = member,
                                       .interval = 10,
                                       .generations = 5,
                                       .generation = 1,
                                       .report = report};
  population.known.value = value;
  population.known.agreed = &agreed;
  for (int i = 0; i < MEMBERS; i++) {
    scribe[i] = (struct scribe){.base = {&ops}, .member = i};
    member[i] = (struct pbt_member){.id = i, .task = &scribe[i].base};
    value[i] = 0.25 * i;
    loss_of[i] = i;
  }
}

START_TEST(all_begin_before_any_is_awaited) {
  begin();
  pbt_interval_run(&population);
  ck_assert_str_eq(said, "t0 t1 t2 T0 t0 T1 t1 T2 t2 T0 t0 T1 t1 T2 t2 "
                         "T0 s0 T1 s1 T2 s2 S0 S1 S2");
  for (int i = 0; i < MEMBERS; i++) {
    ck_assert_int_eq(report[i].status, PBT_OK);
    ck_assert_int_eq(report[i].incomplete, 0);
    ck_assert_int_eq(report[i].steps, 20);
    ck_assert_int_eq(report[i].n_sample, 10);
    ck_assert_double_eq(report[i].accuracy, 0.5 + i);
    ck_assert_double_eq(report[i].training_loss, i);
    ck_assert_double_eq(scribe[i].value, 0.25 * i);
    ck_assert_uint_eq(report[i].agreed, 77);
  }
}
END_TEST

START_TEST(one_member_is_one_after_the_other) {
  begin();
  population.end = population.n = 1;
  pbt_interval_run(&population);
  ck_assert_str_eq(said, "t0 T0 t0 T0 t0 T0 s0 S0");
}
END_TEST

START_TEST(a_broken_loss_is_divergence) {
  begin();
  loss_of[1] = (double)NAN;
  pbt_interval_run(&population);
  ck_assert(report[0].fitness == 0.5 && isnan(report[1].fitness));
  ck_assert(report[2].fitness == 2.5);
  ck_assert_int_eq(report[1].status, PBT_OK);
}
END_TEST

START_TEST(who_sleeps_is_asked_nothing) {
  begin();
  int64_t asleep[MEMBERS] = {0, 1, 0};
  population.known.asleep = asleep;
  pbt_interval_run(&population);
  ck_assert_str_eq(said, "t0 t2 T0 t0 T2 t2 T0 t0 T2 t2 T0 s0 T2 s2 S0 S2");
  ck_assert_int_eq(report[1].asleep, 1);
  ck_assert_int_eq(report[1].steps, 10);
}
END_TEST

START_TEST(a_failure_ends_it_and_is_in_all_reports) {
  begin();
  fail_member = 1;
  pbt_interval_run(&population);
  ck_assert_str_eq(said, "t0");
  ck_assert_ptr_nonnull(strstr(pbt_error(), "member 1, generation 1"));
  for (int i = 0; i < MEMBERS; i++) {
    ck_assert_int_eq(report[i].status, PBT_ERR_DATA);
  }
  pbt_error_clear();
}
END_TEST

/* The rest of the interval, as after a resume, has the slices that it would have had. */
static void go_on(const char *rest) {
  population.stop = PBT_GO_ON;
  said[0] = '\0';
  pbt_interval_run(&population);
  ck_assert_str_eq(said, rest);
  for (int i = 0; i < MEMBERS; i++) {
    ck_assert_int_eq(report[i].incomplete, 0);
    ck_assert_int_eq(scribe[i].trained, 10);
    ck_assert_double_eq(report[i].accuracy, 0.5 + i);
  }
}

/* Another rank asks while members train: what is under way ends, nothing more begins. */
START_TEST(a_stop_from_elsewhere_ends_what_is_under_way) {
  begin();
  MPI_Barrier(MPI_COMM_WORLD); // the tests before are done everywhere
  all_ok(rank == size - 1 ? pbt_comm_stop_ask(comm) : PBT_OK);
  bool heard = false;
  while (!heard) {
    all_ok(pbt_comm_stop_asked(comm, &heard));
    heard = pbt_test_all(heard);
  }
  pbt_interval_run(&population);
  ck_assert_str_eq(said, "");
  ck_assert_int_eq(report[0].incomplete, 1);
  all_ok(pbt_comm_stop_settle(comm));
  go_on("t0 t1 t2 T0 t0 T1 t1 T2 t2 T0 t0 T1 t1 T2 t2 T0 s0 T1 s1 T2 s2 S0 S1 S2");
}
END_TEST

/* Last: a signal is for good. */
START_TEST(a_signal_cuts_at_the_next_slice) {
  begin();
  pbt_stop_catch_signals();
  stop_after = 8; // member 1's third slice: member 2's second one is under way
  pbt_interval_run(&population);
  ck_assert_str_eq(said, "t0 t1 t2 T0 t0 T1 t1 T2 t2 T0 t0 T1 t1 T2 T0 T1");
  ck_assert_int_eq(report[0].incomplete, 0); // done, but not scored: of no use
  ck_assert_int_eq(report[1].incomplete, 0);
  ck_assert_int_eq(report[2].incomplete, 1);
  ck_assert_int_eq(report[2].steps, 18);
  for (int i = 0; i < MEMBERS; i++) {
    ck_assert_int_eq(report[i].stop, PBT_STOP_USR1);
    ck_assert(!scribe[i].under_way);
  }
  all_ok(pbt_comm_stop_settle(comm));
}
END_TEST

PBT_MPI_TEST_MAIN("interval", all_begin_before_any_is_awaited,
                  one_member_is_one_after_the_other, a_broken_loss_is_divergence,
                  who_sleeps_is_asked_nothing, a_failure_ends_it_and_is_in_all_reports,
                  a_stop_from_elsewhere_ends_what_is_under_way,
                  a_signal_cuts_at_the_next_slice)
