// Products of 8-bit activations with packed integer weights; compiled once per instruction set, like ck_kernels.inc.h.
// The including file defines
//   A8_TILES(X)     X(R, P) for every register tile of R rows and P panels, largest R first within a P
//   a8_dot_RxP(format, group, dot[R][P])   for each of them: start[R] + exact sums over one group
//   A8_PANELS(M)    panels of a strip for M rows

// One strip: all rows against `panels` panels from `panel` on. Column 0 of C is output 16·panel.
typedef struct {
  int64_t M;
  const ck_activations *A;
  const ck_packed *B;
  int64_t panel, panels;
  const uint8_t *data;  // codes of the first panel
  const float *scales;  // scales of the first panel
  int64_t row, steps, step_bytes, panel_bytes;
  int32_t zero;
  const float *bias;  // of all outputs of B, or NULL
  float *C;
  int64_t c_row;
} a8_strip;

// The macro makes one function for each tile, since the sizes of its arrays must be constants.
#define DEFINE_A8_TILE(R, P)                                                                              \
  CK_INLINE void a8_tile_##R##x##P(int format, const a8_strip *s, int64_t m) {                            \
    const ck_activations *A = s->A;                                                                       \
    const int64_t groups = s->B->groups;                                                                  \
    v16f sum[R][P];                                                                                       \
    for (int i = 0; i < R; ++i)                                                                           \
      for (int p = 0; p < P; ++p) sum[i][p] = splat(0);                                                   \
    for (int64_t g = 0; g < groups; ++g) {                                                                \
      v16i dot[R][P];                                                                                     \
      int32_t start[R];                                                                                   \
      for (int i = 0; i < R; ++i) start[i] = -s->zero * A->sums[(m + i) * groups + g];                    \
      const a8_group group = {                                                                            \
          .codes = A->codes + m * s->row + g * s->B->group_padded,                                        \
          .row = s->row,                                                                                  \
          .w = s->data + g * s->steps * s->step_bytes,                                                    \
          .panel_bytes = s->panel_bytes,                                                                  \
          .steps = s->steps,                                                                              \
          .start = start,                                                                                 \
      };                                                                                                  \
      a8_dot_##R##x##P(format, group, dot);                                                               \
      _Pragma("clang loop unroll(full)") for (int p = 0; p < P; ++p) {                                    \
        const v16f scale = load16(s->scales + (p * groups + g) * 16);                                     \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < R; ++i) sum[i][p] =                        \
            fma16(scale, __builtin_convertvector(dot[i][p], v16f), sum[i][p]);                            \
      }                                                                                                   \
    }                                                                                                     \
    for (int i = 0; i < R; ++i)                                                                           \
      for (int p = 0; p < P; ++p) {                                                                       \
        const int64_t left = s->B->rows - (s->panel + p) * 16, part = left < 16 ? left : 16;              \
        const float *from = s->bias ? s->bias + (s->panel + p) * 16 : 0;                                  \
        const v16f first = !from ? splat(0) : part == 16 ? load16(from) : load_part(from, part);          \
        const v16f y = fma16(splat(A->scales[m + i]), sum[i][p], first);                                  \
        float *c = s->C + (m + i) * s->c_row + p * 16;                                                    \
        if (part == 16) store16(c, y);                                                                    \
        else store_part(c, y, part);                                                                      \
      }                                                                                                   \
  }
A8_TILES(DEFINE_A8_TILE)

CK_INLINE void a8_rows(int format, const a8_strip *s) {
  int64_t m = 0;
#define A8_ROWS(R, P) \
  if (s->panels == P) \
    for (; s->M - m >= R; m += R) a8_tile_##R##x##P(format, s, m);
  A8_TILES(A8_ROWS)
#undef A8_ROWS
}

static void gemm_a8(int64_t M, const ck_activations *A, const ck_packed *B, int64_t matrix, int64_t first,
                    int64_t panels, const float *bias, float *C, int64_t c_row) {
  const int64_t row = (int64_t)B->groups * B->group_padded, panel_bytes = B->matrix_bytes / ((B->rows + 15) / 16);
  const int64_t widest = A8_PANELS(M);
  for (int64_t j = 0; j < panels;) {
    const int64_t panel = first + j, left = panels - j;
    const a8_strip strip = {
        .M = M,
        .A = A,
        .B = B,
        .panel = panel,
        .panels = left >= widest ? widest : left >= 2 && widest >= 2 ? 2 : 1,
        .data = B->data + matrix * B->matrix_bytes + panel * panel_bytes,
        .scales = B->scales + matrix * B->matrix_scales + panel * B->groups * 16,
        .row = row,
        .steps = B->group_padded / 16,
        .step_bytes = panel_bytes / (row / 16),
        .panel_bytes = panel_bytes,
        .zero = ck_zero_code(B->format),
        .bias = bias,
        .C = C + j * 16,
        .c_row = c_row,
    };
    // A constant format lets the compiler make one loop for each.
    if (B->format == CK_TERNARY) a8_rows(CK_TERNARY, &strip);
    else if (B->format == CK_INT4) a8_rows(CK_INT4, &strip);
    else a8_rows(CK_INT8, &strip);
    j += strip.panels;
  }
}
