// Any machine: the compiler's portable vectors (NEON on arm64; SSE2 on x86-64, with fused operations from the C
// library).
#include "ck_a8.h"
#include "ck_halves.inc.h"
#include "ck_vector.h"

// Row i of a group against one panel.
static void a8_panel(int format, const a8_group *g, int i, v16i *dot) {
  const int8_t *codes = g->codes + i * g->row;
  const uint8_t *w = g->w;
  const int64_t steps = g->steps;
  uint32_t sum[16];
  for (int lane = 0; lane < 16; ++lane) sum[lane] = (uint32_t)g->start[i];
  for (int64_t s = 0; s < steps; ++s, codes += 16) {
    for (int j = 0; j < 4; ++j) {
      for (int lane = 0; lane < 16; ++lane) {
        for (int b = 0; b < 4; ++b) {
          int32_t code;
          if (format == CK_TERNARY) code = (w[lane * 4 + b] >> (2 * j)) & 3;
          else if (format == CK_INT4) code = (w[64 * (j / 2) + lane * 4 + b] >> (4 * (j % 2))) & 15;
          else code = w[64 * j + lane * 4 + b];
          sum[lane] += (uint32_t)(code * codes[4 * j + b]);
        }
      }
    }
    w += ck_step_bytes(format);
  }
  memcpy(dot, sum, 64);
}
#define DEFINE_A8_DOT(R)                                                      \
  CK_INLINE void a8_dot_##R##x1(int format, a8_group g, v16i dot[R][1]) {     \
    for (int i = 0; i < R; ++i) a8_panel(format, &g, i, &dot[i][0]);          \
  }
DEFINE_A8_DOT(4)
DEFINE_A8_DOT(1)
#define A8_TILES(X) X(4, 1) X(1, 1)
#define A8_PANELS(M) 1
#define CK_TILE_ROWS(X) X(4) X(2) X(1)
#define CK_STEP_ROWS(X) X(2) X(1)
#define CK_STEP_PANELS 1
#define CK_TABLE ck_portable_table
#define CK_TABLE_NAME "portable"
#include "ck_optimizer.inc.h"
#include "ck_pack.inc.h"
#include "ck_random.inc.h"
#include "ck_kernels.inc.h"

const ck_table *ck_portable(void) { return &ck_portable_table; }
