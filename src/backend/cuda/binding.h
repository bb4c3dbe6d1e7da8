/* binding.h - the device of a rank: its number among the ranks of its node, modulo the
 * devices that are visible there. */
#ifndef PBT_BACKEND_CUDA_BINDING_H
#define PBT_BACKEND_CUDA_BINDING_H

#include <stdint.h>

#include "base/status.h"

pbt_status pbt_cuda_bind(int32_t node_rank, int visible, int *device);

#endif
