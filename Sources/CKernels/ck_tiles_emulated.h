// Tile operations in C (see ck_tiles.h).
#pragma once
#include "ck_tiles.h"
#include "ck_vector.h"

typedef struct {
  tile_rows rows;
  _Alignas(64) uint8_t data[8][TILE_ROWS][64];
} tile_file;

static void tile_configure(tile_file *file, tile_rows rows) {
  file->rows = rows;
  memset(file->data, 0, sizeof file->data);
}
// Rubbish, so that a kernel that relies on tiles after their release fails its tests.
static void tile_release(tile_file *file) { memset(file, 0xa5, sizeof *file); }
static void tile_zero(tile_file *file, int c) { memset(file->data[c], 0, TILE_BYTES); }
static void tile_load(tile_file *file, int c, const void *p, int64_t stride) {
  tile_zero(file, c);
  for (int64_t r = 0; r < file->rows.rows[c]; ++r)
    memcpy(file->data[c][r], (const uint8_t *)p + r * stride, 64);
}
static void tile_store(tile_file *file, int c, void *p, int64_t stride) {
  for (int64_t r = 0; r < file->rows.rows[c]; ++r) memcpy((uint8_t *)p + r * stride, file->data[c][r], 64);
}

// The processor raises a fault if the rows do not agree.
static void tile_check(const tile_file *file, int c, int a, int b) {
  if (file->rows.rows[c] != file->rows.rows[a] || file->rows.rows[b] != TILE_ROWS) __builtin_trap();
}

static void tile_dot_8(tile_file *file, int c, int a, int b, bool isSigned) {
  tile_check(file, c, a, b);
  for (int m = 0; m < file->rows.rows[c]; ++m) {
    uint32_t sum[16];
    memcpy(sum, file->data[c][m], 64);
    for (int k = 0; k < 16; ++k)
      for (int n = 0; n < 16; ++n)
        for (int i = 0; i < 4; ++i) {
          const uint8_t byte = file->data[b][k][4 * n + i];
          sum[n] += (uint32_t)((int8_t)file->data[a][m][4 * k + i] * (isSigned ? (int8_t)byte : byte));
        }
    memcpy(file->data[c][m], sum, 64);
  }
}
static void tile_dot_s8(tile_file *file, int c, int a, int b) { tile_dot_8(file, c, a, b, true); }
static void tile_dot_su8(tile_file *file, int c, int a, int b) { tile_dot_8(file, c, a, b, false); }

// Between ck_flush_subnormals and ck_restore_float_mode.
static void tile_dot_bf16(tile_file *file, int c, int a, int b) {
  tile_check(file, c, a, b);
  for (int m = 0; m < file->rows.rows[c]; ++m) {
    v16f even = splat(0), odd = splat(0), sum;
    for (int k = 0; k < TILE_PAIRS; ++k) {
      uint32_t word, low, high;
      v16i words;
      float x, y;
      memcpy(&word, &file->data[a][m][4 * k], 4);
      memcpy(&words, file->data[b][k], 64);
      low = word << 16;
      high = word & 0xffff0000u;
      memcpy(&x, &low, 4);
      memcpy(&y, &high, 4);
      even = fma16(splat(x), (v16f)(words << 16), even);
      odd = fma16(splat(y), (v16f)(words & isplat((int32_t)0xffff0000u)), odd);
    }
    memcpy(&sum, file->data[c][m], 64);
    sum = sum + (even + odd);
    memcpy(file->data[c][m], &sum, 64);
  }
}
