// arm64 with the dot-product instructions (FEAT_DotProd).
#if defined(__aarch64__)
#include <arm_neon.h>
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#include "ck_a8.h"
#include "ck_halves.inc.h"
#include "ck_tables.h"
#include "ck_vector.h"

// Four inputs of each of four outputs, `part` of the four parts of quad j of the step at w, as signed numbers. The
// instruction multiplies signed by signed: codes of int8 lose their zero point of 128 here, the others fit as they are.
CK_INLINE int8x16_t a8_quad(int format, const uint8_t *w, int j, int part) {
  if (format == CK_INT8)
    return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(w + 64 * j + 16 * part), vdupq_n_u8(128)));
  if (format == CK_INT4) {
    const uint8x16_t codes = vld1q_u8(w + 64 * (j / 2) + 16 * part);
    return vreinterpretq_s8_u8(j % 2 ? vshrq_n_u8(codes, 4) : vandq_u8(codes, vdupq_n_u8(15)));
  }
  const uint8x16_t codes = vld1q_u8(w + 16 * part);
  return vreinterpretq_s8_u8(vandq_u8(vshlq_u8(codes, vdupq_n_s8((int8_t)(-2 * j))), vdupq_n_u8(3)));
}

// Quad J of the step: the lane of the activations is part of the instruction.
#define ADD_QUAD(R, J)                                                                                           \
  _Pragma("clang loop unroll(full)") for (int part = 0; part < 4; ++part) {                                      \
    const int8x16_t q = a8_quad(format, w, J, part);                                                             \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < R; ++i) acc[i][part] =                                \
        vdotq_laneq_s32(acc[i][part], q, x[i], J);                                                               \
  }

#define DEFINE_A8_DOT(R)                                                                                         \
  CK_INLINE void a8_dot_##R##x1(int format, a8_group g, v16i dot[R][1]) {                                        \
    const int8_t *codes = g.codes;                                                                               \
    const uint8_t *w = g.w;                                                                                      \
    int32x4_t acc[R][4];                                                                                         \
    /* Without the zero point, nothing has to be taken out of the sums of int8. */                               \
    for (int i = 0; i < R; ++i)                                                                                  \
      acc[i][0] = acc[i][1] = acc[i][2] = acc[i][3] = vdupq_n_s32(format == CK_INT8 ? 0 : g.start[i]);           \
    for (int64_t s = 0; s < g.steps; ++s, codes += 16, w += ck_step_bytes(format)) {                             \
      int8x16_t x[R];                                                                                            \
      for (int i = 0; i < R; ++i) x[i] = vld1q_s8(codes + i * g.row);                                            \
      ADD_QUAD(R, 0)                                                                                             \
      ADD_QUAD(R, 1)                                                                                             \
      ADD_QUAD(R, 2)                                                                                             \
      ADD_QUAD(R, 3)                                                                                             \
    }                                                                                                            \
    memcpy(dot, acc, sizeof acc);                                                                                \
  }
DEFINE_A8_DOT(4)
DEFINE_A8_DOT(2)
DEFINE_A8_DOT(1)
#define A8_TILES(X) X(4, 1) X(2, 1) X(1, 1)
#define A8_PANELS(M) 1
#define CK_TILE_ROWS(X) X(2) X(1)
#define CK_STEP_ROWS(X) X(1)
#define CK_STEP_PANELS 1
#define CK_TABLE ck_dotprod_table
#define CK_TABLE_NAME "dotprod"
#include "ck_optimizer.inc.h"
#include "ck_pack.inc.h"
#include "ck_random.inc.h"
#include "ck_kernels.inc.h"

const ck_table *ck_dotprod(void) { return &ck_dotprod_table; }
#pragma clang attribute pop
#endif
