// Products of 8-bit activations with packed integer weights; compiled once per instruction set, like ck_kernels.inc.h.
// The including file defines
//   A8_DOT(FORMAT, R, P)  dot[R][P] = start[R] + exact sums over one group, for R rows and P panels
//   A8_STRIP(FORMAT)      all rows of a strip of `strip` panels in its register tiles, A8_BODY(FORMAT, R, P)
//   A8_PANELS(M)          panels of a strip for M rows
// Weights are codes minus a zero point; start = −zero · Σ x_code takes the zero point out of the sum.

#define A8_BODY(FORMAT, R, P)                                                                                  \
  for (; M - m >= R; m += R) {                                                                                 \
    v16f sum[R][P];                                                                                            \
    for (int i = 0; i < R; ++i)                                                                                \
      for (int p = 0; p < P; ++p) sum[i][p] = splat(0);                                                        \
    for (int64_t g = 0; g < B->groups; ++g) {                                                                  \
      v16i dot[R][P];                                                                                          \
      int32_t start[R];                                                                                        \
      for (int i = 0; i < R; ++i) start[i] = -zero * A->sums[(m + i) * B->groups + g];                         \
      const int8_t *codes = A->codes + m * row + g * B->group_padded;                                          \
      const uint8_t *w = data + g * steps * step_bytes;                                                        \
      A8_DOT(FORMAT, R, P)                                                                                     \
      _Pragma("clang loop unroll(full)") for (int p = 0; p < P; ++p) {                                         \
        const v16f scale = load16(scales + (p * B->groups + g) * 16);                                          \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < R; ++i) sum[i][p] =                             \
            fma16(scale, __builtin_convertvector(dot[i][p], v16f), sum[i][p]);                                 \
      }                                                                                                        \
    }                                                                                                          \
    for (int i = 0; i < R; ++i)                                                                                \
      for (int p = 0; p < P; ++p) {                                                                            \
        const int64_t left = B->rows - (panel + p) * 16, part = left < 16 ? left : 16;                         \
        const float *from = bias ? bias + (panel + p) * 16 : 0;                                                \
        v16f first = !from ? splat(0) : part == 16 ? load16(from) : load_part(from, part);                     \
        v16f y = fma16(splat(A->scales[m + i]), sum[i][p], first);                                             \
        float *c = C + (m + i) * c_row + (j + p) * 16;                                                         \
        if (part == 16) store16(c, y);                                                                         \
        else store_part(c, y, part);                                                                           \
      }                                                                                                        \
  }

static void gemm_a8(int64_t M, const ck_activations *A, const ck_packed *B, int64_t matrix, int64_t first,
                    int64_t panels, const float *bias, float *C, int64_t c_row) {
  const int64_t row = (int64_t)B->groups * B->group_padded, all = (B->rows + 15) / 16, steps = B->group_padded / 16;
  const int64_t panel_bytes = B->matrix_bytes / all, step_bytes = panel_bytes / (row / 16);
  const int32_t zero = B->format == CK_TERNARY ? 1 : B->format == CK_INT4 ? 8 : 128;
  for (int64_t j = 0; j < panels;) {
    const int64_t panel = first + j, widest = A8_PANELS(M), left = panels - j;
    const int64_t strip = left >= widest ? widest : left >= 2 && widest >= 2 ? 2 : 1;
    const uint8_t *data = B->data + matrix * B->matrix_bytes + panel * panel_bytes;
    const float *scales = B->scales + matrix * B->matrix_scales + panel * B->groups * 16;
    int64_t m = 0;
    if (B->format == CK_TERNARY) { A8_STRIP(CK_TERNARY) }
    else if (B->format == CK_INT4) { A8_STRIP(CK_INT4) }
    else { A8_STRIP(CK_INT8) }
    j += strip;
  }
}
