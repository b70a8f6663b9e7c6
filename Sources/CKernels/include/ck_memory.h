// Passes over whole tensors, bound by memory: the optimizer, packing, sums of gradients.
//
// Contract as in ck_kernels.h: the same bits on every instruction set. Every element (or block, or panel) depends on
// its own numbers only, so every division of a tensor over threads or ranks also gives the same bits.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ck_pages.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ck_packed ck_packed;

// The factors of one AdamW step on one tensor, each rounded from fp64 to fp32. Per element, with fused multiply-adds:
//   g = clip_scale·gradient, m = fma(beta1, m, rest1·g), v = fma(beta2, v, rest2·(g·g)),
//   w = fma(-step_size, m / fma(sqrt(v), root_correction, epsilon), keep·w)
typedef struct {
  float clip_scale;
  float beta1, rest1;     // rest1 = 1 - beta1
  float beta2, rest2;     // rest2 = 1 - beta2
  float keep;             // 1 - learning rate · weight decay, or 1
  float step_size;        // learning rate / (1 - beta1^step)
  float root_correction;  // 1 / sqrt(1 - beta2^step)
  float epsilon;
} ck_adamw;

// Moments in 8 bits. Blocks of CK_MOMENT_BLOCK elements share one fp32 scale per moment: the maximum magnitude of the
// block divided by the maximum code value. A code is a small floating-point number relative to the scale:
//   first moment:          sign, 4 bits of exponent, 3 of mantissa: ±(1 + f/8)·2^(e - 15), maximum 1.875
//   root of the second:    4 bits of exponent, 4 of mantissa:        (1 + f/16)·2^(e - 15), maximum 1.9375
// A code without exponent and mantissa is 0. Magnitudes below the minimum code become 0 in the first moment and the
// minimum code in the root, so that no step divides by a root that was rounded to 0.
// Rounding is stochastic: a hash of (key, element) is added to the discarded bits. A second moment moves by 0.1 % per
// step, which rounding to nearest would always undo. A block whose maximum magnitude is below 1e-30 becomes zeros.
// Sources: Dettmers et al., "8-bit optimizers via block-wise quantization" (2022), for blocks and dynamic exponents.
enum { CK_MOMENT_BLOCK = 256 };
#define CK_MOMENT_FLOOR 1e-30f

typedef struct {
  uint8_t *codes;  // one per element
  float *scales;   // one per block
} ck_moment;

typedef struct {
  // One AdamW step on `count` elements, moments in fp32.
  void (*adamw)(int64_t count, const ck_adamw *step, float *w, const float *gradient, float *m, float *v);
  // The same with moments in 8 bits. `first` is the index of the first element in its tensor, a multiple of the block;
  // `key` differs between tensors and between steps.
  void (*adamw_8)(int64_t count, const ck_adamw *step, uint32_t key, int64_t first, float *w, const float *gradient,
                  const ck_moment *m, const ck_moment *root);
  // Packs panels first…first+panels-1 of one matrix from masters w [rows, columns] (see ck_packed).
  void (*pack)(const ck_packed *p, int64_t matrix, int64_t first_panel, int64_t panels, const float *w);
  // sum[i] += round(x[i] · 2^50). Returns the index of the first element that is not below 2^11 or whose sum would
  // exceed ±bound (the elements before it are added), or -1.
  int64_t (*fixed_add)(int64_t count, int64_t bound, const float *x, int64_t *sum);
  void (*fixed_read)(int64_t count, const int64_t *sum, float *x);
  // Index of the first element that is not finite, or -1.
  int64_t (*first_nonfinite)(int64_t count, const float *x);
  // Normal deviates times `deviation`, from blocks first, first + 1, … of Philox4x32-10: words 0 and 1 of a block give
  // one deviate, words 2 and 3 the next, each pair through ck_reference_normal. `key` and `counter` (words 1 to 3) are
  // those of the generator.
  void (*normals)(int64_t count, uint32_t first, const uint32_t key[2], const uint32_t counter[3], double deviation,
                  float *out);
} ck_memory_table;

// The scalar specification.
void ck_reference_adamw(int64_t count, const ck_adamw *step, float *w, const float *gradient, float *m, float *v);
void ck_reference_adamw_8(int64_t count, const ck_adamw *step, uint32_t key, int64_t first, float *w,
                          const float *gradient, const ck_moment *m, const ck_moment *root);
void ck_reference_pack(const ck_packed *p, int64_t matrix, int64_t first_panel, int64_t panels, const float *w);
int64_t ck_reference_fixed_add(int64_t count, int64_t bound, const float *x, int64_t *sum);
void ck_reference_fixed_read(int64_t count, const int64_t *sum, float *x);
int64_t ck_reference_first_nonfinite(int64_t count, const float *x);
// sqrt(-2 ln u1)·cos(2π u2)·deviation in fp64, rounded to fp32, with u1 = (a + 1)·2^-24 and u2 = b·2^-24.
float ck_reference_normal(uint32_t a, uint32_t b, double deviation);
// The value of a code of a first moment and of a root, relative to the scale of the block.
float ck_moment_value(uint8_t code);
float ck_root_value(uint8_t code);

#ifdef __cplusplus
}
#endif
