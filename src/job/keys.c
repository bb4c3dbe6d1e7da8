/*
 * The table itself.  A new key is one entry here and one line in docs/job-file.md (a test
 * prints the line it wants); a new word is one entry in its list, in the order of its
 * enum.
 */
#include "job/keys.h"

#include "job/spell.h" // numbers and strings as TOML

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const backend_word[] = {"auto", "cpu", "cuda"};
static const char *const precision_word[] = {"float32", "tf32", "bf16"};
static const char *const task_word[] = {"classify", "toy"};
static const char *const surface_word[] = {"fig2", "plain", "deceptive"};
static const char *const seeding_word[] = {"random", "latin", "sobol", "grid"};
static const char *const metric_word[] = {"accuracy", "loss", "macro_f1",
                                          "balanced_accuracy", "balanced_loss"};
static const char *const sense_word[] = {"maximize", "minimize"};
static const char *const network_word[] = {"mlp", "lenet5", "resnet20", "layers"};
static const char *const data_word[] = {"digits", "idx", "cifar10", "hdf5"};
static const char *const optimizer_word[] = {"sgd", "rmsprop", "adam", "adamw"};
static const char *const decay_word[] = {"l2", "decoupled"};
static const char *const class_weights_word[] = {"none", "balanced"};
static const char *const kind_word[] = {"real", "log", "int", "choice"};
static const char *const exploit_word[] = {PBT_EXPLOIT_METHODS(PBT_METHOD_WORD)};
static const char *const guard_word[] = {PBT_GUARD_METHODS(PBT_METHOD_WORD)};
static const char *const pairing_word[] = {"random", "rank", "mod"};
static const char *const copy_word[] = {"both", "weights", "hparams", "none"};
static const char *const explore_word[] = {PBT_EXPLORE_METHODS(PBT_METHOD_WORD)};
static const char *const who_word[] = {"copied", "all"};
static const char *const bounds_word[] = {"clip", "reflect"};

static const double two_layers[] = {256, 128};
static const double periods[] = {1, 10, 25, 50};
static const double no_drift[] = {0.8, 1.25};

#define AT(member) .offset = offsetof(struct pbt_job, member)
#define TEXT_AT(member) AT(member), .bytes = sizeof((struct pbt_job *)NULL)->member
#define IN_HPARAM(member) .of_hparam = true, .offset = offsetof(struct pbt_hparam, member)
#define WORDS(list) .word = (list), .n_word = (int)(sizeof(list) / sizeof *(list))
#define FROM_TO(a, b) .range = {.low = (a), .high = (b)}
#define ANY_NUMBER .range = {.low = -HUGE_VAL, .high = HUGE_VAL}

/* What each tunable may be, searched or fixed.  Momentum and betas must stay below 1, or
 * moments never forget; smoothing of 1 leaves no label; an epsilon of 0 divides by 0. */
#define LR_LEGAL                                                                         \
  { .low = 0, .high = 1000, .low_open = true }
#define KEPT_LEGAL                                                                       \
  { .low = 0, .high = 0.9999 }
#define LONG_KEPT_LEGAL                                                                  \
  { .low = 0, .high = 0.999999 }
#define EPSILON_LEGAL                                                                    \
  { .low = 1e-20, .high = 1 }
#define DECAY_LEGAL                                                                      \
  { .low = 0, .high = 10 }
#define CLIP_LEGAL                                                                       \
  { .low = 0, .high = 1e6 }
#define LABEL_LEGAL                                                                      \
  { .low = 0, .high = 1, .high_open = true }
#define DROPOUT_LEGAL                                                                    \
  { .low = 0, .high = 0.99 }
#define PIXELS_LEGAL                                                                     \
  { .low = 0, .high = 64 }
#define SHARE_LEGAL                                                                      \
  { .low = 0, .high = 1 }
#define DEGREES_LEGAL                                                                    \
  { .low = 0, .high = 180 }
#define TOY_LEGAL                                                                        \
  { .low = 0, .high = 1000 }

