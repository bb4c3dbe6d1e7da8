/* isa.h - the functions of one instruction set, by their mangled names. */
#ifndef PBT_BACKEND_CPU_ISA_ISA_H
#define PBT_BACKEND_CPU_ISA_ISA_H

#include "backend/cpu/isa/vector.h"

enum { DENSE_TILE = WIDE ? 6 : 3 };

cpu_range KERNEL(conv_forward), KERNEL(conv_mask_bias), KERNEL(conv_dx),
    KERNEL(conv_unpool), KERNEL(conv_dweight);
cpu_range KERNEL(conv_forward_plain), KERNEL(conv_dx_plain), KERNEL(conv_dweight_plain);
int32_t KERNEL(conv_dweight_units)(const struct cpu_conv *conv);
int64_t KERNEL(conv_dweight_floats)(const struct cpu_conv *conv);
cpu_range KERNEL(dense_forward), KERNEL(dense_mask_bias), KERNEL(dense_dx),
    KERNEL(dense_transpose), KERNEL(dense_dweight);
cpu_range KERNEL(norm_forward), KERNEL(norm_backward);
cpu_range KERNEL(pool_forward), KERNEL(pool_backward), KERNEL(dropout);
cpu_range KERNEL(gather), KERNEL(update), KERNEL(update_squares);
void KERNEL(loss)(const struct pbt_loss_io *io);
int64_t KERNEL(gather_scratch)(const struct pbt_images *images);
void KERNEL(exp)(int32_t n, float *x);
/* One channel of an image, h x w, as backend/augment.h says; `padded` is scratch of
 * augment_border() bytes. */
struct pbt_augment;
int64_t KERNEL(augment_border)(int32_t h, int32_t w);
void KERNEL(augment)(const struct pbt_augment *it, const uint8_t *plane, int32_t h,
                     int32_t w, int32_t mean, uint8_t *padded, uint8_t *to);
/* One block's gradient before the pool into g (its origin at the block's start). */
void KERNEL(unpool_block)(const struct cpu_conv_call *call, int32_t block, float *g);

/* Rows first .. end - 1 of dx of one block at stride 2; g and dx at the block's start. */
void KERNEL(dx_rows_strided)(const struct cpu_conv_call *call, const float *g, float *dx,
                             int32_t first, int32_t end);

#endif
