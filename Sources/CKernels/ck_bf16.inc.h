// bfloat16 products and their operands; compiled once per instruction set, like ck_kernels.inc.h.
//
// Operands are words of two neighbouring values of the reduced dimension: the even one in the low half, the odd one in
// the high half. A product adds the term of the odd value first, then the term of the even value, each with a fused
// multiply-add, and subnormal operands and sums count as zero. This is what the bfloat16 dot product of the processors
// does (VDPBF16PS; checked at start, ck_dispatch.c), so every instruction set gives the same bits.

#ifndef CK_BF16_NATIVE
CK_INLINE v16f dp16(v16f sum, int32_t a, v16i b) {
  union { int32_t i; float f; } odd = {(int32_t)((uint32_t)a & 0xffff0000u)}, even = {(int32_t)((uint32_t)a << 16)};
  sum = fma16(splat(odd.f), (v16f)(b & isplat((int32_t)0xffff0000u)), sum);
  return fma16(splat(even.f), (v16f)(b << 16), sum);
}
// Sixteen values as bfloat16 in the low halves of words.
CK_INLINE v16i bf16_words(v16f x) {
  v16i u = (v16i)x, magnitude = u & 0x7fffffff;
  v16i rounded = (v16i)(((v16u)u + 0x7fff + (((v16u)u >> 16) & 1)) >> 16);
  v16i quiet = (v16i)((v16u)u >> 16) | 0x40, zero = (v16i)((v16u)u >> 16) & 0x8000;
  v16i nan = magnitude > 0x7f800000, tiny = magnitude < 0x00800000;
  return (nan & quiet) | (tiny & zero) | (~nan & ~tiny & rounded);
}
// Two vectors as bfloat16: words of neighbouring lanes of `low`, then of `high`.
CK_INLINE v16i bf16_halves(v16f low, v16f high) {
  typedef uint16_t v32h __attribute__((vector_size(64)));
  v16i a = bf16_words(low), b = bf16_words(high);
  v32h h = __builtin_shufflevector((v32h)a, (v32h)b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34,
                                   36, 38, 40, 42, 44, 46, 48, 50, 52, 54, 56, 58, 60, 62);
  return (v16i)h;
}
#endif
CK_INLINE v16i bf16_pair(v16f even, v16f odd) { return bf16_words(even) | (bf16_words(odd) << 16); }

// One strip of a bfloat16 product: all rows against the panels that begin at output n.
typedef struct {
  int64_t M;
  const ck_bf16_product *parts;
  int64_t count;
  int64_t n;
  const float *bias;  // of all outputs, or NULL
  float *C;
  int64_t c_row;
  bool accumulate;
  int64_t part;  // columns of the last panel
} bf16_strip;

// ROWS × (16·PANELS) outputs from row m on; one function for each tile, as in ck_kernels.inc.h.
#define DEFINE_BF16_TILE(ROWS, PANELS)                                                                           \
  CK_INLINE void bf16_tile_##ROWS##x##PANELS(const bf16_strip *strip, int64_t m) {                               \
    const int64_t n = strip->n, c_row = strip->c_row;                                                            \
    float *C = strip->C + m * c_row + n;                                                                         \
    v16f acc[ROWS][PANELS];                                                                                      \
    for (int i = 0; i < ROWS; ++i)                                                                               \
      for (int j = 0; j < PANELS; ++j) {                                                                         \
        const int64_t width = j == PANELS - 1 ? strip->part : 16;                                                \
        const float *from =                                                                                      \
            strip->accumulate ? C + i * c_row + j * 16 : strip->bias ? strip->bias + n + j * 16 : 0;             \
        acc[i][j] = !from ? splat(0) : width == 16 ? load16(from) : load_part(from, width);                      \
      }                                                                                                          \
    for (int64_t s = 0; s < strip->count; ++s) {                                                                 \
      const ck_bf16_product *product = strip->parts + s;                                                         \
      const uint32_t *a = product->a + m * product->a_row, *b = product->b + n / 16 * product->b_panel;          \
      const int64_t a_row = product->a_row, a_pair = product->a_pair, b_panel = product->b_panel;                \
      const int64_t b_pair = product->b_pair, pairs = product->pairs;                                            \
      for (int64_t p = 0; p < pairs; ++p) {                                                                      \
        v16i words[PANELS];                                                                                      \
        _Pragma("clang loop unroll(full)") for (int j = 0; j < PANELS; ++j)                                      \
            memcpy(&words[j], b + j * b_panel + p * b_pair, 64);                                                 \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < ROWS; ++i) {                                      \
          const int32_t word = (int32_t)a[i * a_row + p * a_pair];                                               \
          _Pragma("clang loop unroll(full)") for (int j = 0; j < PANELS; ++j) acc[i][j] =                        \
              dp16(acc[i][j], word, words[j]);                                                                   \
        }                                                                                                        \
      }                                                                                                          \
    }                                                                                                            \
    for (int i = 0; i < ROWS; ++i)                                                                               \
      for (int j = 0; j < PANELS; ++j) {                                                                         \
        if (j == PANELS - 1 && strip->part < 16) store_part(C + i * c_row + j * 16, acc[i][j], strip->part);     \
        else store16(C + i * c_row + j * 16, acc[i][j]);                                                         \
      }                                                                                                          \
  }
