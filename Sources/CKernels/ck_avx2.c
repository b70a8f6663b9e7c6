// x86-64 with AVX2, FMA and F16C.
#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi,bmi2"))), apply_to = function)
#include "ck_a8.h"
#include "ck_vector.h"

CK_INLINE v16f half16(const uint16_t *p) {
  __m256 halves[2] = {_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)),
                      _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 8)))};
  v16f v;
  memcpy(&v, halves, 64);
  return v;
}
CK_INLINE v32s halves_of(v16f a, v16f b) {
  __m256 x[4];
  memcpy(x, &a, 64);
  memcpy(x + 2, &b, 64);
  __m128i bits[4];
  for (int i = 0; i < 4; ++i) bits[i] = _mm256_cvtps_ph(x[i], _MM_FROUND_TO_NEAREST_INT);
  v32s halves;
  memcpy(&halves, bits, 64);
  return halves;
}

// Four inputs of eight outputs: w holds unsigned codes, x four signed codes. `wide`: codes above 127, whose pair sums
// would saturate sixteen bits.
CK_INLINE __m256i quads(__m256i acc, __m256i w, int32_t x, bool wide) {
  __m256i xs = _mm256_set1_epi32(x), ones = _mm256_set1_epi16(1);
  if (!wide) return _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(w, xs), ones));
  __m256i even_w = _mm256_and_si256(w, _mm256_set1_epi16(255)), odd_w = _mm256_srli_epi16(w, 8);
  __m256i even_x = _mm256_srai_epi16(_mm256_slli_epi16(xs, 8), 8), odd_x = _mm256_srai_epi16(xs, 8);
  acc = _mm256_add_epi32(acc, _mm256_madd_epi16(even_w, even_x));
  return _mm256_add_epi32(acc, _mm256_madd_epi16(odd_w, odd_x));
}

// The two vectors of quad j of a step at v: eight outputs each, four inputs an output.
CK_INLINE void a8_quad(int format, const __m256i *v, int j, __m256i q[2]) {
  for (int half = 0; half < 2; ++half) {
    if (format == CK_TERNARY)
      q[half] = _mm256_and_si256(_mm256_srli_epi16(_mm256_loadu_si256(v + half), 2 * j), _mm256_set1_epi8(3));
    else if (format == CK_INT4)
      q[half] = _mm256_and_si256(_mm256_srli_epi16(_mm256_loadu_si256(v + 2 * (j / 2) + half), 4 * (j % 2)),
                                 _mm256_set1_epi8(15));
    else q[half] = _mm256_loadu_si256(v + 2 * j + half);
  }
}

// One panel at a time: R rows of two vectors each.
#define DEFINE_A8_DOT(R)                                                                   \
  CK_INLINE void a8_dot_##R##x1(int format, a8_group g, v16i dot[R][1]) {                  \
    const int8_t *codes = g.codes;                                                         \
    const __m256i *v = (const __m256i *)g.w;                                               \
    __m256i acc[R][2];                                                                     \
    for (int i = 0; i < R; ++i) acc[i][0] = acc[i][1] = _mm256_set1_epi32(g.start[i]);     \
    for (int64_t s = 0; s < g.steps; ++s, codes += 16) {                                   \
      _Pragma("clang loop unroll(full)") for (int j = 0; j < 4; ++j) {                     \
        __m256i q[2];                                                                      \
        a8_quad(format, v, j, q);                                                          \
        for (int i = 0; i < R; ++i) {                                                      \
          int32_t x;                                                                       \
          memcpy(&x, codes + i * g.row + 4 * j, 4);                                        \
          acc[i][0] = quads(acc[i][0], q[0], x, format == CK_INT8);                        \
          acc[i][1] = quads(acc[i][1], q[1], x, format == CK_INT8);                        \
        }                                                                                  \
      }                                                                                    \
      v += format == CK_TERNARY ? 2 : format == CK_INT4 ? 4 : 8;                           \
    }                                                                                      \
    memcpy(dot, acc, sizeof acc);                                                          \
  }
DEFINE_A8_DOT(4)
DEFINE_A8_DOT(1)
#define A8_TILES(X) X(4, 1) X(1, 1)
#define A8_PANELS(M) 1
#define CK_TILE_ROWS(X) X(4) X(2) X(1)
#define CK_STEP_ROWS(X) X(2) X(1)
#define CK_STEP_PANELS 1
#define CK_TABLE ck_avx2_table
#define CK_TABLE_NAME "avx2"
#include "ck_optimizer.inc.h"
#include "ck_pack.inc.h"
#include "ck_random.inc.h"
#include "ck_kernels.inc.h"

const ck_table *ck_avx2(void);
const ck_table *ck_avx2(void) { return &ck_avx2_table; }
#pragma clang attribute pop
#endif
