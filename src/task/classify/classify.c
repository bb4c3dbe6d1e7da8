/*
 * The classify task: net/ on data/ over a backend, seen through task.h.
 *
 * A member's position in its stream of training samples is its step count, which lies in
 * its state; the stream is named by (job seed, member).  So the state is complete, and a
 * member that takes another's weights goes on in its own order of samples.
 */
#include "task/classify/classify.h"

#include "backend/augment.h" // pbt_augments
#include "base/memory.h"     // pbt_mem_bytes
#include "base/text.h"       // pbt_text_add
#include "net/net.h"         // the network

#include <math.h>
#include <string.h>

enum { SCORE_BATCH = 64 }; // samples scored at a time, at least

struct classify {
  struct pbt_task base;
  const struct pbt_job *job;
  const struct pbt_data_header *data;
  struct pbt_net_spec spec;
  struct pbt_backend *backend;
  struct pbt_dataset *dataset;
  struct pbt_net *net;
  uint32_t member;
  struct pbt_batch batch; // the training stream
  int64_t begun;          // steps of train_begin
  struct pbt_hyper hyper; // as the job fixes them, then as set_hparams leaves them
};

/* Where a hyperparameter goes. */
#define PLACE(name)                                                                      \
  { #name, offsetof(struct pbt_hyper, name) }
static const struct {
  const char *name;
  size_t offset; // of the float in struct pbt_hyper
} hyper_place[] = {PLACE(lr),           PLACE(momentum),  PLACE(beta1),
                   PLACE(beta2),        PLACE(smoothing), PLACE(epsilon),
                   PLACE(weight_decay), PLACE(clip_norm), PLACE(label_smoothing),
                   PLACE(dropout),      PLACE(shift),     PLACE(flip),
                   PLACE(cutout),       PLACE(rotation),  PLACE(brightness),
                   PLACE(contrast)};
#undef PLACE

static pbt_status put_hyper(struct pbt_hyper *hyper, const char *name, double value) {
  for (size_t i = 0; i < sizeof hyper_place / sizeof *hyper_place; i++) {
    if (strcmp(hyper_place[i].name, name) == 0) {
      float single = (float)value;
      memcpy((char *)hyper + hyper_place[i].offset, &single, sizeof single);
      return PBT_OK;
    }
  }
  return pbt_fail(PBT_ERR_DATA, "the classify task has no hyperparameter \"%s\"", name);
}

static pbt_status fixed_hyper(const struct pbt_job *job, struct pbt_hyper *hyper) {
  size_t n;
  const struct pbt_tunable *tunable = pbt_job_tunables(&n);
  for (size_t i = 0; i < n; i++) {
    if (tunable[i].task != PBT_TASK_CLASSIFY) {
      continue;
    }
    double value;
    memcpy(&value, (const char *)job + tunable[i].offset, sizeof value);
    PBT_TRY(put_hyper(hyper, tunable[i].name, value));
  }
  return PBT_OK;
}

/* What "auto" means: the first that opens. */
static pbt_status open_backend(const struct pbt_job *job, int32_t node_rank,
                               struct pbt_backend **backend) {
  static const enum pbt_precision precision[] = {[PBT_JOB_FLOAT32] = PBT_FLOAT32,
                                                 [PBT_JOB_TF32] = PBT_TF32,
                                                 [PBT_JOB_BF16] = PBT_BF16};
  const struct pbt_backend_options options = {.threads =
                                                  job->threads > 0 ? job->threads : 1,
                                              .node_rank = node_rank,
                                              .precision = precision[job->precision]};
  if (job->backend != PBT_BACKEND_CPU) {
    pbt_status status = pbt_backend_find("cuda")->open(&options, backend);
    if (status == PBT_OK || job->backend == PBT_BACKEND_CUDA) {
      return status;
    }
    pbt_error_clear();
  }
  return pbt_backend_find("cpu")->open(&options, backend);
}

static pbt_status parse_layers(const struct pbt_job *job, struct pbt_shape in,
                               int32_t n_class, struct pbt_net_spec *spec) {
  _Static_assert((int)PBT_MAX_LAYER_LIST == (int)PBT_MAX_LAYERS, "every list fits");
  const char *entry[PBT_MAX_LAYER_LIST];
  for (int32_t i = 0; i < job->network.n_layer; i++) {
    entry[i] = job->network.layer[i];
  }
  return pbt_net_parse("layers", in, n_class, entry, job->network.n_layer, spec);
}

static pbt_status make_spec(const struct pbt_job *job, const struct pbt_data_header *data,
                            struct pbt_net_spec *spec) {
  struct pbt_shape in = {.c = data->c, .h = data->h, .w = data->w};
  switch (job->network.kind) {
  case PBT_NETWORK_LENET5:
    return pbt_net_lenet5(in, data->n_class, spec);
  case PBT_NETWORK_MLP:
    return pbt_net_mlp(in, data->n_class, job->network.hidden, job->network.n_hidden,
                       spec);
  case PBT_NETWORK_RESNET20:
    return pbt_net_resnet20(in, data->n_class, spec);
  case PBT_NETWORK_LAYERS:
    return parse_layers(job, in, data->n_class, spec);
  }
  return PBT_BUG("a network that the classify task does not know");
}

static pbt_status check_data(const struct pbt_job *job,
                             const struct pbt_data_header *data) {
  if (data == NULL || data->magic != PBT_DATA_MAGIC) {
    return PBT_BUG("the classify task was given no loaded data");
  }
  if (job->optimizer.batch_size > data->n_train) {
    return pbt_fail(PBT_ERR_DATA,
                    "optimizer.batch_size is %lld but there are only %lld training "
                    "images; use smaller batches or more data",
                    (long long)job->optimizer.batch_size, (long long)data->n_train);
  }
  return PBT_OK;
}

static pbt_status open_dataset(struct classify *self) {
  const struct pbt_data_header *data = self->data;
  const uint8_t *block = (const uint8_t *)data;
  struct pbt_images images = {.pixel = block + data->pixel_offset,
                              .label = block + data->label_offset,
                              .n = data->n_train + data->n_validation + data->n_test,
                              .c = data->c,
                              .h = data->h,
                              .w = data->w,
                              .n_class = data->n_class};
  for (int32_t c = 0; c < data->c; c++) {
    images.scale[c] = 1.0f / (255.0f * data->deviation[c]);
    images.shift[c] = -data->mean[c] / data->deviation[c];
  }
  return self->backend->ops->data_open(self->backend, &images, &self->dataset);
}

/* n / (classes n_c) for n_c of n training images in class c: 1 on average over them.  A
 * class without images is never met. */
static void balance_classes(const struct pbt_data_header *data, float weight[]) {
  const uint8_t *label = (const uint8_t *)data + data->label_offset;
  int64_t begin, count, of_class[PBT_MAX_CLASSES] = {0};
  pbt_data_range(data, PBT_SPLIT_TRAIN, &begin, &count);
  for (int64_t i = begin; i < begin + count; i++) {
    of_class[label[i]]++;
  }
  double met = 0;
  for (int32_t c = 0; c < data->n_class; c++) {
    met += of_class[c] > 0;
  }
  for (int32_t c = 0; c < data->n_class; c++) {
    weight[c] =
        of_class[c] > 0 ? (float)((double)count / (met * (double)of_class[c])) : 1.0F;
  }
}

static pbt_status open_net(struct classify *self) {
  const struct pbt_job *job = self->job;
  static const enum pbt_optimizer kind[] = {[PBT_OPTIMIZER_SGD] = PBT_SGD,
                                            [PBT_OPTIMIZER_RMSPROP] = PBT_RMSPROP,
                                            [PBT_OPTIMIZER_ADAM] = PBT_ADAM,
                                            [PBT_OPTIMIZER_ADAMW] = PBT_ADAM};
  int64_t batch = job->optimizer.batch_size;
  struct pbt_net_options options = {
      .max_batch = batch > SCORE_BATCH ? (int32_t)batch : SCORE_BATCH,
      .optimizer = kind[job->optimizer.kind],
      .nesterov = job->optimizer.nesterov,
      .decoupled = job->optimizer.kind == PBT_OPTIMIZER_ADAMW ||
                   job->optimizer.decay == PBT_DECAY_DECOUPLED};
  float weight[PBT_MAX_CLASSES];
  if (job->optimizer.class_weights == PBT_CLASSES_BALANCED && self->data != NULL) {
    balance_classes(self->data, weight);
    options.class_weight = weight;
  }
  PBT_TRY(pbt_net_open(self->backend, &self->spec, &options, &self->net));
  PBT_TRY(pbt_net_set_hyper(self->net, &self->hyper));
  return pbt_net_init(self->net, job->seed, self->member, 0);
}

static void close_classify(struct pbt_task *task) {
  struct classify *self = (struct classify *)task;
  if (self == NULL) {
    return;
  }
  pbt_net_close(self->net);
  if (self->dataset != NULL) {
    self->backend->ops->data_close(self->backend, self->dataset);
  }
  if (self->backend != NULL) {
    self->backend->ops->close(self->backend);
  }
  pbt_mem_free(self);
}

static pbt_status open_classify(const struct pbt_task_env *env, struct pbt_task **task) {
  PBT_TRY(check_data(env->job, env->data));
  struct classify *self = NULL;
  PBT_TRY(PBT_NEW(1, &self));
  self->base.ops = &pbt_task_classify;
  self->job = env->job;
  self->data = env->data;
  self->member = env->member;
  pbt_status status;
  PBT_TRY_TO(done, status, make_spec(env->job, self->data, &self->spec));
  PBT_TRY_TO(done, status, fixed_hyper(env->job, &self->hyper));
  PBT_TRY_TO(done, status, open_backend(env->job, env->node_rank, &self->backend));
  PBT_TRY_TO(done, status, open_dataset(self));
  self->batch = (struct pbt_batch){.dataset = self->dataset,
                                   .n = (int32_t)env->job->optimizer.batch_size,
                                   .shuffle = true};
  pbt_data_range(self->data, PBT_SPLIT_TRAIN, &self->batch.begin, &self->batch.count);
  PBT_TRY_TO(done, status, open_net(self));
  *task = &self->base;
  self = NULL;
done:
  close_classify(self == NULL ? NULL : &self->base);
  return status;
}

static pbt_status restart_classify(struct pbt_task *task, uint64_t restart) {
  struct classify *self = (struct classify *)task;
  size_t offset = pbt_state_find(pbt_net_state(self->net), "step")->offset;
  int64_t step = 0;
  PBT_TRY(pbt_net_state_read(self->net, offset, sizeof step, &step));
  PBT_TRY(pbt_net_init(self->net, self->job->seed, self->member, restart));
  return pbt_net_state_write(self->net, offset, sizeof step, &step);
}

static pbt_status set_hparams_classify(struct pbt_task *task, const double value[]) {
  struct classify *self = (struct classify *)task;
  for (int32_t i = 0; i < self->job->search.n; i++) {
    const struct pbt_hparam *hparam = &self->job->search.hparam[i];
    double effective = pbt_hparam_effective(hparam, value[i]);
    PBT_TRY(put_hyper(&self->hyper, hparam->name, effective));
  }
  return pbt_net_set_hyper(self->net, &self->hyper);
}

static pbt_status train_begin_classify(struct pbt_task *task, int64_t n_steps) {
  struct classify *self = (struct classify *)task;
  self->batch.augment = pbt_augments(&self->hyper);
  self->begun = n_steps;
  return pbt_net_train_begin(self->net, &self->batch, n_steps);
}

static pbt_status train_end_classify(struct pbt_task *task,
                                     struct pbt_train_report *report) {
  struct classify *self = (struct classify *)task;
  struct pbt_tally tally = {0};
  PBT_TRY(pbt_net_collect(self->net, &tally));
  *report = (struct pbt_train_report){.n_steps = self->begun, .n_sample = tally.count};
  if (tally.count > 0) {
    double mean = tally.loss / (double)tally.count;
    report->loss = isfinite(mean) ? mean : (double)NAN;
  }
  return PBT_OK;
}

struct by_class {
  double recall, loss; // means over the classes that occur in truth
};

static struct by_class mean_by_class(const struct pbt_tally *tally, int32_t n_class) {
  struct by_class sum = {0};
  int32_t n = 0;
  for (int32_t k = 0; k < n_class; k++) {
    double actual = (double)tally->actual[k];
    if (actual > 0) {
      sum.recall += (double)tally->true_positive[k] / actual;
      sum.loss += tally->class_loss[k] / actual;
      n++;
    }
  }
  return (struct by_class){sum.recall / n, sum.loss / n};
}

/* The mean over the classes that occur, in truth or in answers, of the harmonic mean of
 * precision and recall: 2 TP / (predicted + actual). */
static double macro_f1(const struct pbt_tally *tally, int32_t n_class) {
  double sum = 0.0;
  int32_t n = 0;
  for (int32_t k = 0; k < n_class; k++) {
    int64_t named = tally->predicted[k] + tally->actual[k];
    if (named > 0) {
      sum += 2.0 * (double)tally->true_positive[k] / (double)named;
      n++;
    }
  }
  return n > 0 ? sum / n : 0.0;
}

static struct pbt_scores scores_of(const struct pbt_tally *tally, int32_t n_class) {
  const double nan = (double)NAN, n = (double)tally->count;
  if (!isfinite(tally->loss / n)) {
    return (struct pbt_scores){.loss = nan,
                               .accuracy = nan,
                               .macro_f1 = nan,
                               .balanced_accuracy = nan,
                               .balanced_loss = nan,
                               .count = tally->count};
  }
  struct by_class mean = mean_by_class(tally, n_class);
  return (struct pbt_scores){.loss = tally->loss / n,
                             .accuracy = (double)tally->correct / n,
                             .macro_f1 = macro_f1(tally, n_class),
                             .balanced_accuracy = mean.recall,
                             .balanced_loss = mean.loss,
                             .count = tally->count};
}

static pbt_status evaluate_begin_classify(struct pbt_task *task, enum pbt_split split,
                                          struct pbt_part part) {
  struct classify *self = (struct classify *)task;
  int64_t begin, count;
  pbt_data_range(self->data, split, &begin, &count);
  if (part.begin < 0 || part.begin >= count || part.count < 0 ||
      part.count > count - part.begin) {
    return PBT_BUG("a part that reaches beyond its split");
  }
  int64_t wanted = part.count > 0 ? part.count : count - part.begin;
  return pbt_net_evaluate_begin(self->net, self->dataset, begin + part.begin, wanted);
}

static pbt_status evaluate_end_classify(struct pbt_task *task,
                                        struct pbt_scores *scores) {
  struct classify *self = (struct classify *)task;
  struct pbt_tally tally = {0};
  PBT_TRY(pbt_net_collect(self->net, &tally));
  *scores = scores_of(&tally, self->spec.n_class);
  return PBT_OK;
}

static int64_t split_size_classify(const struct pbt_task *task, enum pbt_split split) {
  int64_t begin, count;
  pbt_data_range(((const struct classify *)task)->data, split, &begin, &count);
  return count;
}

static const struct pbt_state *state_classify(const struct pbt_task *task) {
  return pbt_net_state(((const struct classify *)task)->net);
}

static pbt_status state_read_classify(struct pbt_task *task, size_t offset, size_t bytes,
                                      void *to) {
  return pbt_net_state_read(((struct classify *)task)->net, offset, bytes, to);
}

static pbt_status state_write_classify(struct pbt_task *task, size_t offset, size_t bytes,
                                       const void *from) {
  return pbt_net_state_write(((struct classify *)task)->net, offset, bytes, from);
}

static pbt_status state_copy_classify(struct pbt_task *to, struct pbt_task *from) {
  return pbt_net_state_copy(((struct classify *)to)->net, ((struct classify *)from)->net);
}

static void *state_map_classify(struct pbt_task *task) {
  return pbt_net_state_map(((struct classify *)task)->net);
}

static pbt_status state_address_classify(struct pbt_task *task, void **address) {
  return pbt_net_state_address(((struct classify *)task)->net, address);
}

static struct pbt_data_source source_of(const struct pbt_job *job) {
  static const enum pbt_source_kind kind[] = {[PBT_DATA_DIGITS] = PBT_SOURCE_DIGITS,
                                              [PBT_DATA_IDX] = PBT_SOURCE_IDX,
                                              [PBT_DATA_CIFAR10] = PBT_SOURCE_CIFAR10,
                                              [PBT_DATA_HDF5] = PBT_SOURCE_HDF5};
  return (struct pbt_data_source){.kind = kind[job->data.kind],
                                  .folder = job->data.folder,
                                  .file = job->data.file,
                                  .test = job->data.test,
                                  .train_images = job->data.train_images,
                                  .train_labels = job->data.train_labels,
                                  .test_images = job->data.test_images,
                                  .test_labels = job->data.test_labels,
                                  .train_size = job->data.train_size,
                                  .test_size = job->data.test_size,
                                  .validation = job->data.validation,
                                  .seed = job->data.seed};
}

static pbt_status data_probe_classify(const struct pbt_job *job, size_t *bytes) {
  struct pbt_data_source source = source_of(job);
  return pbt_data_probe(&source, bytes);
}

static pbt_status data_load_classify(const struct pbt_job *job, void *data,
                                     size_t bytes) {
  struct pbt_data_source source = source_of(job);
  return pbt_data_load(&source, data, bytes);
}

static double epoch_steps_classify(const struct pbt_task *task) {
  const struct classify *self = (const struct classify *)task;
  return (double)self->batch.count / (double)self->batch.n;
}

/* On a processor 4 GFLOP: about 50 ms on one good core, and half a second where ten ranks
 * share it.  On a device 100 GFLOP, but few enough steps that members take turns soon and
 * that a slice is queued whole (PBT_BACKEND_QUEUE). */
static int64_t slice_steps_classify(const struct pbt_task *task) {
  const struct classify *self = (const struct classify *)task;
  bool host = self->backend->ops->host_memory;
  double steps = (host ? 4e9 : 1e11) / pbt_net_step_flops(self->net, self->batch.n);
  double most = host ? 1e9 : PBT_BACKEND_QUEUE;
  steps = steps < most ? steps : most;
  return steps > 1.0 ? (int64_t)steps : 1;
}

static const char *describe_classify(const struct pbt_task *task) {
  const struct classify *self = (const struct classify *)task;
  return self->backend->ops->describe(self->backend);
}

static bool place_classify(const struct pbt_task *task, struct pbt_place *place) {
  const struct pbt_backend *backend = ((const struct classify *)task)->backend;
  if (backend->ops->place != NULL) {
    backend->ops->place(backend, place);
  }
  return backend->ops->place != NULL;
}

/* Opens a network on no data and weighs it: workspaces count too.  Where only the labels
 * know the number of classes, ten are assumed. */
static pbt_status measure_classify(const struct pbt_job *job, size_t *bytes,
                                   struct pbt_text *about) {
  struct pbt_data_source source = source_of(job);
  struct pbt_data_header data = {0};
  PBT_TRY(pbt_data_measure(&source, &data));
  data.n_class = data.n_class > 0 ? data.n_class : 10;
  int64_t before = pbt_mem_bytes();
  struct classify *self = NULL;
  PBT_TRY(PBT_NEW(1, &self));
  self->job = job;
  pbt_status status;
  PBT_TRY_TO(done, status, make_spec(job, &data, &self->spec));
  PBT_TRY_TO(done, status, open_backend(job, 0, &self->backend));
  PBT_TRY_TO(done, status, open_net(self));
  *bytes = (size_t)(pbt_mem_bytes() - before);
  PBT_TRY_TO(done, status, pbt_net_print(&self->spec, self->net, about));
done:
  close_classify(&self->base);
  return status;
}

static void add_numbers(struct pbt_text *text, const char *key, const float value[],
                        int32_t n) {
  pbt_text_add(text, "%s = [", key);
  for (int32_t i = 0; i < n; i++) {
    pbt_text_add(text, "%s%.9g", i > 0 ? ", " : "", (double)value[i]);
  }
  pbt_text_add(text, "]\n");
}

static pbt_status model_facts_classify(const struct pbt_task *task,
                                       struct pbt_text *text) {
  const struct classify *self = (const struct classify *)task;
  const struct pbt_data_header *data = self->data;
  pbt_text_add(text, "network = %s\n", self->spec.name);
  for (int32_t i = 0; i < self->spec.n_layer; i++) {
    pbt_text_add(text, "layer.%s = ", self->spec.layer[i].name);
    pbt_net_layer_words(&self->spec, i, text);
    pbt_text_add(text, "\n");
  }
  pbt_text_add(text, "input = [%d, %d, %d]\nclasses = %d\n", data->c, data->h, data->w,
               data->n_class);
  pbt_text_add(text, "# value = (pixel / 255 - mean) / deviation, by channel\n");
  add_numbers(text, "mean", data->mean, data->c);
  add_numbers(text, "deviation", data->deviation, data->c);
  return text->status;
}

const struct pbt_task_ops pbt_task_classify = {
    .name = "classify",
    .open = open_classify,
    .close = close_classify,
    .restart = restart_classify,
    .set_hparams = set_hparams_classify,
    .train_begin = train_begin_classify,
    .train_end = train_end_classify,
    .evaluate_begin = evaluate_begin_classify,
    .evaluate_end = evaluate_end_classify,
    .state = state_classify,
    .state_read = state_read_classify,
    .state_write = state_write_classify,
    .state_copy = state_copy_classify,
    .state_map = state_map_classify,
    .state_address = state_address_classify,
    .data_probe = data_probe_classify,
    .data_load = data_load_classify,
    .split_size = split_size_classify,
    .epoch_steps = epoch_steps_classify,
    .slice_steps = slice_steps_classify,
    .describe = describe_classify,
    .place = place_classify,
    .measure = measure_classify,
    .model_facts = model_facts_classify,
};