/* What only a network on data has. */
#define CLASSIFY_ONLY .when = "task.kind", .when_words = 1u << PBT_TASK_CLASSIFY
#define OPTIMIZER(kinds) .when = "optimizer.kind", .when_words = (kinds)
#define SGD (1u << PBT_OPTIMIZER_SGD)
#define RMSPROP (1u << PBT_OPTIMIZER_RMSPROP)
#define ADAM (1u << PBT_OPTIMIZER_ADAM)
#define ADAMW (1u << PBT_OPTIMIZER_ADAMW)
#define LAYERS .when = "network.kind", .when_words = 1u << PBT_NETWORK_LAYERS
#define EXPLORE(kinds) .when = "explore.kind", .when_words = (kinds)
#define PERTURB (1u << PBT_EXPLORE_PERTURB)
#define RESAMPLE (1u << PBT_EXPLORE_RESAMPLE)
#define NORMAL (1u << PBT_EXPLORE_NORMAL)
#define PB2 (1u << PBT_EXPLORE_PB2)
#define DE (1u << PBT_EXPLORE_DE)
#define LSHADE (1u << PBT_EXPLORE_LSHADE)
#define SHADE (1u << PBT_EXPLORE_SHADE | LSHADE)

enum { READY = 1, BUDGET }; // alternatives

