/*
 * tensor_file.h - named tensors and facts in one small HDF5 file, built and read in
 * memory.
 *
 * The form of a member's checkpoint, of the population's checkpoint and of best.h5.  The
 * file is made as an image (core driver), so that the caller digests the very bytes it
 * writes, and a reader checks the digest before HDF5 sees them; the file ends in a line
 * with a digest of its own, for where no manifest has one.  Tensors are data sets at
 * the path of their name, canonical order, native little-endian; facts are attributes of
 * the root group.  Local.
 */
#ifndef PBT_RECORD_TENSOR_FILE_H
#define PBT_RECORD_TENSOR_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/tensor.h" // struct pbt_state

enum pbt_fact_kind { PBT_FACT_TEXT, PBT_FACT_INTEGER, PBT_FACT_REAL };
struct pbt_fact {
  const char *name;
  enum pbt_fact_kind kind;
  const char *text;
  int64_t integer;
  double real;
};

/* *bytes is counted memory; roles is a mask of enum pbt_role: which tensors to store. The
 * image is state->bytes long.  Adds the facts schema_version and state_signature. */
pbt_status pbt_tensor_file_build(const struct pbt_fact fact[], size_t n_fact,
                                 const struct pbt_state *state, unsigned roles,
                                 const void *image, char **bytes, size_t *n_bytes);

struct pbt_tensor_file;
/* `bytes` is borrowed until close.  `path` is for messages.  PBT_ERR_DATA if it is no
 * such file, of a newer schema, or not as its own digest says (looked at first; HDF5 does
 * not see such a file). */
pbt_status pbt_tensor_file_open(const char *path, const void *bytes, size_t n_bytes,
                                struct pbt_tensor_file **file);
void pbt_tensor_file_close(struct pbt_tensor_file *file); // NULL is fine

/* Fills the tensors of the given roles in `image`.  PBT_ERR_DATA naming the first tensor
 * that is missing or has another shape or type. */
pbt_status pbt_tensor_file_read(struct pbt_tensor_file *file,
                                const struct pbt_state *state, unsigned roles,
                                void *image);

/* PBT_ERR_DATA if the fact is missing or of another kind.  Text is counted memory. */
pbt_status pbt_tensor_file_text(struct pbt_tensor_file *file, const char *name,
                                char **text);
pbt_status pbt_tensor_file_integer(struct pbt_tensor_file *file, const char *name,
                                   int64_t *value);
pbt_status pbt_tensor_file_real(struct pbt_tensor_file *file, const char *name,
                                double *value);

#endif
