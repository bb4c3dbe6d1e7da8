/*
 * Data sets on the device: one copy for all members of this process on one device, kept
 * while any of them has it open.  Members run on their own streams, so the first one
 * waits until the copy is whole.
 */
#include <pthread.h>

#include "backend/cuda/cuda.h"
#include "base/memory.h" // counted memory

/* One copy on one device.  Known by where it came from. */
struct shared {
  struct shared *next;
  int device, users;
  const uint8_t *source; // host memory, as given
  int64_t n, sample;
  uint8_t *pixel, *label;
};

struct pbt_dataset {
  struct shared *shared;
  struct pbt_images images; // pixel and label: on the device
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct shared *all; // guarded by lock

static void give_up(struct shared *shared) {
  cudaFree(shared->pixel);
  cudaFree(shared->label);
  pbt_mem_free(shared);
}

static pbt_status upload(struct pbt_backend *backend, const struct pbt_images *images,
                         struct shared *shared) {
  size_t pixels = (size_t)(shared->n * shared->sample), labels = (size_t)shared->n;
  PBT_TRY(PBT_CUDA(cudaMalloc((void **)&shared->pixel, pixels)));
  PBT_TRY(PBT_CUDA(cudaMalloc((void **)&shared->label, labels)));
  PBT_TRY(pbt_cuda_write(backend, shared->pixel, images->pixel, pixels));
  PBT_TRY(pbt_cuda_write(backend, shared->label, images->label, labels));
  return pbt_cuda_finish(backend);
}

/* Called with the lock held. */
static pbt_status find_or_upload(struct pbt_backend *backend,
                                 const struct pbt_images *images, struct shared **found) {
  int device = cuda_of(backend)->device;
  int64_t sample = (int64_t)images->c * images->h * images->w;
  for (struct shared *s = all; s != NULL; s = s->next) {
    if (s->device == device && s->source == images->pixel && s->n == images->n &&
        s->sample == sample) {
      s->users++;
      *found = s;
      return PBT_OK;
    }
  }
  struct shared *made = NULL;
  PBT_TRY(PBT_NEW(1, &made));
  *made = (struct shared){.next = all,
                          .device = device,
                          .users = 1,
                          .source = images->pixel,
                          .n = images->n,
                          .sample = sample};
  pbt_status status = upload(backend, images, made);
  if (status != PBT_OK) {
    give_up(made);
    return pbt_context(status, "the data set does not fit on the device");
  }
  all = made;
  *found = made;
  return PBT_OK;
}

pbt_status pbt_cuda_data_open(struct pbt_backend *backend,
                              const struct pbt_images *images,
                              struct pbt_dataset **dataset) {
  *dataset = NULL;
  if (images->c < 1 || images->c > 4 || images->h < 1 || images->w < 1 || images->n < 1) {
    return pbt_fail(PBT_ERR_DATA, "images of %d x %d x %d: 1 to 4 channels are handled",
                    images->c, images->h, images->w);
  }
  struct pbt_dataset *made = NULL;
  PBT_TRY(PBT_NEW(1, &made));
  pthread_mutex_lock(&lock);
  pbt_status status = find_or_upload(backend, images, &made->shared);
  pthread_mutex_unlock(&lock);
  if (status != PBT_OK) {
    pbt_mem_free(made);
    return status;
  }
  made->images = *images;
  made->images.pixel = made->shared->pixel;
  made->images.label = made->shared->label;
  *dataset = made;
  return PBT_OK;
}

void pbt_cuda_data_close(struct pbt_backend *backend, struct pbt_dataset *dataset) {
  if (dataset == NULL) {
    return;
  }
  pbt_cuda_forget(cuda_of(backend));
  cudaStreamSynchronize(cuda_of(backend)->stream);
  pthread_mutex_lock(&lock);
  if (--dataset->shared->users == 0) {
    struct shared **link = &all;
    while (*link != dataset->shared) {
      link = &(*link)->next;
    }
    *link = dataset->shared->next;
    give_up(dataset->shared);
  }
  pthread_mutex_unlock(&lock);
  pbt_mem_free(dataset);
}

pbt_status pbt_cuda_gather(struct pbt_backend *backend, const struct pbt_batch *batch,
                           struct pbt_shape shape, float *x, int32_t *label) {
  struct cuda_backend *cuda = cuda_of(backend);
  const struct pbt_images *images = &batch->dataset->images;
  if (shape.c != images->c || shape.h != images->h || shape.w != images->w ||
      batch->count < 1 || batch->begin < 0 || batch->begin + batch->count > images->n) {
    return PBT_BUG("a batch that does not fit its data set");
  }
  struct kernel_batch call = {.pixel = images->pixel,
                              .label = images->label,
                              .batch = *batch,
                              .shape = pbt_cuda_shape(cuda, shape)};
  for (int i = 0; i < 4; i++) {
    call.scale[i] = images->scale[i];
    call.shift[i] = images->shift[i];
  }
  return PBT_CUDA(kernel_gather(&call, x, label, cuda->stream));
}
