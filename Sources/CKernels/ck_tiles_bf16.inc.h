// bfloat16 products in the order `tiles` on tiles; compiled with each header of tile operations (see ck_tiles.h). The
// including file defines TILE_BASE(), as for ck_tiles.inc.h.
//
// A tile product is one step of the order, so sums stay in tiles from step to step. Right operands are loaded where they
// lie, in either layout; left operands too, unless they are pairs of rows, which are transposed for a block of tokens.
#include "ck_tiles_sums.inc.h"
#include "ck_transpose.h"
#include "ck_vector.h"

enum {
  BF16_TOKENS = 2 * TILE_ROWS,
  BF16_PANELS = 4,
  BF16_STEPS = 32,  // steps whose left operands are copied at a time
};

typedef struct {
  _Alignas(64) uint32_t a[2][BF16_STEPS][TILE_ROWS][TILE_PAIRS];
  _Alignas(64) uint32_t b[BF16_PANELS][TILE_PAIRS][16];
  _Alignas(64) float c[BF16_TOKENS][16 * BF16_PANELS];
} bf16_scratch;

// A block of up to 32 tokens and some neighbouring steps of one part.
typedef struct {
  const ck_bf16_product *part;
  int64_t m, tokens;
  int64_t pair, steps;  // the first pair; steps of TILE_PAIRS, the last one padded with zeros
} bf16_block;

// Whether the left operand of step k lies in memory as a tile.
CK_INLINE bool a_in_place(const bf16_block *block, int64_t k) {
  return block->part->a_pair == 1 && block->pair + (k + 1) * TILE_PAIRS <= block->part->pairs;
}

// Copies the left operands that do not lie in memory as tiles.
CK_INLINE void copy_a(const bf16_block *block, bf16_scratch *scratch) {
  const ck_bf16_product *part = block->part;
  for (int64_t row = 0; row < block->tokens; row += TILE_ROWS) {
    const int64_t tokens = block->tokens - row < TILE_ROWS ? block->tokens - row : TILE_ROWS;
    for (int64_t k = 0; k < block->steps; ++k) {
      if (a_in_place(block, k)) continue;
      const int64_t pair = block->pair + k * TILE_PAIRS, left = part->pairs - pair;
      const int64_t pairs = left < TILE_PAIRS ? left : TILE_PAIRS;
      const uint32_t *from = part->a + (block->m + row) * part->a_row + pair * part->a_pair;
      uint32_t(*to)[TILE_PAIRS] = scratch->a[row / TILE_ROWS][k];
      if (part->a_pair == 1) {
        for (int64_t i = 0; i < tokens; ++i) {
          memset(to[i], 0, sizeof to[i]);
          memcpy(to[i], from + i * part->a_row, (size_t)pairs * 4);
        }
        continue;
      }
      v16i words[16];
      for (int64_t i = 0; i < TILE_PAIRS; ++i) {
        words[i] = isplat(0);
        if (i < pairs && part->a_row == 1) memcpy(&words[i], from + i * part->a_pair, (size_t)tokens * 4);
        else if (i < pairs)
          for (int64_t j = 0; j < tokens; ++j) words[i][j] = (int32_t)from[i * part->a_pair + j * part->a_row];
      }
      transpose16(words);
      memcpy(to, words, sizeof words);
    }
  }
}

typedef struct {
  const void *words;
  int64_t stride;  // bytes
} word_tile;

CK_INLINE word_tile left_tile(const bf16_block *block, int64_t row, int64_t k, const bf16_scratch *scratch) {
  const ck_bf16_product *part = block->part;
  if (a_in_place(block, k)) {
    const int64_t pair = block->pair + k * TILE_PAIRS;
    return (word_tile){part->a + (block->m + row) * part->a_row + pair, part->a_row * 4};
  }
  return (word_tile){scratch->a[row / TILE_ROWS][k], TILE_PAIRS * 4};
}

// Step k of the panel; a last step that is not complete is copied to `copy` and padded with zeros.
CK_INLINE word_tile right_tile(const bf16_block *block, int64_t panel, int64_t k, uint32_t copy[TILE_PAIRS][16]) {
  const ck_bf16_product *part = block->part;
  const int64_t pair = block->pair + k * TILE_PAIRS, left = part->pairs - pair;
  const uint32_t *from = part->b + panel * part->b_panel + pair * part->b_pair;
  if (left >= TILE_PAIRS) return (word_tile){from, part->b_pair * 4};
  memset(copy, 0, TILE_BYTES);
  for (int64_t i = 0; i < left; ++i) memcpy(copy[i], from + i * part->b_pair, 64);
  return (word_tile){copy, 64};
}

