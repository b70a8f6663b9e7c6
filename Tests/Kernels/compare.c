// compare [CASES [SEED]]: compares every table of kernels that this machine has with the scalar specification, in random
// shapes, bit for bit. For machines, real or emulated, on which only the C kernels can be built (launch/test-arm64).
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ck_kernels.h"

static uint64_t state;
static uint32_t next(void) {
  state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (uint32_t)(state >> 32);
}
static int64_t between(int64_t low, int64_t high) { return low + (int64_t)(next() % (uint32_t)(high - low + 1)); }
static float number(void) { return (float)((int32_t)next()) * 0x1p-31f; }

static void *zeros(size_t bytes) {
  void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
  if (!memory) exit(1);
  memset(memory, 0, (bytes + 63) / 64 * 64);
  return memory;
}
static float *numbers(int64_t count) {
  float *x = zeros((size_t)count * 4);
  for (int64_t i = 0; i < count; ++i) x[i] = number();
  return x;
}

static int64_t cases, failures;
static void check(const char *what, const ck_table *table, const void *actual, const void *expected, size_t bytes) {
  ++cases;
  if (!memcmp(actual, expected, bytes)) return;
  if (++failures <= 20) fprintf(stderr, "%s on %s differs from the specification\n", what, table->name);
}

static ck_packed packed(int32_t format, int32_t rows, int32_t columns, int32_t group) {
  ck_packed p = {0};
  ck_packed_describe(&p, format, rows, columns, group);
  p.data = zeros((size_t)p.matrix_bytes * 2);
  p.scales = zeros((size_t)p.matrix_scales * 2 * 4);
  float *w = numbers((int64_t)rows * columns);
  for (int64_t matrix = 0; matrix < 2; ++matrix) ck_reference_pack(&p, matrix, 0, (rows + 15) / 16, w);
  free(w);
  return p;
}

static void integer_products(const ck_table *table) {
  // Many tokens and long rows, which kernels take in blocks, with few outputs.
  const bool is_long = next() % 8 == 0;
  static const int32_t groups[] = {16, 48, 64, 80, 128, 192};
  const int32_t format = (int32_t)between(CK_TERNARY, CK_INT8), group = groups[between(0, 5)];
  const bool grouped = format == CK_INT4 && next() % 3;
  const int32_t longest = is_long ? 4800 : 300;
  const int32_t columns = grouped ? group * (int32_t)between(2, is_long ? 40 : 12) : (int32_t)between(1, longest);
  const int64_t rows = between(1, is_long ? 20 : 150), M = between(1, is_long ? 300 : 70), stride = rows + between(0, 40);
  ck_packed p = packed(format, (int32_t)rows, columns, grouped ? group : 1 << 20);
  const int64_t codes = (int64_t)p.groups * p.group_padded;
  ck_activations a[2];
  for (int i = 0; i < 2; ++i)
    a[i] = (ck_activations){
        .codes = zeros((size_t)(M * codes)),
        .scales = zeros((size_t)M * 4),
        .sums = zeros((size_t)(M * p.groups) * 4),
        .groups = p.groups,
        .group = p.group,
        .group_padded = p.group_padded,
    };
  float *x = numbers(M * columns), *bias = next() % 2 ? numbers(rows) : 0;
  ck_reference_quantize_a8(M, columns, x, columns, &a[0]);
  table->quantize_a8(M, columns, x, columns, &a[1]);
  check("quantize_a8", table, a[1].codes, a[0].codes, (size_t)(M * codes));
  check("quantize_a8 (sums)", table, a[1].sums, a[0].sums, (size_t)(M * p.groups) * 4);
  float *expected = zeros((size_t)(M * stride) * 4), *actual = zeros((size_t)(M * stride) * 4);
  ck_reference_gemm_a8(M, &a[0], &p, 1, bias, expected, stride);
  table->gemm_a8(M, &a[0], &p, 1, 0, (rows + 15) / 16, bias, actual, stride);
  check("gemm_a8", table, actual, expected, (size_t)(M * stride) * 4);
  for (int i = 0; i < 2; ++i) free(a[i].codes), free(a[i].scales), free(a[i].sums);
  free(x), free(bias), free(expected), free(actual), free(p.data), free(p.scales);
}

// Words of two values: exponents around 1, some wide, some zero.
static uint32_t word(void) {
  const uint32_t w = next();
  switch (next() % 12) {
    case 0: return w & 0x8fff8fffu;                                // small, without subnormal sums
    case 1: return 0;
    default: return (w & 0x80ff80ffu) | 0x3f003f00u;
  }
}