static const struct pbt_key table[] = {
    {"name", PBT_KEY_TEXT, TEXT_AT(name), .may_change = true,
     .computed = "the file's name without `.toml`",
     .help = "What the run is called, in its folder and in messages."},
    {"seed", PBT_KEY_SEED, AT(seed), FROM_TO(0, HUGE_VAL), .fallback = 1,
     .help = "The one number behind all randomness of the run."},
    {"output", PBT_KEY_TEXT, TEXT_AT(output), .may_change = true,
     .computed = "`runs/` and the job's name", .help = "The run folder."},
    {"backend", PBT_KEY_WORD, AT(backend), WORDS(backend_word),
     .help = "Where members train; `auto` takes the fastest that is there."},
    {"precision", PBT_KEY_WORD, AT(precision), WORDS(precision_word),
     .help = "What a GPU multiplies in; sums and weights stay float32. The processor "
             "computes in float32 always."},
    {"threads", PBT_KEY_INT32, AT(threads), FROM_TO(1, 256), .zero = "auto",
     .fallback = 1, .may_change = true,
     .help = "Processor threads of one member; `auto`: a rank's share of the processors "
             "it may use. Results do not change."},
    {"warm_start", PBT_KEY_TEXT, TEXT_AT(warm_start), .fallback_text = "",
     .help = "A `best.h5` to take the first weights from; empty for fresh ones."},

    {"population.size", PBT_KEY_INTEGER, AT(population.size), FROM_TO(0, 1e6),
     .computed = "the number of ranks",
     .help = "Members; 0 stands for the default; never fewer than ranks."},
    {"population.seeding", PBT_KEY_WORD, AT(population.seeding), WORDS(seeding_word),
     .help = "How first hyperparameters are spread over their start ranges."},

    {"task.kind", PBT_KEY_WORD, AT(task.kind), WORDS(task_word),
     .help = "What is trained: a network that classifies images, or a toy surface."},
    {"task.metric", PBT_KEY_WORD, AT(task.metric), WORDS(metric_word),
     .help = "The score on the validation split that is a member's fitness."},
    {"task.sense", PBT_KEY_WORD, AT(task.sense), WORDS(sense_word),
     .computed = "`minimize` for the losses, else `maximize`",
     .help = "Which end of the metric is the good one."},

    {"toy.surface", PBT_KEY_WORD, AT(toy.surface), WORDS(surface_word),
     .when = "task.kind", .when_words = 1u << PBT_TASK_TOY, .help = "What is climbed."},
    {"toy.h0", PBT_KEY_REAL, AT(toy.h0), .range = TOY_LEGAL, .fallback = 1,
     .when = "toy.surface", .when_words = 1u << PBT_TOY_FIG2,
     .help = "Weight of the first coordinate in the surrogate."},
    {"toy.h1", PBT_KEY_REAL, AT(toy.h1), .range = TOY_LEGAL, .fallback = 1,
     .when = "toy.surface", .when_words = 1u << PBT_TOY_FIG2,
     .help = "Weight of the second coordinate in the surrogate."},
    {"toy.h", PBT_KEY_REAL, AT(toy.h), .range = TOY_LEGAL, .fallback = 1,
     .when = "toy.surface", .when_words = 1u << PBT_TOY_PLAIN | 1u << PBT_TOY_DECEPTIVE,
     .help = "What slows the descent: 0 is fastest."},
    {"toy.penalty", PBT_KEY_REAL, AT(toy.penalty), FROM_TO(0, 1000), .fallback = 0.2,
     .when = "toy.surface", .when_words = 1u << PBT_TOY_DECEPTIVE,
     .help = "What each interval's distance of h from its target costs for ever."},

    {"network.kind", PBT_KEY_WORD, AT(network.kind), WORDS(network_word),
     .fallback = PBT_NETWORK_LENET5, CLASSIFY_ONLY, .help = "The network."},
    {"network.hidden", PBT_KEY_INT32S, AT(network.hidden),
     .count_offset = offsetof(struct pbt_job, network.n_hidden), .least = 1,
     .most = PBT_MAX_HIDDEN, FROM_TO(1, 65536), .fallback_item = two_layers,
     .n_fallback = 2, .when = "network.kind", .when_words = 1u << PBT_NETWORK_MLP,
     .help = "Units of each hidden layer."},
    {"network.layers", PBT_KEY_TEXTS, AT(network.layer), .bytes = PBT_JOB_NAME,
     .count_offset = offsetof(struct pbt_job, network.n_layer), .least = 1,
     .most = PBT_MAX_LAYER_LIST, .required = true, LAYERS,
     .help = "The layers, first to last, in the words below."},
    {"network.dropout", PBT_KEY_REAL, AT(network.dropout), .range = DROPOUT_LEGAL,
     .fallback = 0.5, LAYERS,
     .help = "Probability of each value to be dropped by the `dropout` layers."},

    {"data.kind", PBT_KEY_WORD, AT(data.kind), WORDS(data_word), CLASSIFY_ONLY,
     .help = "Digits that are drawn on the spot, files in the IDX format of MNIST, "
             "CIFAR-10's binary files, or an HDF5 file."},
    {"data.folder", PBT_KEY_TEXT, TEXT_AT(data.folder), .required = true,
     .when = "data.kind", .when_words = 1u << PBT_DATA_IDX | 1u << PBT_DATA_CIFAR10,
     .help = "Where the files are; relative to where the program is started."},
    {"data.file", PBT_KEY_TEXT, TEXT_AT(data.file), .required = true, .when = "data.kind",
     .when_words = 1u << PBT_DATA_HDF5,
     .help = "The file; relative to where the program is started."},
    {"data.test", PBT_KEY_REAL, AT(data.test),
     .range = {.low = 0, .high = 1, .high_open = true}, .fallback = 0,
     .when = "data.kind", .when_words = 1u << PBT_DATA_HDF5,
     .help =
         "Share of the images held back for the test where the file has no test set."},
    {"data.train_images", PBT_KEY_TEXT, TEXT_AT(data.train_images),
     .fallback_text = "train-images-idx3-ubyte", .when = "data.kind",
     .when_words = 1u << PBT_DATA_IDX,
     .help = "Name in the folder; `.gz` is tried as well."},
    {"data.train_labels", PBT_KEY_TEXT, TEXT_AT(data.train_labels),
     .fallback_text = "train-labels-idx1-ubyte", .when = "data.kind",
     .when_words = 1u << PBT_DATA_IDX,
     .help = "Name in the folder; `.gz` is tried as well."},
    {"data.test_images", PBT_KEY_TEXT, TEXT_AT(data.test_images),
     .fallback_text = "t10k-images-idx3-ubyte", .when = "data.kind",
     .when_words = 1u << PBT_DATA_IDX,
     .help = "Name in the folder; `.gz` is tried as well."},
    {"data.test_labels", PBT_KEY_TEXT, TEXT_AT(data.test_labels),
     .fallback_text = "t10k-labels-idx1-ubyte", .when = "data.kind",
     .when_words = 1u << PBT_DATA_IDX,
     .help = "Name in the folder; `.gz` is tried as well."},
    {"data.train_size", PBT_KEY_INTEGER, AT(data.train_size), FROM_TO(0, 1e8),
     .computed = "digits: 12000; files: 0", CLASSIFY_ONLY,
     .help = "Images to train and validate with; of files at most so many, 0 for all."},
    {"data.test_size", PBT_KEY_INTEGER, AT(data.test_size), FROM_TO(0, 1e8),
     .computed = "digits: 4000; files: 0", CLASSIFY_ONLY,
     .help = "Images to test with; of files at most so many, 0 for all."},
    {"data.validation", PBT_KEY_REAL, AT(data.validation),
     .range = {.low = 0, .high = 1, .low_open = true, .high_open = true}, .fallback = 0.1,
     CLASSIFY_ONLY, .help = "Share of the training images that fitness is measured on."},
    {"data.seed", PBT_KEY_SEED, AT(data.seed), FROM_TO(0, HUGE_VAL),
     .computed = "the job's `seed`", CLASSIFY_ONLY,
     .help = "Of the drawn digits and of the split into training and validation."},

    {"optimizer.kind", PBT_KEY_WORD, AT(optimizer.kind), WORDS(optimizer_word),
     CLASSIFY_ONLY, .help = "How a gradient changes the weights."},
    {"optimizer.batch_size", PBT_KEY_INTEGER, AT(optimizer.batch_size), FROM_TO(1, 65536),
     .fallback = 64, CLASSIFY_ONLY, .help = "Images of one optimiser step."},
    {"optimizer.lr", PBT_KEY_REAL, AT(optimizer.lr), .range = LR_LEGAL, .fallback = 0.05,
     .computed = "sgd: 0.05; others: 0.001", CLASSIFY_ONLY, .help = "Learning rate."},
    {"optimizer.momentum", PBT_KEY_REAL, AT(optimizer.momentum), .range = KEPT_LEGAL,
     .fallback = 0.9, OPTIMIZER(SGD | RMSPROP),
     .help = "Share of the last step's velocity that is kept."},
    {"optimizer.nesterov", PBT_KEY_FLAG, AT(optimizer.nesterov), OPTIMIZER(SGD),
     .help = "Look ahead along the velocity."},
    {"optimizer.beta1", PBT_KEY_REAL, AT(optimizer.beta1), .range = KEPT_LEGAL,
     .fallback = 0.9, OPTIMIZER(ADAM | ADAMW),
     .help = "Share of the mean gradient that is kept."},
    {"optimizer.beta2", PBT_KEY_REAL, AT(optimizer.beta2), .range = LONG_KEPT_LEGAL,
     .fallback = 0.999, OPTIMIZER(ADAM | ADAMW),
     .help = "Share of the mean squared gradient that is kept."},
    {"optimizer.smoothing", PBT_KEY_REAL, AT(optimizer.smoothing),
     .range = LONG_KEPT_LEGAL, .fallback = 0.99, OPTIMIZER(RMSPROP),
     .help = "Share of the mean squared gradient that is kept."},
    {"optimizer.epsilon", PBT_KEY_REAL, AT(optimizer.epsilon), .range = EPSILON_LEGAL,
     .fallback = 1e-8, OPTIMIZER(RMSPROP | ADAM | ADAMW),
     .help = "Added to the root that a step is divided by."},
    {"optimizer.weight_decay", PBT_KEY_REAL, AT(optimizer.weight_decay),
     .range = DECAY_LEGAL, .fallback = 0.0001, CLASSIFY_ONLY,
     .help = "Pull of each weight to 0."},
    {"optimizer.decay", PBT_KEY_WORD, AT(optimizer.decay), WORDS(decay_word),
     OPTIMIZER(SGD | RMSPROP | ADAM),
     .help = "Where the pull acts: in the gradient, or on the weights themselves; adamw "
             "is adam with `decoupled`."},
    {"optimizer.clip_norm", PBT_KEY_REAL, AT(optimizer.clip_norm), .range = CLIP_LEGAL,
     CLASSIFY_ONLY,
     .help =
         "Greatest length of the whole gradient, which is scaled down to it; 0: any."},
    {"optimizer.label_smoothing", PBT_KEY_REAL, AT(optimizer.label_smoothing),
     .range = LABEL_LEGAL, CLASSIFY_ONLY,
     .help = "Share of the label that is spread over all classes."},
    {"optimizer.class_weights", PBT_KEY_WORD, AT(optimizer.class_weights),
     WORDS(class_weights_word), CLASSIFY_ONLY,
     .help = "Weights of the classes in the training loss; `balanced`: inverse to how "
             "often each occurs, 1 on average over the training images."},

    {"augment.shift", PBT_KEY_REAL, AT(augment.shift), .range = PIXELS_LEGAL,
     CLASSIFY_ONLY, .help = "Pixels that an image moves either way, at most."},
    {"augment.flip", PBT_KEY_REAL, AT(augment.flip), .range = SHARE_LEGAL, CLASSIFY_ONLY,
     .help = "Probability of a left-right flip."},
    {"augment.cutout", PBT_KEY_REAL, AT(augment.cutout), .range = PIXELS_LEGAL,
     CLASSIFY_ONLY, .help = "Side of the square that is blanked, in pixels."},
    {"augment.rotation", PBT_KEY_REAL, AT(augment.rotation), .range = DEGREES_LEGAL,
     CLASSIFY_ONLY, .help = "Degrees that an image turns either way, at most."},
    {"augment.brightness", PBT_KEY_REAL, AT(augment.brightness), .range = SHARE_LEGAL,
     CLASSIFY_ONLY, .help = "Share of full scale that is added or taken away, at most."},
    {"augment.contrast", PBT_KEY_REAL, AT(augment.contrast), .range = SHARE_LEGAL,
     CLASSIFY_ONLY, .help = "c: contrast times 1 - c to 1 + c."},

    {"search.NAME.kind", PBT_KEY_WORD, IN_HPARAM(kind), WORDS(kind_word),
     .required = true, .help = "How it is drawn and moved."},
    {"search.NAME.low", PBT_KEY_REAL, IN_HPARAM(low), ANY_NUMBER, .required = true,
     .when = "search.NAME.kind", .when_words = ~(1u << PBT_CHOICE),
     .help = "The least value it may ever take."},
    {"search.NAME.high", PBT_KEY_REAL, IN_HPARAM(high), ANY_NUMBER, .required = true,
     .when = "search.NAME.kind", .when_words = ~(1u << PBT_CHOICE),
     .help = "The greatest value it may ever take."},
    {"search.NAME.start_low", PBT_KEY_REAL, IN_HPARAM(start_low), ANY_NUMBER,
     .computed = "`low`", .when = "search.NAME.kind", .when_words = ~(1u << PBT_CHOICE),
     .help = "First and redrawn values are not below this."},
    {"search.NAME.start_high", PBT_KEY_REAL, IN_HPARAM(start_high), ANY_NUMBER,
     .computed = "`high`", .when = "search.NAME.kind", .when_words = ~(1u << PBT_CHOICE),
     .help = "First and redrawn values are not above this."},
    {"search.NAME.options", PBT_KEY_REALS, IN_HPARAM(option),
     .count_offset = offsetof(struct pbt_hparam, n_option), .least = 2,
     .most = PBT_MAX_OPTION, ANY_NUMBER, .required = true, .when = "search.NAME.kind",
     .when_words = 1u << PBT_CHOICE,
     .help = "The numbers to choose from; a move goes to a neighbour in this list."},
    {"search.NAME.start", PBT_KEY_REALS, IN_HPARAM(start),
     .count_offset = offsetof(struct pbt_hparam, n_start), .least = 1,
     .most = PBT_MAX_START, ANY_NUMBER, .computed = "drawn",
     .help = "First values of members 0, 1, ... one by one; from the front again where "
             "there are more members."},
    {"search.NAME.schedule", PBT_KEY_REALS, IN_HPARAM(schedule),
     .count_offset = offsetof(struct pbt_hparam, n_schedule), .least = 1,
     .most = PBT_MAX_SCHEDULE, ANY_NUMBER, .computed = "none",
     .help = "With `explore.kind = \"replay\"`: the value of every member in generation "
             "0, 1, ...; the last one holds on."},

    {"exploit.kind", PBT_KEY_WORD, AT(exploit.kind), WORDS(exploit_word),
     .help = "Who copies whom at a ready step; `none` is random search."},
    {"exploit.fraction", PBT_KEY_REAL, AT(exploit.fraction),
     .range = {.low = 0, .high = 0.5, .low_open = true}, .fallback = 0.2,
     .when = "exploit.kind", .when_words = 1u << PBT_EXPLOIT_TRUNCATION,
     .help = "Share of the population replaced, and share copied from."},
    {"exploit.pairing", PBT_KEY_WORD, AT(exploit.pairing), WORDS(pairing_word),
     .when = "exploit.kind", .when_words = 1u << PBT_EXPLOIT_TRUNCATION,
     .help = "Who of the best a member copies: any, the i-th best for the i-th worst, or "
             "place i modulo the number of the best."},
    {"exploit.copy", PBT_KEY_WORD, AT(exploit.copy), WORDS(copy_word),
     .when = "exploit.kind", .when_words = ~(1u << PBT_EXPLOIT_NONE),
     .help =
         "What a copy takes: weights with optimiser state, hyperparameters, or both."},
    {"exploit.periods", PBT_KEY_INT32S, AT(exploit.period),
     .count_offset = offsetof(struct pbt_job, exploit.n_period), .least = 1,
     .most = PBT_MAX_PERIOD, FROM_TO(1, 1e6), .fallback_item = periods, .n_fallback = 4,
     .when = "exploit.kind", .when_words = 1u << PBT_EXPLOIT_MFPBT,
     .help = "Generations between the turns of each sub-population; as many "
             "sub-populations as numbers, which ascend."},
    {"exploit.window", PBT_KEY_INT32, AT(exploit.window), FROM_TO(2, 1000),
     .fallback = 10, .when = "exploit.kind", .when_words = 1u << PBT_EXPLOIT_TTEST,
     .help = "Evaluations of each member that are compared, the last ones."},
    {"exploit.level", PBT_KEY_REAL, AT(exploit.level),
     .range = {.low = 0, .high = 0.5, .low_open = true}, .fallback = 0.05,
     .when = "exploit.kind", .when_words = 1u << PBT_EXPLOIT_TTEST,
     .help = "Level of significance of the test, one-sided."},
    {"exploit.share", PBT_KEY_REAL, AT(exploit.share),
     .range = {.low = 0, .high = 1, .low_open = true}, .fallback = 0.25,
     .when = "exploit.kind", .when_words = 1u << PBT_EXPLOIT_LTFB,
     .help = "Share of the validation images that each member judges its rivals on, its "
             "own part of them."},

    {"guard.kind", PBT_KEY_WORD, AT(guard.kind), WORDS(guard_word),
     .help =
         "What a copy must pass on top: Welch's t-test, or the thresholds of DexPBT."},
    {"guard.window", PBT_KEY_INT32, AT(guard.window), FROM_TO(2, 1000), .fallback = 10,
     .when = "guard.kind", .when_words = 1u << PBT_GUARD_WELCH,
     .help = "Evaluations of each member that are compared, the last ones."},
    {"guard.level", PBT_KEY_REAL, AT(guard.level),
     .range = {.low = 0, .high = 0.5, .low_open = true}, .fallback = 0.05,
     .when = "guard.kind", .when_words = 1u << PBT_GUARD_WELCH,
     .help = "Level of significance of the test, one-sided."},
    {"guard.deviations", PBT_KEY_REAL, AT(guard.deviations), FROM_TO(0, 100),
     .fallback = 0.5, .when = "guard.kind", .when_words = 1u << PBT_GUARD_DEXPBT,
     .help = "The donor must be better by so many standard deviations of the scores."},
    {"guard.gain", PBT_KEY_REAL, AT(guard.gain), FROM_TO(0, 100), .fallback = 0.05,
     .when = "guard.kind", .when_words = 1u << PBT_GUARD_DEXPBT,
     .help = "The donor must be better by this share of its score."},

    {"explore.kind", PBT_KEY_WORD, AT(explore.kind), WORDS(explore_word),
     .help = "How hyperparameters change after a copy."},
    {"explore.factors", PBT_KEY_REALS, AT(explore.factor),
     .count_offset = offsetof(struct pbt_job, explore.n_factor), .least = 1,
     .most = PBT_MAX_FACTOR, .range = {.low = 0, .high = 1000, .low_open = true},
     .not_one = true, .fallback_item = no_drift, .n_fallback = 2, EXPLORE(PERTURB | PB2),
     .help = "A value is multiplied by one of these, drawn at random."},
    {"explore.probability", PBT_KEY_REAL, AT(explore.probability), FROM_TO(0, 1),
     .fallback = 1, EXPLORE(PERTURB | RESAMPLE | NORMAL | PB2),
     .help = "Of each hyperparameter to move, or to be redrawn (`resample`)."},
    {"explore.deviation", PBT_KEY_REAL, AT(explore.deviation),
     .range = {.low = 0, .high = 1, .low_open = true}, .fallback = 0.1, EXPLORE(NORMAL),
     .help = "Standard deviation of a step, as a share of high - low (in the logarithm "
             "for log)."},
    {"explore.who", PBT_KEY_WORD, AT(explore.who), WORDS(who_word),
     EXPLORE(PERTURB | RESAMPLE | NORMAL | PB2),
     .help = "Who explores: members that have just copied, or all."},
    {"explore.resample", PBT_KEY_REAL, AT(explore.resample), FROM_TO(0, 1),
     .fallback = 0.1, EXPLORE(PERTURB | PB2),
     .help = "Probability of each to be redrawn from its start range instead of moved."},
    {"explore.bounds", PBT_KEY_WORD, AT(explore.bounds), WORDS(bounds_word),
     .fallback = PBT_REFLECT, EXPLORE(PERTURB | NORMAL | PB2),
     .help = "What happens to a value that would leave its bounds."},
    {"explore.trial_steps", PBT_KEY_INTEGER, AT(explore.trial_steps), FROM_TO(1, 1e9),
     .fallback = 8, EXPLORE(DE | SHADE),
     .help = "Steps of each trial: the last ones of an interval."},
    {"explore.trial_batches", PBT_KEY_INTEGER, AT(explore.trial_batches), FROM_TO(0, 1e9),
     EXPLORE(DE | SHADE),
     .help = "Batches of validation images that trials are scored on, drawn anew at each "
             "ready step; 0: all of them."},
    {"explore.window", PBT_KEY_INTEGER, AT(explore.window), FROM_TO(0, 2000),
     EXPLORE(PB2),
     .help = "Intervals that are learned from; 0: twice the population, from 32 to 200."},
    {"explore.scale", PBT_KEY_REAL, AT(explore.scale),
     .range = {.low = 0, .high = 2, .low_open = true}, .fallback = 0.2, EXPLORE(DE),
     .help = "F: how much of a difference is added."},
    {"explore.crossover", PBT_KEY_REAL, AT(explore.crossover), FROM_TO(0, 1),
     .fallback = 0.8, EXPLORE(DE),
     .help = "Cr: probability of each hyperparameter to come from the mutant."},
    {"explore.memory", PBT_KEY_INT32, AT(explore.memory), FROM_TO(1, 1000), .fallback = 5,
     EXPLORE(SHADE), .help = "H: slots of the memory of what F and Cr did well."},
    {"explore.best", PBT_KEY_REAL, AT(explore.best),
     .range = {.low = 0, .high = 1, .low_open = true}, .fallback = 0.2, EXPLORE(SHADE),
     .help = "Share of the population that trials are pulled towards."},
    {"explore.archive", PBT_KEY_REAL, AT(explore.archive), FROM_TO(0, 100), .fallback = 2,
     EXPLORE(SHADE), .help = "Replaced values that are kept, in populations."},
    {"explore.evaluations", PBT_KEY_INTEGER, AT(explore.evaluations), FROM_TO(1, 1e12),
     .required = true, EXPLORE(LSHADE),
     .help = "Trials, all members together, after which four members are left."},

    {"ready.steps", PBT_KEY_INTEGER, AT(ready.steps), FROM_TO(1, 1e12),
     .alternative = READY, .computed = "none: one of the two is required",
     .help = "Optimiser steps between two ready steps."},
    {"ready.epochs", PBT_KEY_REAL, AT(ready.epochs),
     .range = {.low = 0, .high = 1e6, .low_open = true}, .alternative = READY,
     .computed = "none: one of the two is required",
     .help = "The same in passes over the training images; fractions are fine."},
    {"ready.burn_in", PBT_KEY_INTEGER, AT(ready.burn_in), FROM_TO(0, 1e9),
     .help = "Generations before the first copy."},

    {"budget.generations", PBT_KEY_INTEGER, AT(budget.generations), FROM_TO(1, 1e9),
     .alternative = BUDGET, .may_change = true,
     .computed = "none: one of the three is required",
     .help = "Ready steps until the run is finished."},
    {"budget.steps", PBT_KEY_INTEGER, AT(budget.steps), FROM_TO(1, 1e15),
     .alternative = BUDGET, .may_change = true,
     .computed = "none: one of the three is required",
     .help = "Optimiser steps of each member, rounded up to whole intervals."},
    {"budget.epochs", PBT_KEY_REAL, AT(budget.epochs),
     .range = {.low = 0, .high = 1e9, .low_open = true}, .alternative = BUDGET,
     .may_change = true, .computed = "none: one of the three is required",
     .help = "Passes of each member over the training images, likewise."},

    {"checkpoint.every", PBT_KEY_INTEGER, AT(checkpoint.every), FROM_TO(1, 1e9),
     .fallback = 1, .may_change = true,
     .help = "Generations from one checkpoint to the next."},
    {"checkpoint.keep", PBT_KEY_INTEGER, AT(checkpoint.keep), FROM_TO(1, 1e6),
     .fallback = 2, .may_change = true, .help = "Checkpoints kept; older ones go."},
    {"checkpoint.async", PBT_KEY_FLAG, AT(checkpoint.async), .fallback = 0,
     .may_change = true,
     .help = "Write checkpoints while the next interval trains; they count an interval "
             "later."},
};

