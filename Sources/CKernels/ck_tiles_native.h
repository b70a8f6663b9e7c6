// Tile operations as instructions (see ck_tiles.h). The including file enables the target features.
#pragma once
#include <immintrin.h>
#include <string.h>

#include "ck_tiles.h"

// The registers are those of the thread.
typedef struct {
  tile_rows rows;
} tile_file;

// Every kernel configures the tiles that it uses and releases them, whatever other libraries of the process do.
static inline __attribute__((always_inline)) void tile_configure(tile_file *file, tile_rows rows) {
  // The memory form of the configuration: palette, first row, reserved, bytes a row, rows (Intel SDM, LDTILECFG).
  struct {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
  } form = {.palette = 1};
  for (int i = 0; i < 8; ++i) {
    form.bytes[i] = 64;
    form.rows[i] = rows.rows[i];
  }
  file->rows = rows;
  _tile_loadconfig(&form);
}
#define tile_release(FILE) _tile_release()
#define tile_zero(FILE, C) _tile_zero(C)
#define tile_load(FILE, C, P, STRIDE) _tile_loadd(C, P, (size_t)(STRIDE))
#define tile_store(FILE, C, P, STRIDE) _tile_stored(C, P, (size_t)(STRIDE))
#define tile_dot_s8(FILE, C, A, B) _tile_dpbssd(C, A, B)
#define tile_dot_su8(FILE, C, A, B) _tile_dpbsud(C, A, B)
#define tile_dot_bf16(FILE, C, A, B) _tile_dpbf16ps(C, A, B)
