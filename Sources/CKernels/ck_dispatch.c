// Chooses the table once, by what processor and operating system support.
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "ck_kernels.h"

const ck_table *ck_portable(void);
#if defined(__x86_64__)
const ck_table *ck_avx2(void);
const ck_table *ck_avx512(void);
#endif

int32_t ck_available(const ck_table **tables, int32_t capacity) {
  const ck_table *found[3];
  int32_t count = 0;
  found[count++] = ck_portable();
#if defined(__x86_64__)
  // The builtin looks at the state that the operating system saves (XGETBV), too.
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c") &&
      __builtin_cpu_supports("bmi2")) {
    found[count++] = ck_avx2();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni"))
      found[count++] = ck_avx512();
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
  const ck_table *tables[3];
  int32_t count = ck_available(tables, 3);
  table = tables[count - 1];
  const char *wanted = getenv("QUILLAN_ISA");
  if (wanted)
    for (int32_t i = 0; i < count; ++i)
      if (!strcmp(tables[i]->name, wanted)) table = tables[i];
  atomic_store(&chosen, table);
  return table;
}
