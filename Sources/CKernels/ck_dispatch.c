// Selects the table once, from what the processor and the operating system support.
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#include "ck_tables.h"

static struct {
  const ck_table *tables[CK_TABLES];
  int32_t count;
  ck_bf16_dots dots;
} machine;

static ck_table emulated;

#if defined(__x86_64__)
static ck_table bf16_table, amx_table;

// A small bfloat16 product, in the first cache.
enum { SAMPLE_ROWS = 16, SAMPLE_OUTPUTS = 32, SAMPLE_PAIRS = 256 };
static uint32_t sample_a[SAMPLE_ROWS * SAMPLE_PAIRS], sample_b[SAMPLE_PAIRS * SAMPLE_OUTPUTS];

static void run_sample(ck_bf16_gemm gemm, float *out) {
  const ck_bf16_product part = {
      .a = sample_a,
      .a_row = SAMPLE_PAIRS,
      .a_pair = 1,
      .b = sample_b,
      .b_panel = SAMPLE_PAIRS * 16,
      .b_pair = 16,
      .pairs = SAMPLE_PAIRS,
  };
  gemm(SAMPLE_ROWS, SAMPLE_OUTPUTS, &part, 1, 0, out, SAMPLE_OUTPUTS, false);
}

static void make_sample(void) {
  uint32_t state = 12345;
  const int32_t a = SAMPLE_ROWS * SAMPLE_PAIRS, b = SAMPLE_PAIRS * SAMPLE_OUTPUTS;
  for (int32_t i = 0; i < a + b; ++i) {
    state = state * 1664525u + 1013904223u;
    // Exponents around 1, so that every rounding has an effect.
    uint32_t word = (state & 0x80ff80ffu) | 0x3f003f00u;
    if (i % 29 == 0) word = (word & 0xffffu) | 0x00400000u;  // a subnormal odd value
    if (i < a) sample_a[i] = word;
    else sample_b[i - a] = word;
  }
}

// Whether this processor's bfloat16 dot product gives the bits of the scalar specification (the odd term before the
// even term, subnormals as zero). The documentation of the instruction permits other results.
static bool bf16_as_specified(void) {
  float ours[SAMPLE_ROWS * SAMPLE_OUTPUTS], theirs[SAMPLE_ROWS * SAMPLE_OUTPUTS];
  run_sample(ck_avx512bf16()->gemm_bf16, theirs);
  run_sample(ck_avx512()->gemm_bf16, ours);
  return memcmp(ours, theirs, sizeof ours) == 0;
}

static int64_t sample_nanoseconds(ck_bf16_gemm gemm) {
  float out[SAMPLE_ROWS * SAMPLE_OUTPUTS];
  struct timespec before, after;
  clock_gettime(CLOCK_MONOTONIC, &before);
  run_sample(gemm, out);
  clock_gettime(CLOCK_MONOTONIC, &after);
  return (after.tv_sec - before.tv_sec) * INT64_C(1000000000) + (after.tv_nsec - before.tv_nsec);
}

// Whether the instructions are at least as fast as two fused multiply-adds: the best of alternating samples, which other
// load on the processor hardly disturbs.
static bool native_is_faster(const ck_bf16_dots *dots) {
  const char *wanted = getenv("QUILLAN_BF16_DOT");
  if (wanted && !strcmp(wanted, "native")) return true;
  if (wanted && !strcmp(wanted, "fma")) return false;
  int64_t native = INT64_MAX, fma = INT64_MAX;
  for (int i = 0; i < 12; ++i) {
    const int64_t n = sample_nanoseconds(dots->native), f = sample_nanoseconds(dots->fma);
    native = n < native ? n : native;
    fma = f < fma ? f : fma;
  }
  return native <= fma;
}

static void find_x86(void) {
  // The builtin also checks which registers the operating system saves (XGETBV).
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("f16c") ||
      !__builtin_cpu_supports("bmi2"))
    return;
  machine.tables[machine.count++] = ck_avx2();
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512dq") ||
      !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512vnni"))
    return;
  machine.tables[machine.count++] = ck_avx512();
  make_sample();
  if (!__builtin_cpu_supports("avx512bf16") || !bf16_as_specified()) return;
  machine.dots.native = ck_avx512bf16()->gemm_bf16;
  machine.dots.fma = ck_avx512()->gemm_bf16;
  machine.dots.is_native = native_is_faster(&machine.dots);
  bf16_table = *ck_avx512bf16();
  if (!machine.dots.is_native) bf16_table.gemm_bf16 = machine.dots.fma;
  machine.tables[machine.count++] = &bf16_table;
