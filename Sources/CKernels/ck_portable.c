// Any machine: the compiler's portable vectors (NEON on arm64; SSE2 on x86-64, with fused operations from the C
// library).
#include "ck_a8.h"
#include "ck_vector.h"

CK_INLINE v16f half16(const uint16_t *p) {
  float x[16];
  for (int i = 0; i < 16; ++i) x[i] = ck_f32_from_f16(p[i]);
  return load16(x);
}

typedef uint16_t v16s __attribute__((vector_size(32)));
#ifdef __aarch64__
typedef __fp16 v16h __attribute__((vector_size(32)));
CK_INLINE v16s halves16(v16f x) { return (v16s)__builtin_convertvector(x, v16h); }
#else
CK_INLINE v16s halves16(v16f x) {
  v16u u = (v16u)x, sign = (u >> 16) & 0x8000;
  v16i magnitude = (v16i)(u & 0x7fffffff);
  v16f small = (v16f)((v16i)((v16f)magnitude + splat(0.5f)) - 0x3f000000);
  v16f normal = (v16f)((magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13);
  v16f half = pick(magnitude < 0x38800000, small, normal);
  half = pick(magnitude >= 0x477ff000, (v16f)isplat(0x7c00), half);
  half = pick(magnitude > 0x7f800000, (v16f)isplat(0x7e00), half);
  return __builtin_convertvector((v16u)half | sign, v16s);
}
#endif
CK_INLINE v32s halves_of(v16f a, v16f b) {
  v16s halves[2] = {halves16(a), halves16(b)};
  v32s both;
  memcpy(&both, halves, 64);
  return both;
}

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
#define CK_TABLE ck_portable_table
#define CK_TABLE_NAME "portable"
#include "ck_optimizer.inc.h"
#include "ck_pack.inc.h"
#include "ck_random.inc.h"
#include "ck_kernels.inc.h"

const ck_table *ck_portable(void) { return &ck_portable_table; }