static void bfloat16_products(const ck_table *table) {
  ck_bf16_product parts[3];
  uint32_t *memory[6];
  const int64_t M = between(1, 70), N = between(1, 150), panels = (N + 15) / 16, count = between(1, 3);
  const bool as_rows = next() % 2, as_panels = next() % 2, accumulate = next() % 2;
  for (int64_t s = 0; s < count; ++s) {
    const int64_t pairs = between(0, next() % 6 ? 70 : 1200), row = M + between(0, 3);
    const int64_t width = panels * 16 + between(0, 1) * 16;
    uint32_t *a = memory[2 * s] = zeros((size_t)((M + 4) * (pairs + 1)) * 4);
    uint32_t *b = memory[2 * s + 1] = zeros((size_t)(width * (pairs + 1)) * 4);
    for (int64_t i = 0; i < (M + 4) * (pairs + 1); ++i) a[i] = word();
    for (int64_t i = 0; i < width * (pairs + 1); ++i) b[i] = word();
    parts[s] = (ck_bf16_product){
        .a = a,
        .a_row = as_rows ? pairs + 1 : 1,
        .a_pair = as_rows ? 1 : row,
        .b = b,
        .b_panel = as_panels ? pairs * 16 : 16,
        .b_pair = as_panels ? 16 : width,
        .pairs = pairs,
    };
  }
  const int64_t stride = N + between(0, 20);
  float *bias = next() % 2 ? numbers(N) : 0, *start = numbers(M * stride);
  float *expected = zeros((size_t)(M * stride) * 4), *actual = zeros((size_t)(M * stride) * 4);
  for (int order = 0; order < 2; ++order) {
    memcpy(expected, start, (size_t)(M * stride) * 4);
    memcpy(actual, start, (size_t)(M * stride) * 4);
    (order ? ck_reference_gemm_bf16_tiles : ck_reference_gemm_bf16)(
        M, N, parts, count, bias, expected, stride, accumulate);
    (order ? table->gemm_bf16_tiles : table->gemm_bf16)(M, N, parts, count, bias, actual, stride, accumulate);
    check(order ? "gemm_bf16_tiles" : "gemm_bf16", table, actual, expected, (size_t)(M * stride) * 4);
  }
  for (int64_t i = 0; i < 2 * count; ++i) free(memory[i]);
  free(bias), free(start), free(expected), free(actual);
}

static void floating_products(const ck_table *table) {
  const int64_t M = between(1, 20), N = between(1, 70), K = between(1, 140);
  const int32_t format = next() % 2 ? CK_FP32 : CK_FP16;
  ck_packed p = packed(format, (int32_t)N, (int32_t)K, 64);
  float *x = numbers(M * K), *values = zeros((size_t)(N * K) * 4), *bias = numbers(N);
  float *expected = zeros((size_t)(M * N) * 4), *actual = zeros((size_t)(M * N) * 4);
  ck_unpack(&p, 1, 0, N, values);
  ck_reference_gemm(M, N, K, x, K, 1, values, K, 1, bias, expected, N, false);
  table->gemm_packed(M, x, K, &p, 1, 0, (N + 15) / 16, bias, actual, N);
  check("gemm_packed", table, actual, expected, (size_t)(M * N) * 4);
  ck_reference_gemm(M, N, K, x, K, 1, values, 1, N, bias, expected, N, false);
  table->gemm_f32(M, N, K, x, K, 1, values, N, bias, actual, N, false);
  check("gemm_f32", table, actual, expected, (size_t)(M * N) * 4);
  free(x), free(values), free(bias), free(expected), free(actual), free(p.data), free(p.scales);
}

static void packing(const ck_table *table) {
  const int32_t format = (int32_t)between(CK_FP32, CK_INT8), rows = (int32_t)between(1, 70);
  const int32_t group = 16 * (int32_t)between(1, 4), columns = format == CK_INT4 ? group * (int32_t)between(1, 5)
                                                                                 : (int32_t)between(1, 200);
  ck_packed p = packed(format, rows, columns, group), q = packed(format, rows, columns, group);
  float *w = numbers((int64_t)rows * columns);
  ck_reference_pack(&p, 1, 0, (rows + 15) / 16, w);
  table->memory->pack(&q, 1, 0, (rows + 15) / 16, w);
  check("pack", table, q.data + q.matrix_bytes, p.data + p.matrix_bytes, (size_t)p.matrix_bytes);
  check("pack (scales)", table, q.scales + q.matrix_scales, p.scales + p.matrix_scales, (size_t)p.matrix_scales * 4);
  free(w), free(p.data), free(p.scales), free(q.data), free(q.scales);
}

static void elements(const ck_table *table) {
  enum { N = 67 };
  float x[N], y[N], expected[N], inverse, reference_inverse;
  for (int i = 0; i < N; ++i) x[i] = 12 * number();
  table->exponential(N, x, y);
  for (int i = 0; i < N; ++i) expected[i] = ck_reference_exp(x[i]);
  check("exponential", table, y, expected, sizeof y);
  table->error_function(N, x, y);
  for (int i = 0; i < N; ++i) expected[i] = ck_reference_erf(x[i]);
  check("error_function", table, y, expected, sizeof y);
  table->gelu(N, x, y);
  for (int i = 0; i < N; ++i) expected[i] = ck_reference_gelu(x[i]);
  check("gelu", table, y, expected, sizeof y);
  memcpy(y, x, sizeof y);
  memcpy(expected, x, sizeof y);
  table->softmax(1, N, y, N);
  ck_reference_softmax(N, expected);
  check("softmax", table, y, expected, sizeof y);
  table->rms_norm(1, N, x, expected, 1e-5f, y, &inverse);
  float normed[N];
  ck_reference_rms_norm(N, x, expected, 1e-5f, normed, &reference_inverse);
  check("rms_norm", table, y, normed, sizeof y);
  check("rms_norm (inverse)", table, &inverse, &reference_inverse, 4);
  const float dot = table->dot(N, x, y), reference_dot = ck_reference_dot(N, x, y);
  check("dot", table, &dot, &reference_dot, 4);
}

int main(int argc, char **argv) {
  const int64_t rounds = argc > 1 ? atoll(argv[1]) : 200;
  const ck_table *tables[CK_TABLES];
  const int32_t count = ck_available(tables, CK_TABLES);
  for (int32_t i = 0; i < count; ++i) {
    state = argc > 2 ? strtoull(argv[2], 0, 10) : 1;
    cases = 0;
    const int64_t before = failures;
    for (int64_t round = 0; round < rounds; ++round) {
      integer_products(tables[i]);
      bfloat16_products(tables[i]);
      floating_products(tables[i]);
      packing(tables[i]);
      elements(tables[i]);
    }
    printf("%s: %lld comparisons, %lld differ\n", tables[i]->name, (long long)cases, (long long)(failures - before));
  }
  return failures > 0;
}
