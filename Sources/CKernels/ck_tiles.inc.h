// Products of 8-bit activations with packed integer weights on tiles; compiled with each header of tile operations (see
// ck_tiles.h). The including file defines
//   TILE_BASE()   the table whose kernels take what does not pay on tiles
//
// The layout of packed weights is that of a tile: quad j of step s of a panel is row 4s + j of a tile of 64 inputs ×
// sixteen outputs. int8 panels are loaded where they lie, as unsigned codes. Ternary and int4 panels are widened to signed
// codes once for a strip of panels, and all tokens use them.
#include "ck_tiles_sums.inc.h"
#include "ck_vector.h"

enum {
  STRIP_PANELS = 4,
  BLOCK_TOKENS = 2 * TILE_ROWS,
  // Tiles of one panel that are widened at a time, and tokens that share them if a panel has more.
  BLOCK_TILES = 32,
  CHUNK_TOKENS = 128,
  STRIP_OUTPUTS = 16 * STRIP_PANELS,
};

// One strip: all tokens against up to four panels from `panel` on.
typedef struct {
  int64_t M;
  const ck_activations *A;
  const ck_packed *B;
  int64_t panel, panels;
  const uint8_t *data;  // codes of the first panel
  int64_t panel_bytes;
  const float *scales;  // scales of the first panel
  int64_t row;          // activations of one token
  int64_t group_tiles;  // tiles of one group, the last one padded with zeros
  int64_t in_place;     // tiles of a panel that are loaded where they lie
  const float *bias;    // of all outputs of B, or NULL
  float *C;             // output 0 of the strip
  int64_t c_row;
} tile_strip;

typedef struct {
  _Alignas(64) uint8_t weights[STRIP_PANELS][BLOCK_TILES][TILE_BYTES];
  // Sums of one group (int32), or over groups (fp32).
  _Alignas(64) union {
    int32_t dots[CHUNK_TOKENS][STRIP_OUTPUTS];
    float sums[CHUNK_TOKENS][STRIP_OUTPUTS];
  };
  _Alignas(64) int32_t groups[2][4][TILE_ROWS][16];
  _Alignas(64) int8_t codes[2][TILE_ROWS][TILE_INPUTS];
} tile_scratch;

// One tile from `steps` ≤ 4 steps of sixteen inputs: signed codes, or for int8 the unsigned codes; zeros after the steps.
CK_INLINE void widen_tile(int format, const uint8_t *from, int64_t steps, uint8_t *to) {
  typedef uint8_t v64b __attribute__((vector_size(64)));
  const uint8_t zero = format == CK_INT8 ? 0 : (uint8_t)ck_zero_code(format);
  const int bits = ck_code_bits(format), per_byte = 8 / bits;
  const uint8_t mask = (uint8_t)((1 << bits) - 1);
  for (int64_t s = 0; s < steps; ++s, from += ck_step_bytes(format))
    _Pragma("clang loop unroll(full)") for (int j = 0; j < 4; ++j) {
      v64b codes;
      memcpy(&codes, from + 64 * (j / per_byte), 64);
      codes = ((codes >> (uint8_t)(bits * (j % per_byte))) & mask) - zero;
      memcpy(to + (4 * s + j) * 64, &codes, 64);
    }
  memset(to + 256 * steps, 0, (size_t)(TILE_BYTES - 256 * steps));
}

// Widens tiles first…first+count-1 of every panel.
CK_INLINE void widen_strip(int format, const tile_strip *s, int64_t first, int64_t count, tile_scratch *scratch) {
  const int64_t steps = s->B->group_padded / 16, step_bytes = ck_step_bytes(format);
  for (int64_t p = 0; p < s->panels; ++p)
    for (int64_t i = 0; i < count; ++i) {
      const int64_t tile = first + i, group = tile / s->group_tiles, step = tile % s->group_tiles * 4;
      if (tile < s->in_place) continue;
      const uint8_t *from = s->data + p * s->panel_bytes + (group * steps + step) * step_bytes;
      widen_tile(format, from, steps - step < 4 ? steps - step : 4, scratch->weights[p][i]);
    }
}

// Where tile `tile` of panel p is, of a block that begins at tile `first`.
CK_INLINE const uint8_t *weight_tile(const tile_strip *s, int64_t p, int64_t tile, int64_t first,
                                     const tile_scratch *scratch) {
  if (tile < s->in_place) return s->data + p * s->panel_bytes + tile * TILE_BYTES;
  return scratch->weights[p][tile - first];
}

typedef struct {
  const int8_t *codes;
  int64_t stride;
} code_tile;

