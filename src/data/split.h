/* split.h - which samples of a set are held out.  Local, pure. */
#ifndef PBT_DATA_SPLIT_H
#define PBT_DATA_SPLIT_H

#include <stdint.h>

#include "base/status.h"

/* How many of n: round(share * n). */
int64_t pbt_split_count(double share, int64_t n);

/* slot[i]: the place of sample i when those that are kept are stored first, then those
 * that are held out, each part in the order of the source.  Of each class the same share
 * is held out, drawn by (seed, class); the parts add up to pbt_split_count().
 * PBT_ERR_DATA if a class has no sample on either side. */
pbt_status pbt_split(const uint8_t *label, int64_t n, int32_t n_class, double share,
                     uint64_t seed, int64_t slot[]);

#endif
