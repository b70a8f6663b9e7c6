// x86-64 with AVX-512 (F, BW, DQ, VL) and VNNI.
#if defined(__x86_64__)
#pragma clang attribute push(                                                                                 \
    __attribute__((target("avx2,fma,f16c,bmi,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), \
    apply_to = function)
#include "ck_avx512.inc.h"
#define CK_TABLE ck_avx512_table
#define CK_TABLE_NAME "avx512"
#include "ck_optimizer.inc.h"
#include "ck_pack.inc.h"
#include "ck_random.inc.h"
#include "ck_kernels.inc.h"

const ck_table *ck_avx512(void);
const ck_table *ck_avx512(void) { return &ck_avx512_table; }
#pragma clang attribute pop
#endif
