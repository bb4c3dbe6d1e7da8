/* What the device is called: the same on all ranks, and this one alone. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend/cuda/cuda.h"

/* NVIDIA's multi-process service has its control pipe in this folder. */
static bool mps_runs(void) {
  const char *folder = getenv("CUDA_MPS_PIPE_DIRECTORY");
  char pipe[4096];
  snprintf(pipe, sizeof pipe, "%s/control", folder != NULL ? folder : "/tmp/nvidia-mps");
  return access(pipe, F_OK) == 0;
}

pbt_status pbt_cuda_describe(struct cuda_backend *cuda) {
  static const char *const precision[] = {"float32", "tf32", "bf16"};
  struct cudaDeviceProp properties;
  PBT_TRY(PBT_CUDA(cudaGetDeviceProperties(&properties, cuda->device)));
  size_t free_bytes = 0, all_bytes = 0;
  PBT_TRY(PBT_CUDA(cudaMemGetInfo(&free_bytes, &all_bytes)));
  snprintf(cuda->description, sizeof cuda->description, "cuda %.80s, %s%s",
           properties.name, precision[cuda->precision],
           cuda->any_engine ? ", any engine" : "");
  struct pbt_place *place = &cuda->place;
  const unsigned char *u = (const unsigned char *)properties.uuid.bytes;
  int at = snprintf(place->device, sizeof place->device, "GPU");
  for (int i = 0; i < 16; i++) {
    bool dash = i == 0 || i == 4 || i == 6 || i == 8 || i == 10;
    at += snprintf(place->device + at, sizeof place->device - (size_t)at, "%s%02x",
                   dash ? "-" : "", u[i]);
  }
  snprintf(place->text, sizeof place->text, "device %d, %.1f of %.1f GiB free",
           cuda->device, (double)free_bytes / (1 << 30), (double)all_bytes / (1 << 30));
  place->may_share = mps_runs();
  return PBT_OK;
}
