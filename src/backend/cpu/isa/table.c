/* The table of one instruction set. */
#include "backend/cpu/isa/isa.h"

#define PBT_TEXT_(a) #a
#define PBT_TEXT(a) PBT_TEXT_(a)

const struct cpu_kernels KERNEL(kernels) = {
    .name = PBT_TEXT(PBT_ISA),
    .conv_forward = KERNEL(conv_forward),
    .conv_mask_bias = KERNEL(conv_mask_bias),
    .conv_dx = KERNEL(conv_dx),
    .conv_unpool = KERNEL(conv_unpool),
    .conv_dweight = KERNEL(conv_dweight),
    .conv_dweight_units = KERNEL(conv_dweight_units),
    .conv_dweight_floats = KERNEL(conv_dweight_floats),
    .dense_tile = DENSE_TILE,
    .dense_forward = KERNEL(dense_forward),
    .dense_mask_bias = KERNEL(dense_mask_bias),
    .dense_dx = KERNEL(dense_dx),
    .dense_transpose = KERNEL(dense_transpose),
    .dense_dweight = KERNEL(dense_dweight),
    .norm_forward = KERNEL(norm_forward),
    .norm_backward = KERNEL(norm_backward),
    .pool_forward = KERNEL(pool_forward),
    .pool_backward = KERNEL(pool_backward),
    .dropout = KERNEL(dropout),
    .gather = KERNEL(gather),
    .gather_scratch = KERNEL(gather_scratch),
    .loss = KERNEL(loss),
    .update = KERNEL(update),
    .update_squares = KERNEL(update_squares),
    .exp = KERNEL(exp),
};
