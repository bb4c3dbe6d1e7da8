#include "base/tensor.h"

#include "base/digest.h" // pbt_digest_more

#include <string.h>

enum { ALIGNMENT = 64 };

size_t pbt_dtype_bytes(enum pbt_dtype dtype) {
  static const size_t bytes[] = {
      [PBT_F32] = 4, [PBT_F64] = 8, [PBT_I64] = 8, [PBT_U64] = 8, [PBT_U8] = 1};
  return bytes[dtype];
}

int64_t pbt_tensor_count(const struct pbt_tensor *tensor) {
  int64_t count = 1;
  for (int i = 0; i < tensor->ndim; i++) {
    count *= tensor->dim[i];
  }
  return count;
}

size_t pbt_tensor_bytes(const struct pbt_tensor *tensor) {
  return (size_t)pbt_tensor_count(tensor) * pbt_dtype_bytes(tensor->dtype);
}

static size_t aligned(size_t bytes) {
  return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static uint64_t signature_of(const struct pbt_tensor tensor[], size_t n) {
  uint64_t signature = n;
  for (size_t i = 0; i < n; i++) {
    int64_t shape[3 + PBT_MAX_DIM] = {tensor[i].role, tensor[i].dtype, tensor[i].ndim};
    memcpy(shape + 3, tensor[i].dim, sizeof tensor[i].dim);
    signature = pbt_digest_more(signature, tensor[i].name, strlen(tensor[i].name));
    signature = pbt_digest_more(signature, shape, sizeof shape);
  }
  return signature;
}

pbt_status pbt_state_layout(struct pbt_tensor tensor[], size_t n,
                            struct pbt_state *state) {
  *state = (struct pbt_state){.tensor = tensor, .n = n};
  for (size_t i = 0; i < n; i++) {
    if (i > 0 && tensor[i].role < tensor[i - 1].role) {
      return PBT_BUG("state tensors are not in the order of their roles");
    }
    for (size_t j = 0; j < i; j++) {
      if (strcmp(tensor[i].name, tensor[j].name) == 0) {
        return PBT_BUG("two state tensors share a name");
      }
    }
    tensor[i].offset = state->bytes;
    state->bytes += aligned(pbt_tensor_bytes(&tensor[i]));
    if (tensor[i].role == PBT_ROLE_WEIGHT) {
      state->weight_bytes = state->bytes;
    }
    if (tensor[i].role != PBT_ROLE_LOCAL) {
      state->travel_bytes = state->bytes;
    }
  }
  state->signature = signature_of(tensor, n);
  return PBT_OK;
}

const struct pbt_tensor *pbt_state_find(const struct pbt_state *state, const char *name) {
  for (size_t i = 0; i < state->n; i++) {
    if (strcmp(state->tensor[i].name, name) == 0) {
      return &state->tensor[i];
    }
  }
  return NULL;
}
