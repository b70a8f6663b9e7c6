// The tables of the instruction sets, for ck_dispatch.c.
#pragma once
#include "ck_kernels.h"

const ck_table *ck_portable(void);
// Put the kernels on tiles into a table that has all others.
void ck_use_emulated_tiles(ck_table *table);
#if defined(__x86_64__)
const ck_table *ck_avx2(void);
const ck_table *ck_avx512(void);
const ck_table *ck_avx512bf16(void);
#if defined(__linux__)
bool ck_amx_usable(void);
void ck_use_amx(ck_table *table);
#endif
#elif defined(__aarch64__)
const ck_table *ck_dotprod(void);
#endif
