/*
 * present.c - "cuda" where it was built: a module beside the program, loaded when a job
 * asks for it, so that the program itself starts anywhere and starts small.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/cuda/module.h"
#include "backend/cuda/table.h"

enum { PATH_BYTES = 4096 };

/* The folder of the program, "" if unknown. */
static void program_folder(char folder[PATH_BYTES]) {
  ssize_t n = readlink("/proc/self/exe", folder, PATH_BYTES - 1);
  folder[n > 0 ? n : 0] = '\0';
  char *slash = strrchr(folder, '/');
  if (slash != NULL) {
    *slash = '\0';
  }
}

static pbt_status find_module(char path[2 * PATH_BYTES]) {
  const char *named = getenv("PBT_CUDA_MODULE");
  if (named != NULL && *named != '\0') {
    snprintf(path, 2 * PATH_BYTES, "%s", named);
    return PBT_OK;
  }
  static const char *const place[] = {"", "/../lib/pbt_mpi"};
  char folder[PATH_BYTES];
  program_folder(folder);
  for (size_t i = 0; i < sizeof place / sizeof *place; i++) {
    snprintf(path, 2 * PATH_BYTES, "%s%s/pbt_cuda.so", folder, place[i]);
    if (access(path, R_OK) == 0) {
      return PBT_OK;
    }
  }
  return pbt_fail(PBT_ERR_UNAVAILABLE,
                  "backend cuda: pbt_cuda.so is neither in %s nor in %s/../lib/pbt_mpi; "
                  "set PBT_CUDA_MODULE to its path, or use backend = \"cpu\"",
                  folder, folder);
}

/* CUDA's libraries take a hundred megabytes of each process before they say that there is
 * no driver; asking for the driver first takes none. */
static pbt_status find_driver(void) {
  if (getenv("PBT_CUDA_MODULE") == NULL && dlopen("libcuda.so.1", RTLD_LAZY) == NULL) {
    return pbt_fail(PBT_ERR_UNAVAILABLE,
                    "backend cuda: no NVIDIA driver on this machine (%s); use backend = "
                    "\"cpu\"",
                    dlerror());
  }
  return PBT_OK;
}

static pbt_status load(const struct pbt_backend_ops **ops) {
  char path[2 * PATH_BYTES];
  PBT_TRY(find_driver());
  PBT_TRY(find_module(path));
  /* Stays loaded until the process ends: CUDA's libraries do not unload cleanly. */
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL) {
    return pbt_fail(PBT_ERR_UNAVAILABLE,
                    "backend cuda does not load: %s; use backend = \"cpu\"", dlerror());
  }
  const struct pbt_backend_ops *(*module)(int version) = NULL;
  *(void **)&module = dlsym(handle, "pbt_cuda_module");
  *ops = module != NULL ? module(PBT_CUDA_MODULE_VERSION) : NULL;
  if (*ops == NULL) {
    return pbt_fail(PBT_ERR_UNAVAILABLE, "%s belongs to another version of pbt_mpi",
                    path);
  }
  return PBT_OK;
}

static pbt_status open_present(const struct pbt_backend_options *options,
                               struct pbt_backend **backend) {
  *backend = NULL;
  const struct pbt_backend_ops *ops = NULL;
  PBT_TRY(load(&ops));
  return ops->open(options, backend);
}

static void close_present(struct pbt_backend *backend) {
  if (backend != NULL) {
    backend->ops->close(backend);
  }
}

const struct pbt_backend_ops pbt_backend_cuda = {
    .name = "cuda",
    .deterministic = true,
    .open = open_present,
    .close = close_present,
};

const char pbt_backend_cuda_note[] = "compiled, not yet run on a device";
