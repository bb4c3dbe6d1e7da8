/*
 * tensor.h - a member's state as a frozen list of named tensors.
 *
 * Transfer, checkpoint, signature and files are loops over this one list.  A list also
 * has an *image*: all tensors back to back in canonical order (convolutions OIHW, dense
 * weights output by input with inputs in c,y,x order), each starting at its `offset`.
 * Roles come in the order weight, optimiser, buffer, local; so what exploit copies is one
 * contiguous head of the image, and a copy is one message.
 */
#ifndef PBT_BASE_TENSOR_H
#define PBT_BASE_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Who else may overwrite a tensor.  A checkpoint saves every role. */
enum pbt_role {
  PBT_ROLE_WEIGHT = 1 << 0,    // exploit copies it: parameters
  PBT_ROLE_OPTIMIZER = 1 << 1, // exploit copies it: moments, Adam's step count
  PBT_ROLE_BUFFER = 1 << 2,    // exploit copies it: batch-norm running statistics
  PBT_ROLE_LOCAL = 1 << 3      // exploit leaves it: the member's own step count
};

enum pbt_dtype { PBT_F32, PBT_F64, PBT_I64, PBT_U64, PBT_U8 };

enum { PBT_MAX_DIM = 5, PBT_TENSOR_NAME = 64 };

struct pbt_tensor {
  char name[PBT_TENSOR_NAME]; // unique, also the HDF5 path: "conv1/weight"
  enum pbt_role role;
  enum pbt_dtype dtype;
  int32_t ndim;             // 0 for a scalar
  int64_t dim[PBT_MAX_DIM]; // slowest first; 0 past ndim
  size_t offset;            // bytes into the image; set by pbt_state_layout
};

/* A list and its image's measures.  `tensor` is borrowed or owned as the holder says. */
struct pbt_state {
  const struct pbt_tensor *tensor;
  size_t n;
  size_t bytes;        // of the whole image
  size_t travel_bytes; // of its head: weight, optimiser and buffer tensors
  size_t weight_bytes; // of the weights alone, the very head
  uint64_t signature;  // names, roles, types and shapes; not the bytes
};

size_t pbt_dtype_bytes(enum pbt_dtype dtype);
int64_t pbt_tensor_count(const struct pbt_tensor *tensor); // items, 1 for a scalar
size_t pbt_tensor_bytes(const struct pbt_tensor *tensor);

/* Sets every offset (each tensor starts at a multiple of 64) and fills *state, which
 * borrows `tensor`.  PBT_ERR_INTERNAL if roles are out of order or a name comes twice. */
pbt_status pbt_state_layout(struct pbt_tensor tensor[], size_t n,
                            struct pbt_state *state);

/* NULL if no tensor has that name. */
const struct pbt_tensor *pbt_state_find(const struct pbt_state *state, const char *name);

#endif