// C tiles ← C tiles + the block's steps against `panels` panels from `panel` on, through scratch->c.
CK_INLINE void dot_bf16_block(const bf16_block *block, tile_file *file, int64_t panel, int64_t panels,
                              bf16_scratch *scratch) {
  const bool two = block->tokens > TILE_ROWS;
  const int64_t stride = sizeof scratch->c[0];
  load_sums(file, scratch->c, stride, two, panels);
  for (int64_t k = 0; k < block->steps; ++k) {
    const word_tile a = left_tile(block, 0, k, scratch);
    tile_load(file, 4, a.words, a.stride);
    const word_tile b = right_tile(block, panel, k, scratch->b[0]);
    tile_load(file, 6, b.words, b.stride);
    tile_dot_bf16(file, 0, 4, 6);
    if (panels > 1) {
      const word_tile next = right_tile(block, panel + 1, k, scratch->b[1]);
      tile_load(file, 7, next.words, next.stride);
      tile_dot_bf16(file, 1, 4, 7);
    }
    if (two) {
      const word_tile below = left_tile(block, TILE_ROWS, k, scratch);
      tile_load(file, 5, below.words, below.stride);
      tile_dot_bf16(file, 2, 5, 6);
      if (panels > 1) tile_dot_bf16(file, 3, 5, 7);
    } else {
      if (panels > 2) {
        const word_tile next = right_tile(block, panel + 2, k, scratch->b[2]);
        tile_load(file, 6, next.words, next.stride);
        tile_dot_bf16(file, 2, 4, 6);
      }
      if (panels > 3) {
        const word_tile next = right_tile(block, panel + 3, k, scratch->b[3]);
        tile_load(file, 7, next.words, next.stride);
        tile_dot_bf16(file, 3, 4, 7);
      }
    }
  }
  store_sums(file, scratch->c, stride, two, panels);
}

static __attribute__((noinline)) void tiles_bf16(int64_t M, int64_t N, const ck_bf16_product *parts, int64_t count,
                                                 const float *bias, float *C, int64_t c_row, bool accumulate) {
  bf16_scratch scratch;
  tile_file file;
  for (int64_t m = 0, tokens; m < M; m += tokens) {
    tokens = M - m < BF16_TOKENS ? M - m : BF16_TOKENS;
    if (m == 0 || tokens < BF16_TOKENS) tile_configure(&file, tile_block_rows(tokens));
    const int64_t widest = tokens > TILE_ROWS ? 2 : BF16_PANELS;
    bool begun = false;
    for (int64_t s = 0; s < count; ++s)
      for (int64_t pair = 0; pair < parts[s].pairs; pair += BF16_STEPS * TILE_PAIRS) {
        const int64_t steps = (parts[s].pairs - pair + TILE_PAIRS - 1) / TILE_PAIRS;
        const bf16_block block = {
            .part = parts + s,
            .m = m,
            .tokens = tokens,
            .pair = pair,
            .steps = steps < BF16_STEPS ? steps : BF16_STEPS,
        };
        copy_a(&block, &scratch);
        for (int64_t n = 0, panels; n < N; n += 16 * panels) {
          const int64_t left = (N - n + 15) / 16, columns = N - n < 16 * widest ? N - n : 16 * widest;
          panels = left < widest ? left : widest;
          // C in neighbouring rows: its own rows may be a multiple of 4 KiB apart, which the first cache cannot hold.
          for (int64_t i = 0; i < tokens; ++i) {
            const float *from = begun || accumulate ? C + (m + i) * c_row + n : bias ? bias + n : 0;
            for (int64_t j = 0; j < 16 * panels; j += 16) {
              const int64_t width = columns - j < 16 ? columns - j : 16;
              store16(scratch.c[i] + j, !from ? splat(0) : width == 16 ? load16(from + j) : load_part(from + j, width));
            }
          }
          // Constant sizes for the usual blocks.
          if (tokens > TILE_ROWS && panels == 2) dot_bf16_block(&block, &file, n / 16, 2, &scratch);
          else if (tokens <= TILE_ROWS && panels == 4) dot_bf16_block(&block, &file, n / 16, 4, &scratch);
          else dot_bf16_block(&block, &file, n / 16, panels, &scratch);
          for (int64_t i = 0; i < tokens; ++i)
            for (int64_t j = 0; j < columns; j += 16) {
              const int64_t width = columns - j < 16 ? columns - j : 16;
              if (width == 16) store16(C + (m + i) * c_row + n + j, load16(scratch.c[i] + j));
              else store_part(C + (m + i) * c_row + n + j, load16(scratch.c[i] + j), width);
            }
        }
        begun = true;
      }
  }
  tile_release(&file);
}

static void gemm_bf16_tiles(int64_t M, int64_t N, const ck_bf16_product *parts, int64_t count, const float *bias,
                            float *C, int64_t c_row, bool accumulate) {
  int64_t pairs = 0;
  for (int64_t s = 0; s < count; ++s) pairs += parts[s].pairs;
  // A few tokens leave the tiles empty.
  if (M < 4 || pairs == 0) {
    TILE_BASE()->gemm_bf16_tiles(M, N, parts, count, bias, C, c_row, accumulate);
    return;
  }
  const ck_float_mode mode = ck_flush_subnormals();
  tiles_bf16(M, N, parts, count, bias, C, c_row, accumulate);
  ck_restore_float_mode(mode);
}
