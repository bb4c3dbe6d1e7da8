/*
 * job.h - a job: everything that decides a run, as one plain struct.
 *
 * job/ is pure: from the same text, overrides and rank count every rank makes the same
 * bytes.  Reading the file and sharing its text is the caller's work.  Nothing here is
 * allocated but the text results; a struct pbt_job may be copied.
 * docs/job-file.md documents each key for users; job/keys.c is the table behind it.
 */
#ifndef PBT_JOB_JOB_H
#define PBT_JOB_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"   // struct pbt_text
#include "job/hparam.h"  // struct pbt_hparam
#include "job/methods.h" // their kinds

enum {
  PBT_JOB_PATH = 512,
  PBT_JOB_NAME = 64,
  PBT_MAX_HIDDEN = 8,
  PBT_MAX_LAYER_LIST = 64,
  PBT_MAX_FACTOR = 8,
  PBT_MAX_PERIOD = 16,
  PBT_JOB_LIMIT = 1 << 20 // bytes of a job file
};

enum pbt_task_kind { PBT_TASK_CLASSIFY, PBT_TASK_TOY };
enum pbt_toy_surface { PBT_TOY_FIG2, PBT_TOY_PLAIN, PBT_TOY_DECEPTIVE };
enum pbt_seeding {
  PBT_SEEDING_RANDOM,
  PBT_SEEDING_LATIN,
  PBT_SEEDING_SOBOL,
  PBT_SEEDING_GRID
};
enum pbt_network_kind {
  PBT_NETWORK_MLP,
  PBT_NETWORK_LENET5,
  PBT_NETWORK_RESNET20,
  PBT_NETWORK_LAYERS
};
enum pbt_data_kind { PBT_DATA_DIGITS, PBT_DATA_IDX, PBT_DATA_CIFAR10, PBT_DATA_HDF5 };
enum pbt_optimizer_kind {
  PBT_OPTIMIZER_SGD,
  PBT_OPTIMIZER_RMSPROP,
  PBT_OPTIMIZER_ADAM,
  PBT_OPTIMIZER_ADAMW
};
enum pbt_decay { PBT_DECAY_L2, PBT_DECAY_DECOUPLED };
enum pbt_class_weights { PBT_CLASSES_EQUAL, PBT_CLASSES_BALANCED };
enum pbt_metric {
  PBT_METRIC_ACCURACY,
  PBT_METRIC_LOSS,
  PBT_METRIC_MACRO_F1,
  PBT_METRIC_BALANCED_ACCURACY,
  PBT_METRIC_BALANCED_LOSS
};
enum pbt_sense { PBT_MAXIMIZE, PBT_MINIMIZE };
enum pbt_job_precision { PBT_JOB_FLOAT32, PBT_JOB_TF32, PBT_JOB_BF16 };
enum pbt_backend_kind { PBT_BACKEND_AUTO, PBT_BACKEND_CPU, PBT_BACKEND_CUDA };
enum pbt_who { PBT_WHO_COPIED, PBT_WHO_ALL };
enum pbt_pairing { PBT_PAIR_RANDOM, PBT_PAIR_RANK, PBT_PAIR_MOD };
enum pbt_copy { PBT_COPY_BOTH, PBT_COPY_WEIGHTS, PBT_COPY_HPARAMS, PBT_COPY_NONE };

struct pbt_job {
  char name[PBT_JOB_NAME];
  uint64_t seed;
  char output[PBT_JOB_PATH]; // run folder
  enum pbt_backend_kind backend;
  enum pbt_job_precision precision;
  int32_t threads; // of a member; 0: auto, which the run resolves (pbt/run.c)

  struct {
    int64_t size; // members; 0 in the file: as many as ranks, resolved by pbt_job_parse
    bool size_is_default;     // it followed the number of ranks; not said by the
                              // effective job, which gives the number
    enum pbt_seeding seeding; // how first hyperparameters are spread
  } population;

  struct {
    enum pbt_task_kind kind;
    enum pbt_metric metric;
    enum pbt_sense sense; // follows the metric unless given
  } task;

  struct {
    enum pbt_toy_surface surface;
    double h0, h1, h; // where the search does not vary them
    double penalty;   // deceptive: of each interval's distance from the target
  } toy;

  struct {
    enum pbt_network_kind kind;
    int32_t n_hidden; // mlp
    int32_t hidden[PBT_MAX_HIDDEN];
    int32_t n_layer; // layers: in the words of net/net.h
    char layer[PBT_MAX_LAYER_LIST][PBT_JOB_NAME];
    double dropout; // layers
  } network;

  struct {
    enum pbt_data_kind kind;
    char folder[PBT_JOB_PATH]; // idx, cifar10: where the files are; absolute, or relative
                               // to the folder the program is started in
    char file[PBT_JOB_PATH];   // hdf5, likewise
    double test;               // hdf5: share of a single set, 0 <= t < 1; 0: it has two
    char train_images[PBT_JOB_NAME], train_labels[PBT_JOB_NAME]; // idx: names in folder,
    char test_images[PBT_JOB_NAME], test_labels[PBT_JOB_NAME];   // with or without ".gz"
    int64_t train_size,
        test_size;     // digits: how many to draw; files: 0 = all, else at most
    double validation; // share of the training images, 0 < v < 1
    uint64_t seed;     // of digits and split; defaults to the job's seed
  } data;