// 64 codes of `tokens` ≤ 16 tokens from token m and code `at` on. Codes after the end of a row become zeros; codes of
// the next group meet zero weights.
CK_INLINE code_tile activation_tile(const tile_strip *s, int64_t m, int64_t tokens, int64_t at,
                                    int8_t copy[TILE_ROWS][TILE_INPUTS]) {
  const int8_t *codes = s->A->codes + m * s->row + at;
  if (at + TILE_INPUTS <= s->row) return (code_tile){codes, s->row};
  const int64_t left = s->row - at;
  for (int64_t r = 0; r < tokens; ++r) {
    memset(copy[r], 0, TILE_INPUTS);
    memcpy(copy[r], codes + r * s->row, (size_t)left);
  }
  return (code_tile){copy[0], TILE_INPUTS};
}

#define DOT_8(FORMAT, C, A, B)                              \
  do {                                                      \
    if (FORMAT == CK_INT8) tile_dot_su8(file, C, A, B);     \
    else tile_dot_s8(file, C, A, B);                        \
  } while (0)

// Exact sums of tiles first…first+count-1 for up to 32 tokens from m on and panels from p on: `two` rows of tiles × up to
// two panels, or one × up to four. `dots` has the sums of the tiles before `first`.
CK_INLINE void dot_block(int format, const tile_strip *s, tile_file *file, int64_t m, int64_t tokens, int64_t p,
                         int64_t panels, int64_t first, int64_t count, int32_t *dots, tile_scratch *scratch) {
  const bool two = tokens > TILE_ROWS;
  const int64_t top = two ? TILE_ROWS : tokens, stride = STRIP_OUTPUTS * 4;
  if (first == 0) {
    tile_zero(file, 0);
    tile_zero(file, 1);
    tile_zero(file, 2);
    tile_zero(file, 3);
  } else {
    load_sums(file, dots, stride, two, panels);
  }
  for (int64_t tile = first; tile < first + count; ++tile) {
    const code_tile a = activation_tile(s, m, top, tile * TILE_INPUTS, scratch->codes[0]);
    tile_load(file, 4, a.codes, a.stride);
    tile_load(file, 6, weight_tile(s, p, tile, first, scratch), 64);
    DOT_8(format, 0, 4, 6);
    if (panels > 1) {
      tile_load(file, 7, weight_tile(s, p + 1, tile, first, scratch), 64);
      DOT_8(format, 1, 4, 7);
    }
    if (two) {
      const code_tile b = activation_tile(s, m + TILE_ROWS, tokens - TILE_ROWS, tile * TILE_INPUTS, scratch->codes[1]);
      tile_load(file, 5, b.codes, b.stride);
      DOT_8(format, 2, 5, 6);
      if (panels > 1) DOT_8(format, 3, 5, 7);
    } else {
      if (panels > 2) {
        tile_load(file, 6, weight_tile(s, p + 2, tile, first, scratch), 64);
        DOT_8(format, 2, 4, 6);
      }
      if (panels > 3) {
        tile_load(file, 7, weight_tile(s, p + 3, tile, first, scratch), 64);
        DOT_8(format, 3, 4, 7);
      }
    }
  }
  store_sums(file, dots, stride, two, panels);
}

// Sets the tiles for a block of tokens, unless they are so already.
CK_INLINE void configure_block(tile_file *file, int64_t tokens) {
  const tile_rows rows = tile_block_rows(tokens);
  if (memcmp(&rows, &file->rows, sizeof rows)) tile_configure(file, rows);
}

// C = x_scale · sum + bias for `tokens` tokens from m on, where scratch has the sums or, `dots`, the exact sums of the
// only group. The results pass through memory that is contiguous, because rows of C may be a multiple of 4 KiB apart.
CK_INLINE void finish_tokens(int format, const tile_strip *s, int64_t m, int64_t tokens, bool dots,
                             const tile_scratch *scratch) {
  const int32_t zero = format == CK_INT8 ? ck_zero_code(format) : 0;
  for (int64_t i = 0; i < tokens; ++i)
    for (int64_t p = 0; p < s->panels; ++p) {
      const int64_t left = s->B->rows - (s->panel + p) * 16, part = left < 16 ? left : 16;
      const float *from = s->bias ? s->bias + (s->panel + p) * 16 : 0;
      const v16f first = !from ? splat(0) : part == 16 ? load16(from) : load_part(from, part);
      v16f sum;
      if (dots) {
        v16i dot;
        memcpy(&dot, scratch->dots[i] + p * 16, 64);
        if (zero) dot -= isplat(zero * s->A->sums[m + i]);
        sum = fma16(load16(s->scales + p * 16), __builtin_convertvector(dot, v16f), splat(0));
      } else {
        sum = load16(scratch->sums[i] + p * 16);
      }
      const v16f y = fma16(splat(s->A->scales[m + i]), sum, first);
      float *c = s->C + (m + i) * s->c_row + p * 16;
      if (part == 16) store16(c, y);
      else store_part(c, y, part);
    }
}

