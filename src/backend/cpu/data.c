/*
 * Batches from images in host memory.  The samples of a batch lie anywhere in a data set
 * larger than the caches, so their lines are asked for before the first is used.
 */
#include "backend/augment.h" // pbt_augments
#include "backend/cpu/cpu.h"
#include "base/memory.h" // counted memory

struct pbt_dataset {
  struct pbt_images images; // pixels and labels borrowed
};

pbt_status pbt_cpu_data_open(struct pbt_backend *backend, const struct pbt_images *images,
                             struct pbt_dataset **dataset) {
  struct cpu_backend *cpu = cpu_of(backend);
  *dataset = NULL;
  if (images->c < 1 || images->c > 4 || images->h < 1 || images->w < 1 || images->n < 1) {
    return pbt_fail(PBT_ERR_DATA, "images of %d x %d x %d: 1 to 4 channels are handled",
                    images->c, images->h, images->w);
  }
  int64_t scratch = cpu->n_threads * cpu->kernels->gather_scratch(images);
  PBT_TRY(pbt_cpu_reserve(cpu, scratch / (int64_t)sizeof(float)));
  PBT_TRY(PBT_NEW(1, dataset));
  (*dataset)->images = *images;
  return PBT_OK;
}

void pbt_cpu_data_close(struct pbt_backend *backend, struct pbt_dataset *dataset) {
  (void)backend;
  pbt_mem_free(dataset);
}

/* Walks the stream of a batch: position after position, epoch after epoch. */
struct stream {
  const struct pbt_batch *batch;
  int64_t place, epoch; // next position within its epoch
  struct pbt_permutation permutation;
};

static void begin_epoch(struct stream *stream) {
  const struct pbt_batch *batch = stream->batch;
  if (batch->shuffle) {
    stream->permutation =
        pbt_permutation_open(batch->step->seed, batch->step->member, PBT_RNG_SHUFFLE,
                             (uint64_t)stream->epoch, (uint64_t)batch->count);
  }
}

static int64_t first_position(const struct pbt_batch *batch) {
  return batch->first + batch->step->step * batch->n;
}

static struct stream stream_open(const struct pbt_batch *batch) {
  int64_t first = first_position(batch);
  struct stream stream = {
      .batch = batch, .place = first % batch->count, .epoch = first / batch->count};
  begin_epoch(&stream);
  return stream;
}

static int64_t next_sample(struct stream *stream) {
  const struct pbt_batch *batch = stream->batch;
  if (stream->place == batch->count) {
    stream->place = 0;
    stream->epoch++;
    begin_epoch(stream);
  }
  int64_t at = stream->place++;
  if (batch->shuffle) {
    at = (int64_t)pbt_permutation_at(&stream->permutation, (uint64_t)at);
  }
  return batch->begin + at;
}

enum { CHUNK_BLOCKS = 8, CHUNK = CHUNK_BLOCKS * CPU_LANES, LINE = 64 };

pbt_status pbt_cpu_gather(struct pbt_backend *backend, const struct pbt_batch *batch,
                          struct pbt_shape shape, float *x, int32_t *label) {
  const struct cpu_backend *cpu = cpu_of(backend);
  const struct pbt_images *images = &batch->dataset->images;
  if (shape.c != images->c || shape.h != images->h || shape.w != images->w ||
      batch->count < 1 || batch->begin < 0 || batch->begin + batch->count > images->n) {
    return PBT_BUG("a batch that does not fit its data set");
  }
  int64_t bytes = (int64_t)images->c * images->h * images->w;
  struct stream stream = stream_open(batch);
  bool augment = batch->augment && pbt_augments(&batch->step->hyper);
  struct cpu_stride stride = pbt_cpu_stride(shape);
  for (int32_t begin = 0; begin < batch->n; begin += CHUNK) {
    const uint8_t *image[CHUNK];
    int32_t n = batch->n - begin < CHUNK ? batch->n - begin : CHUNK;
    for (int32_t i = 0; i < n; i++) {
      int64_t sample = next_sample(&stream);
      image[i] = images->pixel + sample * bytes;
      label[begin + i] = images->label[sample];
      for (int64_t line = 0; line < bytes; line += LINE) {
        __builtin_prefetch(image[i] + line);
      }
    }
    struct cpu_gather_call call = {.images = images,
                                   .image = image,
                                   .n = n,
                                   .stride = stride,
                                   .x = x + begin / CPU_LANES * stride.block,
                                   .step = augment ? batch->step : NULL,
                                   .position = first_position(batch) + begin,
                                   .scratch = (uint8_t *)cpu->scratch};
    pbt_cpu_threads_run(cpu->threads, cpu->kernels->gather, &call, cpu_blocks(n));
  }
  return PBT_OK;
}