#define DEFINE_BF16_TILES(ROWS) DEFINE_BF16_TILE(ROWS, 1) DEFINE_BF16_TILE(ROWS, 2)
CK_TILE_ROWS(DEFINE_BF16_TILES)
DEFINE_BF16_TILE(4, 4)
DEFINE_BF16_TILE(2, 4)
DEFINE_BF16_TILE(1, 4)

// All rows against one strip of 1, 2 or 4 panels.
CK_INLINE void bf16_strip_rows(int64_t panels, const bf16_strip *s) {
  int64_t m = 0;
  if (panels == 4) {
    for (; m + 4 <= s->M; m += 4) bf16_tile_4x4(s, m);
    for (; m + 2 <= s->M; m += 2) bf16_tile_2x4(s, m);
    for (; m + 1 <= s->M; m += 1) bf16_tile_1x4(s, m);
    return;
  }
#define BF16_ROWS(R)                             \
  for (; m + R <= s->M; m += R) {                \
    if (panels == 2) bf16_tile_##R##x2(s, m);    \
    else bf16_tile_##R##x1(s, m);                \
  }
  CK_TILE_ROWS(BF16_ROWS)
#undef BF16_ROWS
}

static __attribute__((noinline)) void bf16_product(int64_t M, int64_t N, const ck_bf16_product *parts, int64_t count,
                                                   const float *bias, float *C, int64_t c_row, bool accumulate) {
  for (int64_t n = 0, panels; n < N; n += 16 * panels) {
    // Few rows wait for weights from memory: four panels at once keep more reads under way.
    panels = M <= 4 && N - n > 48 ? 4 : N - n > 16 ? 2 : 1;
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
    bf16_strip_rows(panels, &strip);
  }
}

static void gemm_bf16(int64_t M, int64_t N, const ck_bf16_product *parts, int64_t count, const float *bias, float *C,
                      int64_t c_row, bool accumulate) {
  ck_float_mode mode = ck_flush_subnormals();
  bf16_product(M, N, parts, count, bias, C, c_row, accumulate);
  ck_restore_float_mode(mode);
}

static void bf16_rows(int64_t M, int64_t K, const float *x, int64_t x_row, const float *column_scale, uint32_t *out,
                      int64_t out_row) {
  const int64_t padded = (K + 1) & ~INT64_C(1);
  for (int64_t m = 0; m < M; ++m) {
    const float *row = x + m * x_row;
    uint16_t *to = (uint16_t *)(out + m * out_row);
    for (int64_t k = 0; k < padded; k += 16) {
      int64_t n = K - k < 16 ? K - k : 16, stored = padded - k < 16 ? padded - k : 16;
      v16f v = n == 16 ? load16(row + k) : load_part(row + k, n);
      if (column_scale) v = v * (n == 16 ? load16(column_scale + k) : load_part(column_scale + k, n));
      typedef uint16_t v16h __attribute__((vector_size(32)));
      v16h h = __builtin_convertvector((v16u)bf16_words(v), v16h);
      memcpy(to + k, &h, (size_t)stored * 2);
    }
  }
}

