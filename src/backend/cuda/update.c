/* The loss and the optimisers. */
#include "backend/cuda/cuda.h"

pbt_status pbt_cuda_loss(struct pbt_backend *backend, const struct pbt_loss_io *io) {
  if (io->n_class < 1 || io->n_class > PBT_MAX_CLASSES) {
    return pbt_fail(PBT_ERR_DATA, "%d classes: the loss takes 1 to %d", io->n_class,
                    PBT_MAX_CLASSES);
  }
  return PBT_CUDA(kernel_loss(io, cuda_of(backend)->stream));
}

pbt_status pbt_cuda_update(struct pbt_backend *backend, const struct pbt_update_io *io) {
  struct cuda_backend *cuda = cuda_of(backend);
  if ((unsigned)io->kind >= PBT_OPTIMIZERS) {
    return PBT_BUG("an optimiser that the CUDA backend does not have");
  }
  return PBT_CUDA(kernel_update(io, cuda->update_state, &cuda->sums, cuda->stream));
}
