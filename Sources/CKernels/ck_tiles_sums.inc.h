// The tiles of C of a block of up to 32 tokens, for kernels on tiles; compiled with each header of tile operations.
//
// Sums of four bytes lie in rows of `stride` bytes, one row a token and sixteen outputs a panel. With `two` rows of tiles
// there are up to two panels, else up to four (see tile_block_rows).
#pragma once
#include "ck_vector.h"

CK_INLINE void load_sums(tile_file *file, const void *sums, int64_t stride, bool two, int64_t panels) {
  const char *upper = sums, *lower = upper + TILE_ROWS * stride;
  tile_load(file, 0, upper, stride);
  if (panels > 1) tile_load(file, 1, upper + 64, stride);
  if (two) {
    tile_load(file, 2, lower, stride);
    if (panels > 1) tile_load(file, 3, lower + 64, stride);
  } else {
    if (panels > 2) tile_load(file, 2, upper + 128, stride);
    if (panels > 3) tile_load(file, 3, upper + 192, stride);
  }
}

CK_INLINE void store_sums(tile_file *file, void *sums, int64_t stride, bool two, int64_t panels) {
  char *upper = sums, *lower = upper + TILE_ROWS * stride;
  tile_store(file, 0, upper, stride);
  if (panels > 1) tile_store(file, 1, upper + 64, stride);
  if (two) {
    tile_store(file, 2, lower, stride);
    if (panels > 1) tile_store(file, 3, lower + 64, stride);
  } else {
    if (panels > 2) tile_store(file, 2, upper + 128, stride);
    if (panels > 3) tile_store(file, 3, upper + 192, stride);
  }
}
