#include "backend/cuda/binding.h"

pbt_status pbt_cuda_bind(int32_t node_rank, int visible, int *device) {
  if (visible < 1) {
    return pbt_fail(
        PBT_ERR_UNAVAILABLE,
        "no CUDA device is visible: use backend = \"cpu\", or check nvidia-smi "
        "and CUDA_VISIBLE_DEVICES");
  }
  *device = (node_rank < 0 ? 0 : node_rank) % visible;
  return PBT_OK;
}
