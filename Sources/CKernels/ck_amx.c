// x86-64 with AMX: the table of AVX-512 with VNNI and BF16, and products on tiles.
#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ck_tables.h"

// Whether the processor has tiles with both products, the operating system saves them, and this process may use them.
bool ck_amx_usable(void) {
  enum { TILE = 1 << 24, INT8 = 1 << 25, BF16 = 1 << 22, OSXSAVE = 1 << 27, REQUEST = 0x1023, TILE_DATA = 18 };
  uint32_t a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & (TILE | INT8 | BF16)) != (TILE | INT8 | BF16)) return false;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE)) return false;
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  if ((low >> 17 & 3) != 3) return false;
  // The kernel makes space for the tiles of every thread only if a process asks (ARCH_REQ_XCOMP_PERM).
  return syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
}

#pragma clang attribute push(                                                                                        \
    __attribute__((target("avx2,fma,f16c,bmi,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,amx-tile," \
                          "amx-int8,amx-bf16"))),                                                                    \
    apply_to = function)
#define TILE_BASE() ck_avx512bf16()
#include "ck_tiles_native.h"

#include "ck_tiles.inc.h"
#include "ck_tiles_bf16.inc.h"
#pragma clang attribute pop

void ck_use_amx(ck_table *table) {
  table->name = "amx";
  table->has_tiles = true;
  table->gemm_a8 = gemm_a8;
  table->gemm_bf16_tiles = gemm_bf16_tiles;
}
#endif