// One scale for each output.
CK_INLINE void strip_of_one_group(int format, const tile_strip *s, tile_file *file, tile_scratch *scratch) {
  const int64_t tiles = s->group_tiles, chunk = tiles > BLOCK_TILES ? CHUNK_TOKENS : BLOCK_TOKENS;
  for (int64_t m = 0, tokens; m < s->M; m += tokens) {
    tokens = s->M - m < chunk ? s->M - m : chunk;
    for (int64_t first = 0, count; first < tiles; first += count) {
      count = tiles - first < BLOCK_TILES ? tiles - first : BLOCK_TILES;
      if (m == 0 || tiles > BLOCK_TILES) widen_strip(format, s, first, count, scratch);
      for (int64_t i = 0, block; i < tokens; i += block) {
        block = tokens - i < BLOCK_TOKENS ? tokens - i : BLOCK_TOKENS;
        configure_block(file, block);
        const int64_t widest = block > TILE_ROWS ? 2 : STRIP_PANELS;
        for (int64_t p = 0, panels; p < s->panels; p += panels) {
          panels = s->panels - p < widest ? s->panels - p : widest;
          int32_t *dots = scratch->dots[i] + p * 16;
          // Constant sizes for the usual blocks.
          if (block > TILE_ROWS && panels == 2)
            dot_block(format, s, file, m + i, block, p, 2, first, count, dots, scratch);
          else if (block <= TILE_ROWS && panels == 4)
            dot_block(format, s, file, m + i, block, p, 4, first, count, dots, scratch);
          else dot_block(format, s, file, m + i, block, p, panels, first, count, dots, scratch);
        }
      }
    }
    finish_tokens(format, s, m, tokens, true, scratch);
  }
}

// Tile C gets the exact sums of group `g` of the panel p, and stores them.
#define DOT_GROUP(C)                                                                                                \
  if (C < groups) {                                                                                                 \
    tile_zero(file, C);                                                                                             \
    for (int64_t t = 0; t < s->group_tiles; ++t) {                                                                  \
      const int64_t at = (g + C) * s->B->group_padded + t * TILE_INPUTS;                                            \
      const code_tile a = activation_tile(s, m, tokens, at, scratch->codes[0]);                                     \
      tile_load(file, 4 + C % 2, a.codes, a.stride);                                                                \
      tile_load(file, 6 + C % 2, scratch->weights[p][(g + C - first) * s->group_tiles + t], 64);                    \
      tile_dot_s8(file, C, 4 + C % 2, 6 + C % 2);                                                                   \
    }                                                                                                               \
    tile_store(file, C, to[C][0], 64);                                                                              \
  }
CK_INLINE void dot_groups(const tile_strip *s, tile_file *file, int64_t m, int64_t tokens, int64_t p, int64_t g,
                          int64_t groups, int64_t first, int32_t to[4][TILE_ROWS][16], tile_scratch *scratch) {
  DOT_GROUP(0)
  DOT_GROUP(1)
  DOT_GROUP(2)
  DOT_GROUP(3)
}
#undef DOT_GROUP

// Up to sixteen tokens against the panel p: adds groups first…first+count-1, in order, to `sums`. A tile product is soon
// done, so four groups have tiles side by side, and while those of four groups are computed the four before are scaled.
CK_INLINE void scaled_groups(const tile_strip *s, tile_file *file, int64_t m, int64_t tokens, int64_t p, int64_t first,
                             int64_t count, float *sums, tile_scratch *scratch) {
  v16f sum[TILE_ROWS];
  for (int i = 0; i < TILE_ROWS; ++i) sum[i] = first && i < tokens ? load16(sums + i * STRIP_OUTPUTS) : splat(0);
  const float *scales = s->scales + (p * s->B->groups + first) * 16;
  for (int64_t q = 0; q < count + 4; q += 4) {
    const int64_t ahead = count - q < 4 ? count - q : 4, ready = count - q + 4 < 4 ? count - q + 4 : 4;
    if (ahead > 0)
      dot_groups(s, file, m, tokens, p, first + q, ahead, first, scratch->groups[q / 4 % 2], scratch);
    if (q == 0) continue;
    for (int64_t c = 0; c < ready; ++c) {
      const int32_t(*dots)[16] = scratch->groups[(q / 4 + 1) % 2][c];
      const v16f scale = load16(scales + (q - 4 + c) * 16);
      _Pragma("clang loop unroll(full)") for (int i = 0; i < TILE_ROWS; ++i) {
        v16i dot;
        memcpy(&dot, dots[i], 64);
        sum[i] = fma16(scale, __builtin_convertvector(dot, v16f), sum[i]);
      }
    }
  }
  for (int i = 0; i < TILE_ROWS; ++i)
    if (i < tokens) store16(sums + i * STRIP_OUTPUTS, sum[i]);
}

