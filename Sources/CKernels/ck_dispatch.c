// Selects the table once, from what the processor and the operating system support.
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "ck_kernels.h"

const ck_table *ck_portable(void);
#if defined(__x86_64__)
const ck_table *ck_avx2(void);
const ck_table *ck_avx512(void);
const ck_table *ck_avx512bf16(void);

// Whether this processor's bfloat16 dot product gives the bits of the scalar specification (the odd term before the
// even term, subnormals as zero). The documentation of the instruction permits other results.
static bool bf16_as_specified(void) {
  enum { M = 3, N = 16, PAIRS = 24 };
  uint32_t a[M * PAIRS], b[PAIRS * N], state = 12345;
  float ours[M * N], theirs[M * N];
  for (int i = 0; i < M * PAIRS + PAIRS * N; ++i) {
    state = state * 1664525u + 1013904223u;
    // Exponents around 1, so that every rounding has an effect.
    uint32_t word = (state & 0x80ff80ffu) | 0x3f003f00u;
    if (i % 29 == 0) word = (word & 0xffffu) | 0x00400000u;  // a subnormal odd value
    if (i < M * PAIRS) a[i] = word;
    else b[i - M * PAIRS] = word;
  }
  ck_bf16_product part = {.a = a, .a_row = PAIRS, .a_pair = 1, .b = b, .b_panel = 0, .b_pair = N, .pairs = PAIRS};
  ck_avx512bf16()->gemm_bf16(M, N, &part, 1, 0, theirs, N, false);
  ck_reference_gemm_bf16(M, N, &part, 1, 0, ours, N, false);
  return memcmp(ours, theirs, sizeof ours) == 0;
}
#endif

int32_t ck_available(const ck_table **tables, int32_t capacity) {
  const ck_table *found[4];
  int32_t count = 0;
  found[count++] = ck_portable();
#if defined(__x86_64__)
  // The builtin also checks which registers the operating system saves (XGETBV).
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c") &&
      __builtin_cpu_supports("bmi2")) {
    found[count++] = ck_avx2();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni")) {
      found[count++] = ck_avx512();
      if (__builtin_cpu_supports("avx512bf16") && bf16_as_specified()) found[count++] = ck_avx512bf16();
    }
  }
#endif
  for (int32_t i = 0; i < count && i < capacity; ++i) tables[i] = found[i];
  return count;
}

static _Atomic(const ck_table *) chosen;

void ck_select(const ck_table *table) { atomic_store(&chosen, table); }

const ck_table *ck_kernels(void) {
  const ck_table *table = atomic_load_explicit(&chosen, memory_order_relaxed);
  if (table) return table;
  const ck_table *tables[4];
  int32_t count = ck_available(tables, 4);
  table = tables[count - 1];
  const char *wanted = getenv("QUILLAN_ISA");
  if (wanted)
    for (int32_t i = 0; i < count; ++i)
      if (!strcmp(tables[i]->name, wanted)) table = tables[i];
  atomic_store(&chosen, table);
  return table;
}

void ck_pack(const ck_packed *p, int64_t matrix, int64_t first_panel, int64_t panels, const float *w) {
  ck_kernels()->memory->pack(p, matrix, first_panel, panels, w);
}
int64_t ck_fixed_add(int64_t count, int64_t bound, const float *x, int64_t *sum) {
  return ck_kernels()->memory->fixed_add(count, bound, x, sum);
}
void ck_fixed_read(int64_t count, const int64_t *sum, float *x) { ck_kernels()->memory->fixed_read(count, sum, x); }
int64_t ck_first_nonfinite(int64_t count, const float *x) { return ck_kernels()->memory->first_nonfinite(count, x); }
