// x86-64 with AVX-512 (F, BW, DQ, VL), VNNI and BF16.
#if defined(__x86_64__)
#pragma clang attribute push(                                                                                          \
    __attribute__((target("avx2,fma,f16c,bmi,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16"))), \
    apply_to = function)
#include "ck_avx512.inc.h"

#define CK_BF16_NATIVE
CK_INLINE v16f dp16(v16f sum, int32_t a, v16i b) {
  return (v16f)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32(a), (__m512bh)b);
}
CK_INLINE v16i bf16_words(v16f x) {
  return (v16i)_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)x));
}
// Two vectors as bfloat16: words of neighbouring lanes of `low`, then of `high`.
CK_INLINE v16i bf16_halves(v16f low, v16f high) {
  return (v16i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
}
#define CK_TABLE ck_avx512bf16_table
#define CK_TABLE_NAME "avx512bf16"
#include "ck_optimizer.inc.h"
#include "ck_pack.inc.h"
#include "ck_random.inc.h"
#include "ck_kernels.inc.h"

const ck_table *ck_avx512bf16(void);
const ck_table *ck_avx512bf16(void) { return &ck_avx512bf16_table; }
#pragma clang attribute pop
#endif
