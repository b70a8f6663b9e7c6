// Sixteen fp32 lanes in the compiler's portable vectors. The file of each instruction set includes this header with its
// own target features enabled, so one source gives every machine the same operations in the same order.
#pragma once
#include <math.h>
#include <string.h>

#include "ck_constants.h"
#include "ck_integer.h"
#include "ck_kernels.h"

#pragma clang diagnostic ignored "-Wpsabi"
#pragma STDC FP_CONTRACT OFF

typedef float v16f __attribute__((vector_size(64)));
typedef int32_t v16i __attribute__((vector_size(64)));
typedef uint32_t v16u __attribute__((vector_size(64)));
typedef double v8d __attribute__((vector_size(64)));
typedef int64_t v8l __attribute__((vector_size(64)));
typedef uint64_t v8ul __attribute__((vector_size(64)));
typedef float v8f __attribute__((vector_size(32)));
typedef uint16_t v32s __attribute__((vector_size(64)));

#define CK_INLINE static inline __attribute__((always_inline))

CK_INLINE v16f splat(float x) { return (v16f){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }
CK_INLINE v16f load16(const float *p) {
  v16f v;
  memcpy(&v, p, 64);
  return v;
}
CK_INLINE void store16(float *p, v16f v) { memcpy(p, &v, 64); }
CK_INLINE v16f load_part(const float *p, int64_t n) {
  v16f v = splat(0);
  memcpy(&v, p, (size_t)n * 4);
  return v;
}
CK_INLINE void store_part(float *p, v16f v, int64_t n) { memcpy(p, &v, (size_t)n * 4); }
CK_INLINE v16f fma16(v16f a, v16f b, v16f c) { return __builtin_elementwise_fma(a, b, c); }
CK_INLINE v16f pick(v16i mask, v16f a, v16f b) {
  return (v16f)((mask & (v16i)a) | (~mask & (v16i)b));
}
CK_INLINE v16f max16(v16f a, v16f b) { return pick(a > b, a, b); }
CK_INLINE v16f min16(v16f a, v16f b) { return pick(a < b, a, b); }
CK_INLINE v16f abs16(v16f a) { return (v16f)((v16i)a & 0x7fffffff); }
CK_INLINE v16i iota16(void) { return (v16i){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}; }
CK_INLINE v16i isplat(int32_t x) { return (v16i){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }
CK_INLINE v16u usplat(uint32_t x) { return (v16u)isplat((int32_t)x); }

// Between these two calls subnormal operands and results count as zero, as in the bfloat16 dot product.
#if defined(__x86_64__)
typedef uint32_t ck_float_mode;
CK_INLINE ck_float_mode ck_flush_subnormals(void) {
  ck_float_mode mode = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(mode | 0x8040);
  return mode;
}
CK_INLINE void ck_restore_float_mode(ck_float_mode mode) { __builtin_ia32_ldmxcsr(mode); }
#elif defined(__aarch64__)
typedef uint64_t ck_float_mode;
CK_INLINE ck_float_mode ck_flush_subnormals(void) {
  ck_float_mode mode;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
  __asm__ volatile("msr fpcr, %0" : : "r"(mode | (UINT64_C(1) << 24)) : "memory");
  return mode;
}
CK_INLINE void ck_restore_float_mode(ck_float_mode mode) {
  __asm__ volatile("msr fpcr, %0" : : "r"(mode) : "memory");
}
#else
typedef int ck_float_mode;
CK_INLINE ck_float_mode ck_flush_subnormals(void) { return 0; }
CK_INLINE void ck_restore_float_mode(ck_float_mode mode) { (void)mode; }
#endif

CK_INLINE float fold_sum(v16f v) {
  float l[16];
  memcpy(l, &v, 64);
  for (int width = 8; width > 0; width /= 2)
    for (int j = 0; j < width; ++j) l[j] = l[j] + l[j + width];
  return l[0];
}
CK_INLINE float fold_max(v16f v) {
  float l[16], m;
  memcpy(l, &v, 64);
  m = l[0];
  for (int j = 1; j < 16; ++j) m = l[j] > m ? l[j] : m;
  return m;
}

CK_INLINE v16f exp16(v16f x) {
  v16f c = pick(x > splat(CK_EXP_MAX), splat(CK_EXP_MAX), x);
  v16f n = __builtin_elementwise_rint(c * splat(CK_LOG2E));
  v16f r = fma16(n, splat(-CK_LN2_HIGH), c);
  r = fma16(n, splat(-CK_LN2_LOW), r);
  v16f p = splat(CK_EXP_P4);
  p = fma16(p, r, splat(CK_EXP_P3));
  p = fma16(p, r, splat(CK_EXP_P2));
  p = fma16(p, r, splat(CK_EXP_P1));
  p = fma16(p, r, splat(CK_EXP_P0));
  p = fma16(p, r * r, r) + splat(1.0f);
  v16i small = x < splat(CK_EXP_MIN);
  n = pick(small | (n != n), splat(0), n);
  v16f power = (v16f)((__builtin_convertvector(n, v16i) + 127) << 23);
  return pick(small, splat(0), pick(x != x, x, p * power));
}

CK_INLINE v16f erf16(v16f x) {
  v16f t = abs16(x), s = x * x, p = splat(CK_ERF_S6);
  p = fma16(p, s, splat(CK_ERF_S5));
  p = fma16(p, s, splat(CK_ERF_S4));
  p = fma16(p, s, splat(CK_ERF_S3));
  p = fma16(p, s, splat(CK_ERF_S2));
  p = fma16(p, s, splat(CK_ERF_S1));
  p = fma16(p, s, splat(CK_ERF_S0));
  v16f u = pick(t > splat(4.0f), splat(4.0f), t), g = splat(CK_ERF_L7);
  g = fma16(g, u, splat(CK_ERF_L6));
  g = fma16(g, u, splat(CK_ERF_L5));
  g = fma16(g, u, splat(CK_ERF_L4));
  g = fma16(g, u, splat(CK_ERF_L3));
  g = fma16(g, u, splat(CK_ERF_L2));
  g = fma16(g, u, splat(CK_ERF_L1));
  g = fma16(g, u, splat(CK_ERF_L0));
  v16f large = splat(1.0f) - exp16(-(u * g));
  large = (v16f)((v16i)large | ((v16i)x & (v16i)splat(-0.0f)));
  return pick(x != x, x, pick(t <= splat(1.0f), p * x, large));
}

CK_INLINE v16f gelu16(v16f x) {
  return (splat(0.5f) * x) * (splat(1.0f) + erf16(x * splat(CK_SQRT_HALF)));
}
