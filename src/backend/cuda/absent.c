/* absent.c - "cuda" where it is not built in: open() says so, nothing else is reached. */
#include "backend/cuda/table.h"

static pbt_status open_absent(const struct pbt_backend_options *options,
                              struct pbt_backend **backend) {
  (void)options;
  *backend = NULL;
  return pbt_fail(
      PBT_ERR_UNAVAILABLE,
      "backend cuda is not built in: use backend = \"cpu\", or build with CUDA");
}

static void close_absent(struct pbt_backend *backend) {
  (void)backend;
}

const struct pbt_backend_ops pbt_backend_cuda = {
    .name = "cuda",
    .deterministic = false,
    .open = open_absent,
    .close = close_absent,
};

const char pbt_backend_cuda_note[] = "not built in";
