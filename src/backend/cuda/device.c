/* What the device is called: the same on all ranks, and this one alone. */
#include <stdio.h>

#include "backend/cuda/cuda.h"

pbt_status pbt_cuda_describe(struct cuda_backend *cuda) {
  static const char *const precision[] = {"float32", "tf32", "bf16"};
  struct cudaDeviceProp properties;
  PBT_TRY(PBT_CUDA(cudaGetDeviceProperties(&properties, cuda->device)));
  size_t free_bytes = 0, all_bytes = 0;
  PBT_TRY(PBT_CUDA(cudaMemGetInfo(&free_bytes, &all_bytes)));
  snprintf(cuda->description, sizeof cuda->description, "cuda %.80s, %s%s",
           properties.name, precision[cuda->precision],
           cuda->any_engine ? ", any engine" : "");
  char uuid[40];
  const unsigned char *u = (const unsigned char *)properties.uuid.bytes;
  for (int i = 0, at = 0; i < 16; i++) {
    bool dash = i == 4 || i == 6 || i == 8 || i == 10;
    at += snprintf(uuid + at, sizeof uuid - (size_t)at, "%s%02x", dash ? "-" : "", u[i]);
  }
  snprintf(cuda->place, sizeof cuda->place, "device %d, GPU-%s, %.1f of %.1f GiB free",
           cuda->device, uuid, (double)free_bytes / (1 << 30),
           (double)all_bytes / (1 << 30));
  return PBT_OK;
}