enum { N_KEY = sizeof table / sizeof *table };

#define TUNABLE(table, name, legal, kind)                                                \
  {                                                                                      \
#name, #table "." #name, offsetof(struct pbt_job, table.name), legal,                \
        PBT_TASK_##kind                                                                  \
  }

static const struct pbt_tunable tunable[] = {
    TUNABLE(optimizer, lr, LR_LEGAL, CLASSIFY),
    TUNABLE(optimizer, momentum, KEPT_LEGAL, CLASSIFY),
    TUNABLE(optimizer, beta1, KEPT_LEGAL, CLASSIFY),
    TUNABLE(optimizer, beta2, LONG_KEPT_LEGAL, CLASSIFY),
    TUNABLE(optimizer, smoothing, LONG_KEPT_LEGAL, CLASSIFY),
    TUNABLE(optimizer, epsilon, EPSILON_LEGAL, CLASSIFY),
    TUNABLE(optimizer, weight_decay, DECAY_LEGAL, CLASSIFY),
    TUNABLE(optimizer, clip_norm, CLIP_LEGAL, CLASSIFY),
    TUNABLE(optimizer, label_smoothing, LABEL_LEGAL, CLASSIFY),
    TUNABLE(network, dropout, DROPOUT_LEGAL, CLASSIFY),
    TUNABLE(augment, shift, PIXELS_LEGAL, CLASSIFY),
    TUNABLE(augment, flip, SHARE_LEGAL, CLASSIFY),
    TUNABLE(augment, cutout, PIXELS_LEGAL, CLASSIFY),
    TUNABLE(augment, rotation, DEGREES_LEGAL, CLASSIFY),
    TUNABLE(augment, brightness, SHARE_LEGAL, CLASSIFY),
    TUNABLE(augment, contrast, SHARE_LEGAL, CLASSIFY),
    TUNABLE(toy, h0, TOY_LEGAL, TOY),
    TUNABLE(toy, h1, TOY_LEGAL, TOY),
    TUNABLE(toy, h, TOY_LEGAL, TOY),
};

