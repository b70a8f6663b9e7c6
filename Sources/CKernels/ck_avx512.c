// x86-64 with AVX-512 (F, BW, DQ, VL) and VNNI.
#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push(                                                                                 \
    __attribute__((target("avx2,fma,f16c,bmi,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), \
    apply_to = function)
#include "ck_vector.h"

CK_INLINE v16f half16(const uint16_t *p) { return (v16f)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }

#define A8_PANEL(R)                                                                                           \
  __m512i acc[R];                                                                                             \
  for (int i = 0; i < R; ++i) acc[i] = _mm512_setzero_si512();                                                \
  for (int64_t s = 0; s < steps; ++s, codes += 16) {                                                          \
    __m512i q[4];                                                                                             \
    if (format == CK_TERNARY) {                                                                               \
      __m512i packed = _mm512_loadu_si512(w), mask = _mm512_set1_epi8(3);                                     \
      q[0] = _mm512_and_si512(packed, mask);                                                                  \
      q[1] = _mm512_and_si512(_mm512_srli_epi16(packed, 2), mask);                                            \
      q[2] = _mm512_and_si512(_mm512_srli_epi16(packed, 4), mask);                                            \
      q[3] = _mm512_and_si512(_mm512_srli_epi16(packed, 6), mask);                                            \
      w += 64;                                                                                                \
    } else if (format == CK_INT4) {                                                                           \
      __m512i first = _mm512_loadu_si512(w), second = _mm512_loadu_si512(w + 64), mask = _mm512_set1_epi8(15); \
      q[0] = _mm512_and_si512(first, mask);                                                                   \
      q[1] = _mm512_and_si512(_mm512_srli_epi16(first, 4), mask);                                             \
      q[2] = _mm512_and_si512(second, mask);                                                                  \
      q[3] = _mm512_and_si512(_mm512_srli_epi16(second, 4), mask);                                            \
      w += 128;                                                                                               \
    } else {                                                                                                  \
      for (int j = 0; j < 4; ++j) q[j] = _mm512_loadu_si512(w + 64 * j);                                      \
      w += 256;                                                                                               \
    }                                                                                                         \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < R; ++i) {                                          \
      _Pragma("clang loop unroll(full)") for (int j = 0; j < 4; ++j) {                                        \
        int32_t x;                                                                                            \
        memcpy(&x, codes + i * row + 4 * j, 4);                                                               \
        acc[i] = _mm512_dpbusd_epi32(acc[i], q[j], _mm512_set1_epi32(x));                                     \
      }                                                                                                       \
    }                                                                                                         \
  }                                                                                                           \
  memcpy(dot, acc, sizeof acc);
#define CK_ROWS 8
#define CK_A8_ROWS 8
#define CK_A8_FORMATS(R)                                                  \
  if (format == CK_TERNARY) { enum { format = CK_TERNARY }; A8_PANEL(R) } \
  else if (format == CK_INT4) { enum { format = CK_INT4 }; A8_PANEL(R) }  \
  else { enum { format = CK_INT8 }; A8_PANEL(R) }
CK_INLINE void a8_panel_rows(int format, int64_t steps, const int8_t *codes, int64_t row, const uint8_t *w, v16i *dot) {
  CK_A8_FORMATS(CK_A8_ROWS)
}
CK_INLINE void a8_panel_one(int format, int64_t steps, const int8_t *codes, int64_t row, const uint8_t *w, v16i *dot) {
  CK_A8_FORMATS(1)
}
#define CK_TABLE ck_avx512_table
#define CK_TABLE_NAME "avx512"
#include "ck_kernels.inc.h"

const ck_table *ck_avx512(void);
const ck_table *ck_avx512(void) { return &ck_avx512_table; }
#pragma clang attribute pop
#endif
