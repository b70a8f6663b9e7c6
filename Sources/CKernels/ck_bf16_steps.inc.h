// bfloat16 products in the order `tiles` (see ck_reference_gemm_bf16_tiles) with vectors; compiled once per instruction
// set after ck_bf16.inc.h. The including file defines
//   CK_STEP_ROWS(X)    X(R) for the rows R of every register tile, largest first; 1 is the last
//   CK_STEP_PANELS     panels of a register tile, 1 or 2
//
// A step has two sums of its own for each output, of the even and the odd values, which need registers beside C.

#define DEFINE_STEP_TILE(ROWS, PANELS)                                                                            \
  CK_INLINE void step_tile_##ROWS##x##PANELS(const bf16_strip *strip, int64_t m) {                                \
    const int64_t n = strip->n, c_row = strip->c_row;                                                             \
    float *C = strip->C + m * c_row + n;                                                                          \
    v16f acc[ROWS][PANELS];                                                                                       \
    for (int i = 0; i < ROWS; ++i)                                                                                \
      for (int j = 0; j < PANELS; ++j) {                                                                          \
        const int64_t width = j == PANELS - 1 ? strip->part : 16;                                                 \
        const float *from =                                                                                       \
            strip->accumulate ? C + i * c_row + j * 16 : strip->bias ? strip->bias + n + j * 16 : 0;              \
        acc[i][j] = !from ? splat(0) : width == 16 ? load16(from) : load_part(from, width);                       \
      }                                                                                                           \
    for (int64_t s = 0; s < strip->count; ++s) {                                                                  \
      const ck_bf16_product *product = strip->parts + s;                                                          \
      const uint32_t *a = product->a + m * product->a_row, *b = product->b + n / 16 * product->b_panel;           \
      const int64_t a_row = product->a_row, a_pair = product->a_pair, b_panel = product->b_panel;                 \
      const int64_t b_pair = product->b_pair, pairs = product->pairs;                                             \
      for (int64_t first = 0; first < pairs; first += STEP_PAIRS) {                                               \
        const int64_t last = pairs - first < STEP_PAIRS ? pairs : first + STEP_PAIRS;                             \
        v16f even[ROWS][PANELS], odd[ROWS][PANELS];                                                               \
        for (int i = 0; i < ROWS; ++i)                                                                            \
          for (int j = 0; j < PANELS; ++j) even[i][j] = odd[i][j] = splat(0);                                     \
        for (int64_t p = first; p < last; ++p) {                                                                  \
          v16f low[PANELS], high[PANELS];                                                                         \
          _Pragma("clang loop unroll(full)") for (int j = 0; j < PANELS; ++j) {                                   \
            v16i words;                                                                                           \
            memcpy(&words, b + j * b_panel + p * b_pair, 64);                                                     \
            low[j] = (v16f)(words << 16);                                                                         \
            high[j] = (v16f)(words & isplat((int32_t)0xffff0000u));                                               \
          }                                                                                                       \
          _Pragma("clang loop unroll(full)") for (int i = 0; i < ROWS; ++i) {                                     \
            const v16i word = isplat((int32_t)a[i * a_row + p * a_pair]);                                         \
            const v16f x = (v16f)(word << 16), y = (v16f)(word & isplat((int32_t)0xffff0000u));                   \
            _Pragma("clang loop unroll(full)") for (int j = 0; j < PANELS; ++j) {                                 \
              even[i][j] = fma16(x, low[j], even[i][j]);                                                          \
              odd[i][j] = fma16(y, high[j], odd[i][j]);                                                           \
            }                                                                                                     \
          }                                                                                                       \
        }                                                                                                         \
        /* The pairs that complete the step add 0, which changes only -0. */                                      \
        const bool padded = last - first < STEP_PAIRS;                                                            \
        for (int i = 0; i < ROWS; ++i)                                                                            \
          for (int j = 0; j < PANELS; ++j) {                                                                      \
            if (padded) {                                                                                         \
              even[i][j] = even[i][j] + splat(0);                                                                 \
              odd[i][j] = odd[i][j] + splat(0);                                                                   \
            }                                                                                                     \
            acc[i][j] = acc[i][j] + (even[i][j] + odd[i][j]);                                                     \
          }                                                                                                       \
      }                                                                                                           \
    }                                                                                                             \
    for (int i = 0; i < ROWS; ++i)                                                                                \
      for (int j = 0; j < PANELS; ++j) {                                                                          \
        if (j == PANELS - 1 && strip->part < 16) store_part(C + i * c_row + j * 16, acc[i][j], strip->part);      \
        else store16(C + i * c_row + j * 16, acc[i][j]);                                                          \
      }                                                                                                           \
  }
enum { STEP_PAIRS = 16 };
#define DEFINE_STEP_TILES(ROWS) DEFINE_STEP_TILE(ROWS, 1) DEFINE_STEP_TILE(ROWS, 2)
CK_STEP_ROWS(DEFINE_STEP_TILES)

static __attribute__((noinline)) void step_product(int64_t M, int64_t N, const ck_bf16_product *parts, int64_t count,
                                                   const float *bias, float *C, int64_t c_row, bool accumulate) {
  for (int64_t n = 0, panels; n < N; n += 16 * panels) {
    panels = N - n > 16 ? CK_STEP_PANELS : 1;
    const int64_t last = N - n - 16 * (panels - 1);
    const bf16_strip strip = {
        .M = M,
        .parts = parts,
        .count = count,
        .n = n,
        .bias = bias,
        .C = C,
        .c_row = c_row,
        .accumulate = accumulate,
        .part = last < 16 ? last : 16,
    };
    int64_t m = 0;
#define STEP_ROWS(R)                                     \
  for (; m + R <= M; m += R) {                           \
    if (panels == 2) step_tile_##R##x2(&strip, m);       \
    else step_tile_##R##x1(&strip, m);                   \
  }
    CK_STEP_ROWS(STEP_ROWS)
#undef STEP_ROWS
  }
}

static void gemm_bf16_tiles(int64_t M, int64_t N, const ck_bf16_product *parts, int64_t count, const float *bias,
                            float *C, int64_t c_row, bool accumulate) {
  const ck_float_mode mode = ck_flush_subnormals();
  step_product(M, N, parts, count, bias, C, c_row, accumulate);
  ck_restore_float_mode(mode);
}