const struct pbt_key *pbt_job_keys(size_t *n) {
  *n = N_KEY;
  return table;
}

const struct pbt_tunable *pbt_job_tunables(size_t *n) {
  *n = sizeof tunable / sizeof *tunable;
  return tunable;
}

const char *pbt_key_when_name(const struct pbt_key *key) {
  size_t length = pbt_key_parent(key->when);
  bool near =
      length == pbt_key_parent(key->name) && strncmp(key->name, key->when, length) == 0;
  return near ? pbt_key_last(key->when) : key->when;
}

const char *pbt_metric_name(enum pbt_metric metric) {
  return metric_word[metric];
}

const char *pbt_network_name(enum pbt_network_kind kind) {
  return network_word[kind];
}

size_t pbt_key_parent(const char *dotted) {
  const char *dot = strrchr(dotted, '.');
  return dot != NULL ? (size_t)(dot - dotted) : 0;
}

const char *pbt_key_last(const char *dotted) {
  const char *dot = strrchr(dotted, '.');
  return dot != NULL ? dot + 1 : dotted;
}

int pbt_key_index(const char *name) {
  for (int k = 0; k < N_KEY; k++) {
    if (strcmp(table[k].name, name) == 0) {
      return k;
    }
  }
  return -1;
}

int pbt_key_find(const char *dotted, int *which) {
  static const char prefix[] = "search.";
  *which = -1;
  if (strncmp(dotted, prefix, sizeof prefix - 1) != 0) {
    int k = pbt_key_index(dotted);
    return k >= 0 && !table[k].of_hparam ? k : -1;
  }
  const char *name = dotted + sizeof prefix - 1;
  const char *dot = strchr(name, '.');
  for (size_t t = 0; dot != NULL && t < sizeof tunable / sizeof *tunable; t++) {
    size_t n = (size_t)(dot - name);
    if (strlen(tunable[t].name) == n && memcmp(tunable[t].name, name, n) == 0) {
      *which = (int)t;
    }
  }
  if (*which < 0) {
    return -1;
  }
  for (int k = 0; k < N_KEY; k++) {
    if (table[k].of_hparam && strcmp(pbt_key_last(table[k].name), dot + 1) == 0) {
      return k;
    }
  }
  return -1;
}

bool pbt_range_has(const struct pbt_range *range, double value) {
  return isfinite(value) &&
         (range->low_open ? value > range->low : value >= range->low) &&
         (range->high_open ? value < range->high : value <= range->high);
}

void pbt_range_text(const struct pbt_range *range, char *text, size_t bytes) {
  char low[PBT_NUMBER_TEXT], high[PBT_NUMBER_TEXT];
  pbt_spell_number(range->low, low);
  pbt_spell_number(range->high, high);
  if (!isfinite(range->low)) {
    snprintf(text, bytes, "finite");
  } else if (!isfinite(range->high)) {
    snprintf(text, bytes, "%s %s", range->low_open ? "above" : "at least", low);
  } else if (!range->low_open && !range->high_open) {
    snprintf(text, bytes, "from %s to %s", low, high);
  } else {
    snprintf(text, bytes, "%s %s and %s %s", range->low_open ? "above" : "at least", low,
             range->high_open ? "below" : "at most", high);
  }
}