// int4 with a scale for every group of inputs.
static void strip_of_groups(const tile_strip *s, tile_file *file, tile_scratch *scratch) {
  const int64_t groups = s->B->groups, most = BLOCK_TILES / s->group_tiles;
  const int64_t chunk = groups > most ? CHUNK_TOKENS : TILE_ROWS;
  for (int64_t m = 0, tokens; m < s->M; m += tokens) {
    tokens = s->M - m < chunk ? s->M - m : chunk;
    for (int64_t first = 0, count; first < groups; first += count) {
      count = groups - first < most ? groups - first : most;
      if (m == 0 || groups > most)
        widen_strip(CK_INT4, s, first * s->group_tiles, count * s->group_tiles, scratch);
      for (int64_t i = 0, block; i < tokens; i += block) {
        block = tokens - i < TILE_ROWS ? tokens - i : TILE_ROWS;
        configure_block(file, block);
        for (int64_t p = 0; p < s->panels; ++p)
          scaled_groups(s, file, m + i, block, p, first, count, scratch->sums[i] + p * 16, scratch);
      }
    }
    finish_tokens(CK_INT4, s, m, tokens, false, scratch);
  }
}

// Few tokens do not repay widening, and short groups leave tiles empty.
CK_INLINE bool pays_on_tiles(int64_t M, const ck_packed *B) {
  if (M < (B->format == CK_INT8 ? 4 : 8) || B->group_padded < 48) return false;
  return B->groups == 1 || (B->group_padded + TILE_INPUTS - 1) / TILE_INPUTS <= BLOCK_TILES;
}

static __attribute__((noinline)) void tiles_a8(int64_t M, const ck_activations *A, const ck_packed *B, int64_t matrix,
                                               int64_t first, int64_t panels, const float *bias, float *C,
                                               int64_t c_row) {
  const int64_t panel_bytes = B->matrix_bytes / ((B->rows + 15) / 16);
  tile_scratch scratch;
  tile_file file;
  memset(&file, 0, sizeof file);
  memset(scratch.groups, 0, sizeof scratch.groups);
  for (int64_t j = 0; j < panels;) {
    const int64_t panel = first + j, left = panels - j;
    const tile_strip strip = {
        .M = M,
        .A = A,
        .B = B,
        .panel = panel,
        .panels = left < STRIP_PANELS ? left : STRIP_PANELS,
        .data = B->data + matrix * B->matrix_bytes + panel * panel_bytes,
        .panel_bytes = panel_bytes,
        .scales = B->scales + matrix * B->matrix_scales + panel * B->groups * 16,
        .row = (int64_t)B->groups * B->group_padded,
        .group_tiles = (B->group_padded + TILE_INPUTS - 1) / TILE_INPUTS,
        .in_place = B->format == CK_INT8 ? B->group_padded / TILE_INPUTS : 0,
        .bias = bias,
        .C = C + j * 16,
        .c_row = c_row,
    };
    if (B->groups > 1) strip_of_groups(&strip, &file, &scratch);
    else if (B->format == CK_TERNARY) strip_of_one_group(CK_TERNARY, &strip, &file, &scratch);
    else if (B->format == CK_INT4) strip_of_one_group(CK_INT4, &strip, &file, &scratch);
    else strip_of_one_group(CK_INT8, &strip, &file, &scratch);
    j += strip.panels;
  }
  tile_release(&file);
}

static void gemm_a8(int64_t M, const ck_activations *A, const ck_packed *B, int64_t matrix, int64_t first,
                    int64_t panels, const float *bias, float *C, int64_t c_row) {
  if (pays_on_tiles(M, B)) tiles_a8(M, A, B, matrix, first, panels, bias, C, c_row);
  else TILE_BASE()->gemm_a8(M, A, B, matrix, first, panels, bias, C, c_row);
}
