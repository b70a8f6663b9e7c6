// The kernels on tiles for any machine: tiles in C, for tests.
#define TILE_BASE() ck_portable()
#include "ck_tables.h"
#include "ck_tiles_emulated.h"

#include "ck_tiles.inc.h"
#include "ck_tiles_bf16.inc.h"

void ck_use_emulated_tiles(ck_table *table) {
  table->name = "amx-emulated";
  table->has_tiles = true;
  table->gemm_a8 = gemm_a8;
  table->gemm_bf16_tiles = gemm_bf16_tiles;
}
