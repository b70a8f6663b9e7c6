// What AVX-512 with VNNI adds to the portable vectors. The including file enables the target features.
#include <immintrin.h>

#include "ck_a8.h"
#include "ck_vector.h"

CK_INLINE v16f half16(const uint16_t *p) { return (v16f)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
CK_INLINE v32s halves_of(v16f a, v16f b) {
  const __m256i low = _mm512_cvtps_ph((__m512)a, _MM_FROUND_TO_NEAREST_INT);
  const __m256i high = _mm512_cvtps_ph((__m512)b, _MM_FROUND_TO_NEAREST_INT);
  return (v32s)_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

// Four inputs of each of sixteen outputs: quad j of the step at w.
CK_INLINE __m512i a8_quad(int format, const uint8_t *w, int j) {
  if (format == CK_INT8) return _mm512_loadu_si512(w + 64 * j);
  if (format == CK_INT4)
    return _mm512_and_si512(_mm512_srli_epi16(_mm512_loadu_si512(w + 64 * (j / 2)), (unsigned)(4 * (j % 2))),
                            _mm512_set1_epi8(15));
  return _mm512_and_si512(_mm512_srli_epi16(_mm512_loadu_si512(w), (unsigned)(2 * j)), _mm512_set1_epi8(3));
}

// Quad j of row i of the activations, in every lane.
CK_INLINE __m512i a8_codes(const int8_t *codes, int64_t row, int i, int j) {
  int32_t x;
  memcpy(&x, codes + i * row + 4 * j, 4);
  return _mm512_set1_epi32(x);
}

// Few rows wait for weights from memory: the hardware prefetcher follows one panel after another, and each of the four
// quads has sums of its own, so that no product waits for the one before.
#define DEFINE_A8_DOT_STREAM(R)                                                                                \
  CK_INLINE void a8_dot_##R##x1(int format, a8_group g, v16i dot[R][1]) {                                      \
    const int8_t *codes = g.codes;                                                                             \
    const uint8_t *w = g.w;                                                                                    \
    __m512i acc[R][4];                                                                                         \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < R; ++i) {                                           \
      acc[i][0] = _mm512_set1_epi32(g.start[i]);                                                               \
      acc[i][1] = acc[i][2] = acc[i][3] = _mm512_setzero_si512();                                              \
    }                                                                                                          \
    for (int64_t s = 0; s < g.steps; ++s, codes += 16, w += ck_step_bytes(format)) {                                 \
      if (format != CK_INT8) __builtin_prefetch(w + 2048);                                                     \
      if (format == CK_INT4) __builtin_prefetch(w + 2048 + 64);                                                \
      _Pragma("clang loop unroll(full)") for (int j = 0; j < 4; ++j) {                                         \
        const __m512i q = a8_quad(format, w, j);                                                               \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < R; ++i) acc[i][j] =                             \
            _mm512_dpbusd_epi32(acc[i][j], q, a8_codes(codes, g.row, i, j));                                   \
      }                                                                                                        \
    }                                                                                                          \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < R; ++i) dot[i][0] = (v16i)_mm512_add_epi32(         \
        _mm512_add_epi32(acc[i][0], acc[i][1]), _mm512_add_epi32(acc[i][2], acc[i][3]));                       \
  }

#define DEFINE_A8_DOT_TILE(R, P)                                                                               \
  CK_INLINE void a8_dot_##R##x##P(int format, a8_group g, v16i dot[R][P]) {                                    \
    const int8_t *codes = g.codes;                                                                             \
    const uint8_t *w = g.w;                                                                                    \
    __m512i acc[R][P];                                                                                         \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < R; ++i)                                             \
        _Pragma("clang loop unroll(full)") for (int p = 0; p < P; ++p) acc[i][p] =                             \
            _mm512_set1_epi32(g.start[i]);                                                                     \
    for (int64_t s = 0; s < g.steps; ++s, codes += 16, w += ck_step_bytes(format))                                   \
      _Pragma("clang loop unroll(full)") for (int j = 0; j < 4; ++j) {                                         \
        __m512i q[P];                                                                                          \
        _Pragma("clang loop unroll(full)") for (int p = 0; p < P; ++p) q[p] =                                  \
            a8_quad(format, w + p * g.panel_bytes, j);                                                         \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < R; ++i) {                                       \
          const __m512i x = a8_codes(codes, g.row, i, j);                                                      \
          _Pragma("clang loop unroll(full)") for (int p = 0; p < P; ++p) acc[i][p] =                           \
              _mm512_dpbusd_epi32(acc[i][p], q[p], x);                                                         \
        }                                                                                                      \
      }                                                                                                        \
    memcpy(dot, acc, sizeof acc);                                                                              \
  }

DEFINE_A8_DOT_TILE(8, 2)
DEFINE_A8_DOT_TILE(4, 2)
DEFINE_A8_DOT_TILE(2, 2)
DEFINE_A8_DOT_TILE(1, 2)
DEFINE_A8_DOT_TILE(8, 1)
DEFINE_A8_DOT_STREAM(4)
DEFINE_A8_DOT_STREAM(2)
DEFINE_A8_DOT_STREAM(1)
#define A8_TILES(X) X(8, 2) X(4, 2) X(2, 2) X(1, 2) X(8, 1) X(4, 1) X(2, 1) X(1, 1)
#define A8_PANELS(M) ((M) >= 8 ? 2 : 1)
#define CK_TILE_ROWS(X) X(8) X(4) X(2) X(1)
#define CK_STEP_ROWS(X) X(4) X(2) X(1)
#define CK_STEP_PANELS 2
