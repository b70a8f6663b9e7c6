// What AVX-512 with VNNI adds to the portable vectors; the including file turns the target features on.
#include <immintrin.h>

#include "ck_vector.h"

CK_INLINE v16f half16(const uint16_t *p) { return (v16f)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
CK_INLINE v32s halves_of(v16f a, v16f b) {
  const __m256i low = _mm512_cvtps_ph((__m512)a, _MM_FROUND_TO_NEAREST_INT);
  const __m256i high = _mm512_cvtps_ph((__m512)b, _MM_FROUND_TO_NEAREST_INT);
  return (v32s)_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

// Four inputs each of sixteen outputs: quad j of the step of sixteen inputs at w.
#define A8_QUAD(FORMAT, w, j)                                                                                          \
  ((FORMAT) == CK_TERNARY                                                                                              \
       ? _mm512_and_si512(_mm512_srli_epi16(_mm512_loadu_si512(w), 2 * (j)), _mm512_set1_epi8(3))                      \
   : (FORMAT) == CK_INT4                                                                                               \
       ? _mm512_and_si512(_mm512_srli_epi16(_mm512_loadu_si512((w) + 64 * ((j) / 2)), 4 * ((j) % 2)), _mm512_set1_epi8(15)) \
       : _mm512_loadu_si512((w) + 64 * (j)))

// Few rows wait for weights from memory: one panel after another is the stream that the processor foresees, and each of
// the four quads has sums of its own so that no product waits for the one before.
#define A8_DOT_STREAM(FORMAT, R)                                                                                 \
  {                                                                                                              \
    __m512i acc[R][4];                                                                                           \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < R; ++i) {                                             \
      acc[i][0] = _mm512_set1_epi32(start[i]);                                                                   \
      acc[i][1] = acc[i][2] = acc[i][3] = _mm512_setzero_si512();                                                \
    }                                                                                                            \
    for (int64_t s = 0; s < steps; ++s, codes += 16, w += A8_STEP(FORMAT)) {                                     \
      if ((FORMAT) != CK_INT8) __builtin_prefetch(w + 2048);                                                     \
      if ((FORMAT) == CK_INT4) __builtin_prefetch(w + 2048 + 64);                                                \
      _Pragma("clang loop unroll(full)") for (int j = 0; j < 4; ++j) {                                           \
        __m512i q = A8_QUAD(FORMAT, w, j);                                                                       \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < R; ++i) {                                         \
          int32_t x;                                                                                             \
          memcpy(&x, codes + i * row + 4 * j, 4);                                                                \
          acc[i][j] = _mm512_dpbusd_epi32(acc[i][j], q, _mm512_set1_epi32(x));                                   \
        }                                                                                                        \
      }                                                                                                          \
    }                                                                                                            \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < R; ++i) dot[i][0] = (v16i)_mm512_add_epi32(           \
        _mm512_add_epi32(acc[i][0], acc[i][1]), _mm512_add_epi32(acc[i][2], acc[i][3]));                         \
  }
#define A8_STEP(FORMAT) ((FORMAT) == CK_TERNARY ? 64 : (FORMAT) == CK_INT4 ? 128 : 256)
#define A8_DOT_TILE(FORMAT, R, P)                                                                                \
  {                                                                                                              \
    __m512i acc[R][P];                                                                                           \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < R; ++i)                                               \
        _Pragma("clang loop unroll(full)") for (int p = 0; p < P; ++p) acc[i][p] = _mm512_set1_epi32(start[i]);  \
    for (int64_t s = 0; s < steps; ++s, codes += 16, w += A8_STEP(FORMAT))                                       \
      _Pragma("clang loop unroll(full)") for (int j = 0; j < 4; ++j) {                                           \
        __m512i q[P];                                                                                            \
        _Pragma("clang loop unroll(full)") for (int p = 0; p < P; ++p) q[p] = A8_QUAD(FORMAT, w + p * panel_bytes, j); \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < R; ++i) {                                         \
          int32_t x;                                                                                             \
          memcpy(&x, codes + i * row + 4 * j, 4);                                                                \
          _Pragma("clang loop unroll(full)") for (int p = 0; p < P; ++p) acc[i][p] =                             \
              _mm512_dpbusd_epi32(acc[i][p], q[p], _mm512_set1_epi32(x));                                        \
        }                                                                                                        \
      }                                                                                                          \
    memcpy(dot, acc, sizeof acc);                                                                                \
  }
#define A8_DOT(FORMAT, R, P) \
  if (P == 1 && R <= 4) A8_DOT_STREAM(FORMAT, R) else A8_DOT_TILE(FORMAT, R, P)
#define CK_ROWS 8
#define A8_PANELS(M) ((M) >= 8 ? 2 : 1)
#define A8_STRIP(FORMAT)                                                                                           \
  if (strip == 2) { A8_BODY(FORMAT, 8, 2) A8_BODY(FORMAT, 4, 2) A8_BODY(FORMAT, 2, 2) A8_BODY(FORMAT, 1, 2) }      \
  else { A8_BODY(FORMAT, 8, 1) A8_BODY(FORMAT, 4, 1) A8_BODY(FORMAT, 2, 1) A8_BODY(FORMAT, 1, 1) }
