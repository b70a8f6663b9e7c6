// Transpositions of sixteen vectors.
#pragma once
#include "ck_vector.h"

// Transpositions consist of two kinds of steps: 4 × 4 transpositions of the numbers that four vectors have in a lane of
// 128 bits, and exchanges of whole lanes between vectors.
#define LOW_SINGLES 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29
#define HIGH_SINGLES 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31
#define LOW_PAIRS 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define HIGH_PAIRS 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define EVEN_LANES 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27
#define ODD_LANES 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31
#define SHUFFLE(A, B, ...) __builtin_shufflevector(A, B, __VA_ARGS__)

CK_INLINE void transpose_in_lanes(v16i r[4]) {
  v16i a = SHUFFLE(r[0], r[1], LOW_SINGLES), b = SHUFFLE(r[2], r[3], LOW_SINGLES);
  v16i c = SHUFFLE(r[0], r[1], HIGH_SINGLES), d = SHUFFLE(r[2], r[3], HIGH_SINGLES);
  r[0] = SHUFFLE(a, b, LOW_PAIRS);
  r[1] = SHUFFLE(a, b, HIGH_PAIRS);
  r[2] = SHUFFLE(c, d, LOW_PAIRS);
  r[3] = SHUFFLE(c, d, HIGH_PAIRS);
}

// r[i][4j + k] → r[4j + i][k], groups of four rows apart.
CK_INLINE void transpose_lanes(v16i *r, int stride) {
  v16i a = SHUFFLE(r[0], r[stride], EVEN_LANES), b = SHUFFLE(r[2 * stride], r[3 * stride], EVEN_LANES);
  v16i c = SHUFFLE(r[0], r[stride], ODD_LANES), d = SHUFFLE(r[2 * stride], r[3 * stride], ODD_LANES);
  r[0] = SHUFFLE(a, b, EVEN_LANES);
  r[stride] = SHUFFLE(c, d, EVEN_LANES);
  r[2 * stride] = SHUFFLE(a, b, ODD_LANES);
  r[3 * stride] = SHUFFLE(c, d, ODD_LANES);
}

// r[i][j] ↔ r[j][i].
CK_INLINE void transpose16(v16i r[16]) {
  _Pragma("clang loop unroll(full)") for (int i = 0; i < 16; i += 4) transpose_in_lanes(r + i);
  _Pragma("clang loop unroll(full)") for (int i = 0; i < 4; ++i) transpose_lanes(r + i, 4);
}
