// Tiles: registers of sixteen rows of 64 bytes, and products of them (Intel AMX).
//
// ck_tiles.inc.h and ck_tiles_bf16.inc.h are written over the operations below. ck_tiles_native.h has them as
// instructions, ck_tiles_emulated.h in C, so that every machine can test all of the kernels' logic. `file` is the
// register file; tile numbers are literals, 0…7.
//
//   tile_file                       the registers: a type
//   tile_configure(file, rows)      sets the rows of every tile (0…16 of 64 bytes) and clears all tiles
//   tile_release(file)              gives the registers back to the system
//   tile_zero(file, c)
//   tile_load(file, c, p, stride)   row r from the 64 bytes at p + r·stride
//   tile_store(file, c, p, stride)
//   tile_dot_s8(file, c, a, b)      C[m, n] += Σ over the 64 inputs of row m of A with column n of B: row k of B has
//                                   inputs 4k…4k+3 of output n in bytes 4n…4n+3. Both signed; sums wrap around.
//   tile_dot_su8(file, c, a, b)     the same with B unsigned
//   tile_dot_bf16(file, c, a, b)    one step of the order `tiles` (ck_reference_gemm_bf16_tiles): row m of A has sixteen
//                                   pairs, row k of B has pair k of output n in word n
//
// The rows of C and A are tokens and must agree; B has sixteen rows.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum {
  TILE_ROWS = 16,
  TILE_BYTES = 1024,
  TILE_INPUTS = 64,  // 8-bit inputs of one tile product
  TILE_PAIRS = 16,   // bfloat16 pairs of one tile product
};

// Rows of all tiles for blocks of up to 32 tokens: C is 0 … 3, A is 4 and 5, B is 6 and 7. With one row of tiles
// (up to sixteen tokens), C has the same tokens everywhere; with two, tiles 2, 3 and 5 have the tokens from the seventeenth on.
typedef struct {
  uint8_t rows[8];
} tile_rows;

static inline tile_rows tile_block_rows(int64_t tokens) {
  const uint8_t first = tokens < TILE_ROWS ? (uint8_t)tokens : TILE_ROWS;
  const uint8_t second = tokens > TILE_ROWS ? (uint8_t)(tokens - TILE_ROWS) : first;
  return (tile_rows){{first, first, second, second, first, second, TILE_ROWS, TILE_ROWS}};
}