static void bf16_pairs(int64_t K, int64_t N, const float *x, int64_t x_row, const float *row_scale, uint32_t *out,
                       int64_t out_pair) {
  for (int64_t k = 0; k < K; k += 2, out += out_pair) {
    const float *even = x + k * x_row, *odd = even + x_row;
    const bool both = k + 1 < K;
    const v16f even_scale = splat(row_scale ? row_scale[k] : 1);
    const v16f odd_scale = splat(row_scale && both ? row_scale[k + 1] : 1);
    for (int64_t i = 0; i < N; i += 16) {
      int64_t n = N - i < 16 ? N - i : 16;
      v16f e = n == 16 ? load16(even + i) : load_part(even + i, n), o = splat(0);
      if (both) o = n == 16 ? load16(odd + i) : load_part(odd + i, n);
      if (row_scale) {
        e = e * even_scale;
        o = o * odd_scale;
      }
      v16i words = bf16_pair(e, o);
      memcpy(out + i, &words, 64);
    }
  }
}

static void bf16_pairs_a8(int64_t K, const ck_activations *A, uint32_t *out, int64_t out_pair) {
  typedef int8_t v16b __attribute__((vector_size(16)));
  const int64_t padded = (int64_t)A->groups * A->group_padded;
  for (int64_t k = 0; k < K; k += 2, out += out_pair) {
    for (int64_t g = 0; g < A->groups; ++g) {
      const int8_t *even = A->codes + k * padded + g * A->group_padded;
      for (int64_t i = 0; i < A->group; i += 16) {
        v16b e, o = {0};
        memcpy(&e, even + i, 16);
        if (k + 1 < K) memcpy(&o, even + padded + i, 16);
        v16i words = bf16_pair(__builtin_convertvector(__builtin_convertvector(e, v16i), v16f),
                               __builtin_convertvector(__builtin_convertvector(o, v16i), v16f));
        // The next group overwrites the padding of this group.
        memcpy(out + g * A->group + i, &words, 64);
      }
    }
  }
}

// Sixteen inputs of the sixteen outputs of one panel: values[input] with one output per lane.
CK_INLINE void packed_block(const ck_packed *B, const uint8_t *panel, const float *scales, int64_t input, bool codes,
                            v16f *values) {
  const int64_t left = B->columns - input, inputs = left < 16 ? left : 16;
  if (B->format == CK_BF16) {
    for (int64_t i = 0; i < 16; i += 2) {
      v16i words = isplat(0);
      if (i < inputs) memcpy(&words, panel + (input + i) * 32, 64);
      values[i] = (v16f)(words << 16);
      values[i + 1] = (v16f)(words & isplat((int32_t)0xffff0000u));
    }
  } else if (B->format < CK_TERNARY) {
    for (int64_t i = 0; i < 16; ++i)
      values[i] = i < inputs ? panel16(panel, B->format, (input + i) * 16) : splat(0);
  } else {
    const int32_t bits = ck_code_bits(B->format);
    const v16i zero = isplat(ck_zero_code(B->format)), mask = isplat((1 << bits) - 1);
    const int64_t per_word = 8 / bits, words = 4 / per_word;  // code quads in a word, words of sixteen inputs
    const int64_t g = input / B->group;
    const uint8_t *step = panel + (g * B->group_padded + input % B->group) / 16 * 64 * words;
    const v16f scale = codes ? splat(1) : load16(scales + g * 16);
    for (int64_t w = 0; w < words; ++w) {
      v16i packed;
      memcpy(&packed, step + w * 64, 64);
      for (int64_t q = 0; q < per_word; ++q)
        for (int64_t b = 0; b < 4; ++b) {
          v16i code = ((v16i)((v16u)packed >> (uint32_t)(8 * b + bits * q)) & mask) - zero;
          v16f value = __builtin_convertvector(code, v16f);
          values[(w * per_word + q) * 4 + b] = codes ? value : value * scale;
        }
    }
  }
}

