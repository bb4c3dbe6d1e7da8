/*
 * vector.h - one register of lanes, per instruction set.
 *
 * V lanes of float (vf) or int32 (vi), a mask (vm), and the few operations that the
 * vector extensions cannot express: fused multiply-add, and choosing by a mask.
 * Everything else is plain operators.  A block's 16 lanes are GROUPS registers, taken one
 * at a time, which keeps the tiles of a narrow machine inside its 16 registers.
 */
#ifndef PBT_BACKEND_CPU_ISA_VECTOR_H
#define PBT_BACKEND_CPU_ISA_VECTOR_H

#include <stdint.h>
#include <string.h>

#include "backend/cpu/kernels.h"

#if defined PBT_ISA_avx512 || defined PBT_ISA_avx2
#include <immintrin.h>
#elif defined __aarch64__
#include <arm_neon.h>
#endif

#if defined PBT_ISA_avx512
#define V 16
#define WIDE 1 // 32 registers
#elif defined PBT_ISA_avx2
#define V 8
#define WIDE 0
#else
#define V 4
#define WIDE 0
#endif

enum { GROUPS = CPU_LANES / V };

/* pbt_cpu_conv_forward -> pbt_cpu_conv_forward_avx2 */
#define PBT_JOIN_(a, b) a##_##b
#define PBT_JOIN(a, b) PBT_JOIN_(a, b)
#define KERNEL(name) PBT_JOIN(pbt_cpu_##name, PBT_ISA)

#define ALWAYS static inline __attribute__((always_inline))
#if defined PBT_KEEP_LOOPS
#define UNROLL
#elif defined __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 64")
#endif

/* Where a pointer comes from is hidden from the optimiser: what was loaded through it
 * before is loaded again rather than kept in a register, and address sums stay sums. */
#define HIDE(pointer) __asm__("" : "+r"(pointer))

typedef float vf __attribute__((vector_size(4 * V)));
typedef int32_t vi __attribute__((vector_size(4 * V)));
typedef float vf_memory __attribute__((vector_size(4 * V), may_alias));
typedef float vf_loose __attribute__((vector_size(4 * V), may_alias, aligned(4)));
typedef int32_t vi_loose __attribute__((vector_size(4 * V), may_alias, aligned(4)));
typedef int8_t vb __attribute__((vector_size(V)));

ALWAYS vf load(const float *p) { // aligned to a register
  return *(const vf_memory *)p;
}
ALWAYS void store(float *p, vf v) {
  *(vf_memory *)p = v;
}
ALWAYS vf load_loose(const float *p) { // any float
  return *(const vf_loose *)p;
}
ALWAYS void store_loose(float *p, vf v) {
  *(vf_loose *)p = v;
}

/* Asks for lines before they are needed: to read soon, to read after a while, to write.
 */
ALWAYS void fetch_soon(const float *p) {
  __builtin_prefetch(p, 0, 3);
}
ALWAYS void fetch_later(const float *p) {
  __builtin_prefetch(p, 0, 2);
}
ALWAYS void fetch_to_write(const float *p) {
  __builtin_prefetch(p, 1, 3);
}

#if V == 16
#define EACH(a) a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a
#elif V == 8
#define EACH(a) a, a, a, a, a, a, a, a
#else
#define EACH(a) a, a, a, a
#endif

ALWAYS vf splat(float a) {
  return (vf){EACH(a)};
}
ALWAYS vi splat_int(int32_t a) {
  return (vi){EACH(a)};
}

