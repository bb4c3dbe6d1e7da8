/*
 * tensorboard.h - event files that TensorBoard reads, written by hand.
 *
 * An event file is a row of records (length, its checksum, bytes, their checksum; the
 * checksums are CRC32C, rotated and offset), each the protocol buffer Event: wall time,
 * step and a list of (tag, number).  Local; PBT_ERR_IO.
 */
#ifndef PBT_TOOLS_TENSORBOARD_H
#define PBT_TOOLS_TENSORBOARD_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

/* CRC32C (Castagnoli) of bytes: 0xe3069283 for "123456789". */
uint32_t tensorboard_crc32c(const void *data, size_t bytes);

struct tensorboard_scalar {
  const char *tag;
  float value;
};

/* Adds to `file`, the bytes of an event file: its first record ... */
void tensorboard_begin(struct pbt_text *file, double wall_time);
/* ... and one event. */
void tensorboard_add(struct pbt_text *file, double wall_time, int64_t step,
                     const struct tensorboard_scalar scalar[], size_t n);

#endif