#if defined(__linux__)
  if (!ck_amx_usable()) return;
  amx_table = bf16_table;
  ck_use_amx(&amx_table);
  // The order `tiles` is that of this processor's products, checked against the vectors.
  float ours[SAMPLE_ROWS * SAMPLE_OUTPUTS], theirs[SAMPLE_ROWS * SAMPLE_OUTPUTS];
  run_sample(amx_table.gemm_bf16_tiles, theirs);
  run_sample(ck_avx512()->gemm_bf16_tiles, ours);
  if (memcmp(ours, theirs, sizeof ours) != 0) return;
  machine.tables[machine.count++] = &amx_table;
#endif
}
#endif

static void find(void) {
  machine.tables[machine.count++] = ck_portable();
  emulated = *ck_portable();
  ck_use_emulated_tiles(&emulated);
  machine.tables[machine.count++] = &emulated;
  machine.dots.fma = ck_portable()->gemm_bf16;
#if defined(__x86_64__)
  find_x86();
#elif defined(__aarch64__) && defined(__linux__)
  if (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) machine.tables[machine.count++] = ck_dotprod();
#endif
}

static pthread_once_t found = PTHREAD_ONCE_INIT;

int32_t ck_available(const ck_table **tables, int32_t capacity) {
  pthread_once(&found, find);
  for (int32_t i = 0; i < machine.count && i < capacity; ++i) tables[i] = machine.tables[i];
  return machine.count;
}

ck_bf16_dots ck_bf16_variants(void) {
  pthread_once(&found, find);
  return machine.dots;
}

static _Atomic(const ck_table *) chosen;

void ck_select(const ck_table *table) { atomic_store(&chosen, table); }

const ck_table *ck_kernels(void) {
  const ck_table *table = atomic_load_explicit(&chosen, memory_order_relaxed);
  if (table) return table;
  pthread_once(&found, find);
  // Emulated tiles are for tests: they are in use only if named.
  table = machine.tables[machine.count - 1] == &emulated ? machine.tables[0] : machine.tables[machine.count - 1];
  const char *wanted = getenv("QUILLAN_ISA");
  if (wanted)
    for (int32_t i = 0; i < machine.count; ++i)
      if (!strcmp(machine.tables[i]->name, wanted)) table = machine.tables[i];
  atomic_store(&chosen, table);
  return table;
}

static _Atomic int32_t sums = CK_SUMS_PAIRS;

int32_t ck_bf16_sums(void) { return atomic_load_explicit(&sums, memory_order_relaxed); }
void ck_select_bf16_sums(int32_t order) { atomic_store(&sums, order); }

void ck_gemm_bf16(int64_t M, int64_t N, const ck_bf16_product *parts, int64_t count, const float *bias, float *C,
                  int64_t c_row, bool accumulate) {
  const ck_table *table = ck_kernels();
  const ck_bf16_gemm gemm = ck_bf16_sums() == CK_SUMS_TILES ? table->gemm_bf16_tiles : table->gemm_bf16;
  gemm(M, N, parts, count, bias, C, c_row, accumulate);
}

void ck_pack(const ck_packed *p, int64_t matrix, int64_t first_panel, int64_t panels, const float *w) {
  ck_kernels()->memory->pack(p, matrix, first_panel, panels, w);
}
int64_t ck_fixed_add(int64_t count, int64_t bound, const float *x, int64_t *sum) {
  return ck_kernels()->memory->fixed_add(count, bound, x, sum);
}
void ck_fixed_read(int64_t count, const int64_t *sum, float *x) { ck_kernels()->memory->fixed_read(count, sum, x); }
int64_t ck_first_nonfinite(int64_t count, const float *x) { return ck_kernels()->memory->first_nonfinite(count, x); }