// For groups whose length is not a multiple of sixteen, which straddle blocks of sixteen inputs.
static void packed_block_slowly(const ck_packed *B, int64_t matrix, int64_t panel, int64_t input, bool codes,
                                v16f *values) {
  const int64_t left = B->rows - panel * 16, rows = left < 16 ? left : 16;
  const float *scales = B->scales + matrix * B->matrix_scales + panel * B->groups * 16;
  for (int64_t i = 0; i < 16; ++i) values[i] = splat(0);
  for (int64_t lane = 0; lane < rows; ++lane)
    for (int64_t i = 0; i < 16 && input + i < B->columns; ++i)
      values[i][lane] = codes ? (float)ck_packed_code(B, matrix, panel * 16 + lane, input + i)
                              : scales[(input + i) / B->group * 16 + lane] *
                                    (float)ck_packed_code(B, matrix, panel * 16 + lane, input + i);
}

static void bf16_panels(const ck_packed *B, int64_t matrix, int64_t first, int64_t panels, bool codes, uint32_t *out) {
  const int64_t pairs = (B->rows + 1) / 2, outputs = (B->rows + 15) / 16, panel_bytes = B->matrix_bytes / outputs;
  const bool straddles = B->format >= CK_TERNARY && B->groups > 1 && B->group % 16 != 0;
  // The blocks of one panel are neighbours in memory; those of the next panels are far away, so prefetch them.
  enum { AHEAD = 2 };
  const int64_t begin = first * 16 * panel_bytes / B->columns, length = panels * 16 * panel_bytes / B->columns + 64;
  uint32_t *const all = out;
  for (int64_t panel = 0; panel < outputs; ++panel) {
    const uint8_t *ahead = B->data + matrix * B->matrix_bytes + (panel + AHEAD) * panel_bytes + begin;
    if (panel + AHEAD < outputs)
      for (int64_t byte = 0; byte < length; byte += 64) __builtin_prefetch(ahead + byte);
    for (int64_t j = 0; j < panels; ++j) {
      const int64_t input = (first + j) * 16;
      v16f values[16];
      out = all + j * pairs * 16;
      if (straddles)
        packed_block_slowly(B, matrix, panel, input, codes, values);
      else
        packed_block(B, B->data + matrix * B->matrix_bytes + panel * panel_bytes,
                     B->scales + matrix * B->matrix_scales + panel * B->groups * 16, input, codes, values);
      // Words of output pairs: rows k and k+8 share a vector; then an 8 × 8 transposition in each half.
      v16i r[8], t[8], u[8];
      for (int k = 0; k < 8; ++k) r[k] = bf16_halves(values[k], values[k + 8]);
      for (int k = 0; k < 8; k += 2) {
        t[k] = __builtin_shufflevector(r[k], r[k + 1], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
        t[k + 1] = __builtin_shufflevector(r[k], r[k + 1], 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
      }
      for (int k = 0; k < 8; k += 4)
        for (int h = 0; h < 2; ++h) {
          u[k + 2 * h] = __builtin_shufflevector(t[k + h], t[k + 2 + h], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12,
                                                 13, 28, 29);
          u[k + 2 * h + 1] = __builtin_shufflevector(t[k + h], t[k + 2 + h], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27,
                                                     14, 15, 30, 31);
        }
      const int64_t left = pairs - panel * 8;
      for (int k = 0; k < 4; ++k) {
        v16i low = __builtin_shufflevector(u[k], u[k + 4], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27);
        v16i high = __builtin_shufflevector(u[k], u[k + 4], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
        if (k < left) memcpy(out + (panel * 8 + k) * 16, &low, 64);
        if (k + 4 < left) memcpy(out + (panel * 8 + k + 4) * 16, &high, 64);
      }
    }
  }
}