  struct {
    enum pbt_optimizer_kind kind;
    int64_t batch_size;
    bool nesterov;        // sgd
    enum pbt_decay decay; // adamw: always decoupled
    enum pbt_class_weights class_weights;
    /* Where the search does not vary them; struct pbt_hyper says what each is. */
    double lr, momentum, beta1, beta2, smoothing, epsilon, weight_decay, clip_norm,
        label_smoothing;
  } optimizer;

  struct {
    double shift, flip, cutout, rotation, brightness, contrast; // likewise
  } augment;

  struct {
    int32_t n;
    struct pbt_hparam hparam[PBT_MAX_HPARAM]; // [search.NAME], in the order of the file
  } search;

  struct {
    enum pbt_exploit_kind kind;
    double fraction; // truncation: share replaced and share copied from, 0 < f <= 0.5
    enum pbt_pairing pairing;
    enum pbt_copy copy;
    int32_t n_period;               // mfpbt: sub-populations
    int32_t period[PBT_MAX_PERIOD]; // mfpbt: generations between their turns, ascending
    int32_t window;                 // ttest: evaluations that are compared
    double level;                   // ttest: of significance, one-sided
    double share;                   // ltfb: of the validation split, each member's own
  } exploit;

  struct {
    enum pbt_guard_kind kind;
    int32_t window;    // welch
    double level;      // welch
    double deviations; // dexpbt: least gain in standard deviations of the population
    double gain;       // dexpbt: least gain as a share of the donor's score
  } guard;

  struct {
    enum pbt_explore_kind kind;
    int32_t n_factor;
    double factor[PBT_MAX_FACTOR]; // > 0, not 1
    double deviation;              // normal: of a step, as a share of the range
    int64_t trial_steps;           // de, shade, lshade: of each trial
    int64_t trial_batches;         // de, shade, lshade: scored on; 0: the whole split
    int64_t window;   // pb2: intervals that are learned from; 0: by the population's size
    double scale;     // de: F
    double crossover; // de: Cr
    int32_t memory;   // shade, lshade: H
    double best;      // shade, lshade: share that pbest is drawn from
    double archive;   // shade, lshade: size in populations
    int64_t evaluations; // lshade: trials after which four members are left
    enum pbt_who who;    // explores
    double probability;  // of each hyperparameter to move
    double resample;     // of each to be redrawn instead
    enum pbt_bounce bounds;
  } explore;

  struct {
    int64_t steps;   // of one interval; 0 if epochs were given
    double epochs;   // of one interval; 0 if steps were given
    int64_t burn_in; // generations before the first exploit
  } ready;

  struct {
    int64_t generations; // exactly one of the three is not 0
    int64_t steps;       // of each member, rounded up to whole intervals
    double epochs;       // of each member, likewise
  } budget;

  struct {
    int64_t every; // generations between checkpoints
    int64_t keep;  // sets kept
    bool async;    // written by a thread while the next interval trains
  } checkpoint;

  char warm_start[PBT_JOB_PATH]; // a best.h5 to take the first weights from, or ""
};

/* Where a job's text came from and what the command line says on top. */
struct pbt_job_source {
  const char *path; // for messages and the default name; NULL: the built-in job
  const char *text; // the file's bytes, NUL-terminated; ignored for the built-in job
  size_t bytes;
  const char *const *set; // "key.sub=value" from --set, --seed, --output, in order
  int n_set;
  int ranks; // for population.size = 0
};

/* Fills *job.  PBT_ERR_DATA with "FILE:LINE:COLUMN: what, what is allowed[; did you mean
 * `x`?]" for the first thing wrong; for --set the place is "--set key=value".
 * PBT_ERR_USAGE for a --set without "=" and for fewer members than ranks. */
pbt_status pbt_job_parse(const struct pbt_job_source *source, struct pbt_job *job);

/* The effective job as TOML that parses to the same job; every line that the user did not
 * write ends in "# default".  `source` is the one it was parsed from. */
pbt_status pbt_job_effective(const struct pbt_job_source *source,
                             const struct pbt_job *job, struct pbt_text *text);

/* Lines "key: old -> new" for every key that differs and may not change on resume
 * (budget, output, checkpoint, threads and name may), between two effective texts; empty
 * if none. */
pbt_status pbt_job_difference(const char *before, const char *after,
                              struct pbt_text *lines);

/* The built-in default job's TOML: generated digits, LeNet-5. */
const char *pbt_job_builtin(void);

/* Legal values: low..high, either end left out where `_open`. */
struct pbt_range {
  double low, high; // HUGE_VAL: no upper limit
  bool low_open, high_open;
};

/* The names that [search.NAME] may use, and the fixed value a job gives each; index by
 * position.  A job gives a fixed value or a search, never both. */
struct pbt_tunable {
  const char *name; // "lr"
  const char *key;  // "optimizer.lr"
  size_t offset;    // of the double in struct pbt_job that holds it when not searched
  struct pbt_range legal;  // every value that a search may reach lies in it
  enum pbt_task_kind task; // that has it
};
const struct pbt_tunable *pbt_job_tunables(size_t *n);

/* Names as the job file spells them. */
const char *pbt_metric_name(enum pbt_metric metric);
const char *pbt_network_name(enum pbt_network_kind kind);

#endif