#if defined PBT_ISA_avx512
typedef __mmask16 vm;
ALWAYS vf fma_(vf a, vf b, vf c) {
  return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
ALWAYS vm less_equal(vf a, vf b) { // false with a NaN
  return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LE_OQ);
}
ALWAYS vm equal(vi a, vi b) {
  return _mm512_cmpeq_epi32_mask((__m512i)a, (__m512i)b);
}
ALWAYS vm below(vi a, vi b) {
  return _mm512_cmplt_epi32_mask((__m512i)a, (__m512i)b);
}
ALWAYS vm differ(vi a, vi b) {
  return _mm512_cmpneq_epi32_mask((__m512i)a, (__m512i)b);
}
ALWAYS vf choose(vm mask, vf yes, vf no) {
  return (vf)_mm512_mask_blend_ps(mask, (__m512)no, (__m512)yes);
}
ALWAYS vf keep(vm mask, vf yes) { // else 0
  return (vf)_mm512_maskz_mov_ps(mask, (__m512)yes);
}
ALWAYS vi choose_int(vm mask, vi yes, vi no) {
  return (vi)_mm512_mask_blend_epi32(mask, (__m512i)no, (__m512i)yes);
}
ALWAYS void store_bytes(uint8_t *p, vi v) {
  _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8((__m512i)v));
}
ALWAYS vi load_bytes(const uint8_t *p) {
  return (vi)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
}
#else
typedef vi vm;
ALWAYS vm less_equal(vf a, vf b) {
  return a <= b;
}
ALWAYS vm equal(vi a, vi b) {
  return a == b;
}
ALWAYS vm below(vi a, vi b) {
  return a < b;
}
ALWAYS vm differ(vi a, vi b) {
  return a != b;
}
ALWAYS vf keep(vm mask, vf yes) {
  return (vf)(mask & (vi)yes);
}
#if defined PBT_ISA_avx2
ALWAYS vf fma_(vf a, vf b, vf c) {
  return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
ALWAYS vf choose(vm mask, vf yes, vf no) {
  return (vf)_mm256_blendv_ps((__m256)no, (__m256)yes, (__m256)mask);
}
ALWAYS vi choose_int(vm mask, vi yes, vi no) {
  return (vi)_mm256_blendv_epi8((__m256i)no, (__m256i)yes, (__m256i)mask);
}
#else
ALWAYS vf fma_(vf a, vf b, vf c) {
#if defined __aarch64__
  return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#elif defined __FP_FAST_FMAF
  for (int i = 0; i < V; i++) {
    c[i] = __builtin_fmaf(a[i], b[i], c[i]);
  }
  return c;
#else
  return a * b + c;
#endif
}
ALWAYS vf choose(vm mask, vf yes, vf no) {
  return (vf)((mask & (vi)yes) | (~mask & (vi)no));
}
ALWAYS vi choose_int(vm mask, vi yes, vi no) {
  return (mask & yes) | (~mask & no);
}
#endif
ALWAYS void store_bytes(uint8_t *p, vi v) {
  vb bytes = __builtin_convertvector(v, vb);
  memcpy(p, &bytes, sizeof bytes);
}
ALWAYS vi load_bytes(const uint8_t *p) {
  typedef uint8_t vu __attribute__((vector_size(V)));
  vu bytes;
  memcpy(&bytes, p, sizeof bytes);
  return __builtin_convertvector(bytes, vi);
}
#endif

/* Lanes below n of the group that begins at lane `first`. */
ALWAYS vm lanes_below(int32_t n, int32_t first) {
#if V == 16
  const vi lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif V == 8
  const vi lane = {0, 1, 2, 3, 4, 5, 6, 7};
#else
  const vi lane = {0, 1, 2, 3};
#endif
  return below(lane, splat_int(n - first));
}

#if V == 16
#define LOW_HALVES 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH_HALVES 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif V == 8
#define LOW_HALVES 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH_HALVES 4, 12, 5, 13, 6, 14, 7, 15
#else
#define LOW_HALVES 0, 4, 1, 5
#define HIGH_HALVES 2, 6, 3, 7
#endif

/* V x V: interleaving rows i and i + V / 2, log2 V times. */
ALWAYS void transpose(vf row[V]) {
  UNROLL for (int stage = 1; stage < V; stage *= 2) {
    vf next[V];
    UNROLL for (int i = 0; i < V / 2; i++) {
      next[2 * i] = __builtin_shufflevector(row[i], row[i + V / 2], LOW_HALVES);
      next[2 * i + 1] = __builtin_shufflevector(row[i], row[i + V / 2], HIGH_HALVES);
    }
    UNROLL for (int i = 0; i < V; i++) {
      row[i] = next[i];
    }
  }
}

/* to[t] = the sum of the 16 lanes of lane[t], by halves (i and i + 8, then 4, 2, 1): the
 * same bits whatever V is.  n is at most a multiple of V below the rows of `lane`. */
static inline void sum_lanes(const float *lane, int32_t n, float *to) {
  for (int32_t t = 0; t < n; t += V) {
    vf v[V];
    UNROLL for (int i = 0; i < V; i++) {
      const float *from = lane + (t + i) * CPU_LANES;
#if V == 16
      v[i] = load(from);
#elif V == 8
      v[i] = load(from) + load(from + 8);
#else
      v[i] = (load(from) + load(from + 8)) + (load(from + 4) + load(from + 12));
#endif
    }
    transpose(v);
    UNROLL for (int half = V / 2; half >= 1; half /= 2) {
      UNROLL for (int i = 0; i < half; i++) {
        v[i] += v[i + half];
      }
    }
    if (t + V <= n) {
      store_loose(to + t, v[0]);
    } else {
      memcpy(to + t, &v[0], (size_t)(n - t) * sizeof *to);
    }
  }
}

/* One sum. */
static inline float sum_of_lanes(const float lane[CPU_LANES]) {
  float s[8];
  for (int i = 0; i < 8; i++) {
    s[i] = lane[i] + lane[i + 8];
  }
  for (int i = 0; i < 4; i++) {
    s[i] += s[i + 4];
  }
  return (s[0] + s[2]) + (s[1] + s[3]);
}

#endif
