// Packing, fixed-point sums and the search for non-finite numbers, compiled once per instruction set (see
// ck_memory.h).
#include "ck_transpose.h"
#include "ck_vector.h"

// Eight numbers of each of sixteen rows: before, r[i] has the numbers of rows i and 4 + i, and r[4 + i] those of rows
// 8 + i and 12 + i. After, r[i] has number i of each row.
CK_INLINE void transpose8(v16i r[8]) {
  transpose_in_lanes(r);
  transpose_in_lanes(r + 4);
  _Pragma("clang loop unroll(full)") for (int i = 0; i < 4; ++i) {
    v16i a = r[i], b = r[i + 4];
    r[i] = SHUFFLE(a, b, EVEN_LANES);
    r[i + 4] = SHUFFLE(a, b, ODD_LANES);
  }
}

// Sixteen columns, starting at `w`, of a panel of `rows` rows, row by row; missing numbers are 0.
CK_INLINE void rows16(const float *w, int64_t stride, int64_t rows, int64_t n, v16f r[16]) {
  if (rows == 16 && n == 16) {
    _Pragma("clang loop unroll(full)") for (int64_t i = 0; i < 16; ++i) {
      __builtin_prefetch(w + (16 + i) * stride, 0, 2);
      r[i] = load16(w + i * stride);
    }
  } else {
    for (int64_t i = 0; i < 16; ++i) r[i] = i < rows ? load_part(w + i * stride, n) : splat(0);
  }
}

// The same column by column (lane = row).
CK_INLINE void columns16(const float *w, int64_t stride, int64_t rows, int64_t n, v16f r[16]) {
  rows16(w, stride, rows, n, r);
  transpose16((v16i *)r);
}

// Stores past the caches: packed weights are larger than the caches, and a line that is written whole need not be read.
CK_INLINE void stream16(void *to, v16i v) { __builtin_nontemporal_store(v, (v16i *)to); }

CK_INLINE v16u bf16_rounded(v16f x) {
  v16u u = (v16u)x;
  return (v16u)pick(x != x, (v16f)(u | 0x400000), (v16f)(u + 0x7fff + ((u >> 16) & 1)));
}
// The numbers of two rows as bfloat16, one row after the other.
CK_INLINE v16i bf16_of(v16f a, v16f b) {
  return (v16i)__builtin_shufflevector((v32s)bf16_rounded(a), (v32s)bf16_rounded(b), 1, 3, 5, 7, 9, 11, 13, 15, 17, 19,
                                       21, 23, 25, 27, 29, 31, 33, 35, 37, 39, 41, 43, 45, 47, 49, 51, 53, 55, 57, 59,
                                       61, 63);
}
CK_INLINE v16i fp16_of(v16f a, v16f b) {
  // The processor keeps some bits of a NaN; the format has a single NaN.
  v32s bits = halves_of(a, b), magnitude = __builtin_elementwise_min(bits & 0x7fff, (v32s){0} + 0x7e00);
  return (v16i)((bits & 0x8000) | magnitude);
}

static void pack_floating(const ck_packed *p, int64_t rows, uint8_t *data, const float *w) {
  for (int64_t k = 0; k < p->columns; k += 16) {
    const int64_t n = p->columns - k < 16 ? p->columns - k : 16;
    v16f x[16];
    if (p->format == CK_FP32) {
      columns16(w + k, p->columns, rows, n, x);
      for (int64_t i = 0; i < n; ++i) stream16((float *)data + (k + i) * 16, (v16i)x[i]);
      continue;
    }
    // Neighbouring columns of a row stay together; columns past the last one are zeros.
    rows16(w + k, p->columns, rows, n, x);
    v16i r[8];
    const bool half = p->format == CK_FP16;
    _Pragma("clang loop unroll(full)") for (int i = 0; i < 8; ++i) {
      const v16f a = x[i % 4 + i / 4 * 8], b = x[i % 4 + i / 4 * 8 + 4];
      r[i] = half ? fp16_of(a, b) : bf16_of(a, b);
    }
    transpose8(r);
    for (int64_t i = 0; i < n; i += 2) {
      uint16_t *to = (uint16_t *)data + (k + i) * 16;
      v32s pair = (v32s)r[i / 2];
      if (half) {
        pair = __builtin_shufflevector(pair, pair, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 1, 3, 5,
                                       7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
        // A panel with an odd number of columns ends within a cache line.
        if (p->columns % 2) {
          memcpy(to, &pair, i + 1 < n ? 64 : 32);
          continue;
        }
      }
      stream16(to, (v16i)pair);
    }
  }
}

// Weights come from memory: when a panel reads a line, the same line of the next panel is prefetched. Too many
// prefetches at once delay each other, so the passes share them.
CK_INLINE void fetch_next_panel(const ck_packed *p, const float *w) { __builtin_prefetch(w + 16 * p->columns, 0, 2); }

// Sixteen inputs of a row that has `left` more; inputs after the end are 0.
CK_INLINE v16f inputs16(const float *x, int64_t left) {
  return left >= 16 ? load16(x) : left > 0 ? load_part(x, left) : splat(0);
}

// Adds magnitudes times 2⁻⁸⁹⁶, exactly: their bits, moved to the position of exponent and mantissa in fp64.
CK_INLINE void add_magnitudes(v8d sums[2], v16f x) {
  sums[0] += (v8d)(((v8ul)x << 29) & 0x0fffffffe0000000);
  sums[1] += (v8d)(((v8ul)x >> 3) & 0x0fffffffe0000000);
}

static __attribute__((noinline)) double sum_in_order(const float *w, int64_t count) {
  double sum = 0;
  for (int64_t k = 0; k < count; ++k) sum += __builtin_fabsf(w[k]);
  return sum;
}

// max(mean |W|, floor) of a row, as if its columns were added in order, in fp64. In any order, the relative error of a
// sum of n magnitudes is below n · 2⁻⁵³. So the mean from sums in another order rounds to the same fp32 number, unless
// it is that close to the midpoint between two fp32 numbers.
CK_INLINE float mean_scale(const v8d sums[2], const float *w, int64_t columns) {
  v8d all = sums[0] + sums[1];
  all += __builtin_shufflevector(all, all, 4, 5, 6, 7, 0, 1, 2, 3);
  all += __builtin_shufflevector(all, all, 2, 3, 0, 1, 6, 7, 4, 5);
  const double sum = (all[0] + all[1]) * 0x1p896, count = (double)columns, error = (count + 2) * 0x1p-52;
  const float low = (float)(sum * (1 - error) / count), high = (float)(sum * (1 + error) / count);
  float mean = low;
  // A non-finite number was added as a number ≥ 2^128.
  if (__builtin_expect(!(low == high && sum < 0x1p128), 0)) mean = (float)(sum_in_order(w, columns) / count);
  return mean > CK_SCALE_FLOOR ? mean : CK_SCALE_FLOOR;
}

// Sixteen vectors to one: lane i has the maximum of vector i.
CK_INLINE v16i largest_of_rows(const v16i r[16]) {
  v16i rows[4];
#define MERGED(A, B, LOW, HIGH) __builtin_elementwise_max(SHUFFLE(A, B, LOW), SHUFFLE(A, B, HIGH))
  _Pragma("clang loop unroll(full)") for (int i = 0; i < 4; ++i) {
    v16i a = MERGED(r[4 * i], r[4 * i + 1], LOW_SINGLES, HIGH_SINGLES);
    v16i b = MERGED(r[4 * i + 2], r[4 * i + 3], LOW_SINGLES, HIGH_SINGLES);
    rows[i] = MERGED(a, b, LOW_PAIRS, HIGH_PAIRS);
  }
  v16i a = MERGED(rows[0], rows[1], EVEN_LANES, ODD_LANES), b = MERGED(rows[2], rows[3], EVEN_LANES, ODD_LANES);
  return MERGED(a, b, EVEN_LANES, ODD_LANES);
#undef MERGED
}

// The maximum magnitude of the inputs without NaNs, at least the floor.
static __attribute__((noinline)) float largest_number(const float *x, int64_t count) {
  v16f most = splat(CK_SCALE_FLOOR);
  for (int64_t i = 0; i < count; i += 16) most = max16(abs16(inputs16(x + i, count - i)), most);
  return fold_max(most);
}

// Scales of a group in each row, and their inverses: max(max |x|, floor) / limit. Returns false if an input is not
// finite.
CK_INLINE bool largest_scales(const ck_packed *p, int64_t group, bool whole, int64_t rows, const float *w, float limit,
                              float scales[16], float inverses[16]) {
  v16i most[16];
  for (int64_t row = 0; row < 16; ++row) {
    // As integers, magnitudes keep their order, and NaN is beyond infinity.
    most[row] = (v16i)splat(CK_SCALE_FLOOR);
    for (int64_t i = 0; i < group && (whole || row < rows); i += 16) {
      const float *x = w + row * p->columns + i;
      if (!whole && i % 64 == 0) fetch_next_panel(p, x);
      most[row] = __builtin_elementwise_max(most[row], (v16i)inputs16(x, whole ? 16 : group - i) & 0x7fffffff);
    }
  }
  v16f largest = (v16f)largest_of_rows(most);
  const bool finite = __builtin_reduce_max((v16i)largest) < 0x7f800000;
  if (!finite)
    for (int64_t row = 0; row < rows; ++row) largest[row] = largest_number(w + row * p->columns, group);
  const v16f scale = largest / splat(limit);
  store16(scales, scale);
  store16(inverses, splat(1) / scale);
  for (int64_t row = rows; row < 16; ++row) scales[row] = 0;
  return finite;
}

// Codes of 64 inputs of a row in one vector: byte j of number k has the unsigned code of input 16j + k. Computed by
// division, as the format defines them.
static __attribute__((noinline)) v16u quotients(const v16f x[4], float scale, float limit, int32_t zero) {
  v16u codes = usplat(0);
  for (int j = 0; j < 4; ++j) {
    v16f q = __builtin_elementwise_rint(x[j] / splat(scale));
    q = pick(q < splat(limit), q, pick(q != q, splat(0), splat(limit)));
    q = pick(q > splat(-limit), q, splat(-limit));
    codes |= (v16u)(__builtin_convertvector(q, v16i) + zero) << (uint32_t)(8 * j);
  }
  return codes;
}

// The same for finite inputs from the inverse of the scale. A code is the integer part of x · inverse + zero + 1/2.
// After the addition of a power of two, this integer and `fraction` more bits are the end of the mantissa. Their error
// is below one unit of the last place: at most limit · 2⁻²⁴ for each of inverse, quotient and (if it is rounded)
// product, and half a unit for the sum. So only a fraction of zero is in doubt, and then the quotients decide.
CK_INLINE v16u codes_of(const v16f x[4], float scale, float inverse, bool finite, float limit, int32_t zero) {
#pragma clang fp contract(fast)
  const int fraction = limit > 7 ? 14 : 18;
  const v16f offset = splat((float)((1 << (23 - fraction)) + zero) + 0.5f);
  v16u codes = usplat(0), least = usplat(finite ? 0xffffffff : 0);
  _Pragma("clang loop unroll(full)") for (int j = 0; j < 4; ++j) {
    v16u sum = (v16u)(x[j] * splat(inverse) + offset);
    least = __builtin_elementwise_min(least, sum & ((1u << fraction) - 1));
    const int left = 8 * j - fraction;
    sum = left < 0 ? sum >> (uint32_t)-left : sum << (uint32_t)left;
    codes = (v16u)pick(isplat((1 << 8 * j) - 1), (v16f)codes, (v16f)sum);
  }
  if (__builtin_expect(__builtin_reduce_or((v16i)(least == 0)) != 0, 0)) return quotients(x, scale, limit, zero);
  return limit > 7 ? codes : codes & 0x0f0f0f0f;
}

// Ternary codes are already at their position in a byte of the format: inputs 4i to 4i + 3 of sixteen have bits 2i and
// 2i + 1. A quotient rounds to ±1 if and only if the magnitude of the weight exceeds half the scale, which is exact: a
// tie rounds to 0, and the quotient of the next larger number is above one half.
CK_INLINE v16u ternary_codes_of(const v16f x[4], float scale) {
  const v16f half = splat(0.5f * scale);
  const v16u unit = {1, 1, 1, 1, 4, 4, 4, 4, 16, 16, 16, 16, 64, 64, 64, 64};
  v16u codes = unit * 0x01010101u;
  _Pragma("clang loop unroll(full)") for (int j = 0; j < 4; ++j) {
    codes += (unit << (uint32_t)(8 * j)) & (v16u)(x[j] > half);
    codes -= (unit << (uint32_t)(8 * j)) & (v16u)(x[j] < -half);
  }
  return codes;
}

// The bytes of the four numbers of each lane, transposed, so that a number has four inputs of one step.
CK_INLINE v16i bytes_of_steps(v16i codes) {
  typedef uint8_t v64c __attribute__((vector_size(64)));
#define BYTES(F) F, F + 4, F + 8, F + 12
#define LANE(F) BYTES(F), BYTES(F + 1), BYTES(F + 2), BYTES(F + 3)
  return (v16i)__builtin_shufflevector((v64c)codes, (v64c)codes, LANE(0), LANE(16), LANE(32), LANE(48));
#undef LANE
#undef BYTES
}

// Stores the first `steps` of four steps of sixteen rows in the order of the format.
CK_INLINE void store_steps(int format, const v16u *codes, int64_t steps, uint8_t *to) {
  if (format == CK_TERNARY) {
    v16i r[4];
    _Pragma("clang loop unroll(full)") for (int i = 0; i < 4; ++i) {
#define MERGED(A, B) (SHUFFLE((v16i)(A), (v16i)(B), EVEN_LANES) | SHUFFLE((v16i)(A), (v16i)(B), ODD_LANES))
      r[i] = bytes_of_steps(MERGED(MERGED(codes[i], codes[i + 4]), MERGED(codes[i + 8], codes[i + 12])));
#undef MERGED
    }
    transpose_in_lanes(r);
    for (int64_t j = 0; j < steps; ++j) stream16(to + 64 * j, r[j]);
  } else if (format == CK_INT4) {
    v16i r[8];
    _Pragma("clang loop unroll(full)") for (int i = 0; i < 8; ++i) {
      const v16i a = (v16i)codes[i % 4 + i / 4 * 8], b = (v16i)codes[i % 4 + i / 4 * 8 + 4];
      r[i] = bytes_of_steps(SHUFFLE(a, b, EVEN_LANES) | SHUFFLE(a, b, ODD_LANES) << 4);
    }
    transpose8(r);
    for (int64_t j = 0; j < steps; ++j) {
      stream16(to + 128 * j, r[j]);
      stream16(to + 128 * j + 64, r[4 + j]);
    }
  } else {
    v16i r[16];
    _Pragma("clang loop unroll(full)") for (int i = 0; i < 16; ++i) r[i] = bytes_of_steps((v16i)codes[i]);
    _Pragma("clang loop unroll(full)") for (int i = 0; i < 16; i += 4) transpose_in_lanes(r + i);
    _Pragma("clang loop unroll(full)") for (int i = 0; i < 4; ++i) transpose_lanes(r + i, 4);
    for (int64_t j = 0; j < steps; ++j)
      for (int i = 0; i < 4; ++i) stream16(to + 256 * j + 64 * i, r[4 * i + j]);
  }
}

CK_INLINE void mean_scales(const ck_packed *p, int64_t rows, const float *w, float scales[16]) {
  for (int64_t row = 0; row < 16; ++row, w += p->columns) {
    v8d sums[2] = {{0}};
    for (int64_t k = 0; k < p->columns && row < rows; k += 16) {
      if (k % 64 == 0) fetch_next_panel(p, w + k);
      add_magnitudes(sums, inputs16(w + k, p->columns - k));
    }
    scales[row] = row < rows ? mean_scale(sums, w, p->columns) : 0;
  }
}

// Up to sixteen rows; `whole` if there are sixteen and the groups are multiples of 64.
CK_INLINE void pack_groups(int format, int64_t group, bool whole, const ck_packed *p, int64_t rows, uint8_t *data,
                           float *scales, const float *w) {
  const float limit = ck_code_limit(format);
  const int32_t zero = ck_zero_code(format);
  const int64_t step_bytes = ck_step_bytes(format);
  for (int64_t g = 0; g < p->groups; ++g, w += group, scales += 16) {
    float inverses[16];
    bool finite = true;
    if (format == CK_TERNARY) mean_scales(p, rows, w, scales);
    else finite = largest_scales(p, group, whole, rows, w, limit, scales, inverses);
    for (int64_t i = 0; i < group; i += 64) {
      v16u codes[16];
      for (int64_t row = 0; row < 16; ++row) {
        const float *from = w + row * p->columns + i;
        v16f x[4];
        _Pragma("clang loop unroll(full)") for (int j = 0; j < 4; ++j) {
          if (whole || j) fetch_next_panel(p, from + 16 * j);
          x[j] = inputs16(from + 16 * j, whole ? 16 : row < rows ? group - i - 16 * j : 0);
        }
        codes[row] = format == CK_TERNARY ? ternary_codes_of(x, scales[row])
                                          : codes_of(x, scales[row], inverses[row], finite, limit, zero);
      }
      const int64_t left = whole ? 4 : (group - i + 15) / 16, steps = left < 4 ? left : 4;
      store_steps(format, codes, steps, data);
      data += steps * step_bytes;
    }
  }
}

enum { CK_PACK_COLUMNS = 4096 };

// Sixteen rows with one scale each, in the order of memory. The codes of one row are computed together with the scale
// of the next row, so that cache lines are requested at an even rate.
CK_INLINE void pack_rows(int format, const ck_packed *p, uint8_t *data, float *scales, const float *w) {
  v16u codes[CK_PACK_COLUMNS / 64][16];
  bool finite = true;
  float scale = 1;
  for (int64_t row = 0; row <= 16; ++row) {
    const float *next = w + row * p->columns, *x = row > 0 ? next - p->columns : w, inverse = 1 / scale;
    v8d sums[2] = {{0}};
    v16i most = (v16i)splat(CK_SCALE_FLOOR);
    for (int64_t i = 0; i < p->columns; i += 64) {
      const int64_t left = p->columns - i;
      if (row < 16)
        _Pragma("clang loop unroll(full)") for (int j = 0; j < 64; j += 16) {
          const v16f in = left >= 64 ? load16(next + i + j) : inputs16(next + i + j, left - j);
          if (format == CK_TERNARY) add_magnitudes(sums, in);
          else most = __builtin_elementwise_max(most, (v16i)in & 0x7fffffff);
        }
      if (row > 0) {
        v16f four[4];
        _Pragma("clang loop unroll(full)") for (int j = 0; j < 4; ++j) {
          fetch_next_panel(p, x + i + 16 * j);
          four[j] = left >= 64 ? load16(x + i + 16 * j) : inputs16(x + i + 16 * j, left - 16 * j);
        }
        codes[i / 64][row - 1] = format == CK_TERNARY ? ternary_codes_of(four, scale)
                                                       : codes_of(four, scale, inverse, finite, 127, 128);
      }
    }
    if (row == 16) break;
    if (format == CK_TERNARY) {
      scale = mean_scale(sums, next, p->columns);
    } else {
      const int32_t largest = __builtin_reduce_max(most);
      finite = largest < 0x7f800000;
      const v16f value = (v16f)isplat(largest);
      scale = (finite ? value[0] : largest_number(next, p->columns)) / 127;
    }
    scales[row] = scale;
  }
  for (int64_t i = 0; i < p->columns; i += 64) {
    const int64_t steps = (p->columns - i + 15) / 16;
    store_steps(format, codes[i / 64], steps < 4 ? steps : 4, data + i * (format == CK_TERNARY ? 4 : 16));
  }
}

CK_INLINE void pack_integer(int format, const ck_packed *p, int64_t rows, uint8_t *data, float *scales,
                            const float *w) {
  if (format == CK_INT4 && p->group == 64 && rows == 16)
    pack_groups(CK_INT4, 64, true, p, rows, data, scales, w);
  else if (format != CK_INT4 && rows == 16 && p->columns <= CK_PACK_COLUMNS)
    pack_rows(format, p, data, scales, w);
  else
    pack_groups(format, p->group, false, p, rows, data, scales, w);
}

static void pack(const ck_packed *p, int64_t matrix, int64_t first_panel, int64_t panels, const float *w) {
  const int64_t panel_bytes = p->matrix_bytes / ((p->rows + 15) / 16);
  for (int64_t panel = first_panel; panel < first_panel + panels; ++panel) {
    uint8_t *data = p->data + matrix * p->matrix_bytes + panel * panel_bytes;
    float *scales = p->scales + matrix * p->matrix_scales + panel * p->groups * 16;
    const int64_t left = p->rows - panel * 16, rows = left < 16 ? left : 16;
    const float *x = w + panel * 16 * p->columns;
    switch (p->format) {
      case CK_TERNARY: pack_integer(CK_TERNARY, p, rows, data, scales, x); break;
      case CK_INT4: pack_integer(CK_INT4, p, rows, data, scales, x); break;
      case CK_INT8: pack_integer(CK_INT8, p, rows, data, scales, x); break;
      default: pack_floating(p, rows, data, x);
    }
  }
#ifdef __x86_64__
  // Stores past the caches must be visible before other threads learn that packing has ended.
  __builtin_ia32_sfence();
#endif
}

static int64_t fixed_add(int64_t count, int64_t bound, const float *x, int64_t *sum) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    v8f v;
    v8l old;
    memcpy(&v, x + i, 32);
    memcpy(&old, sum + i, 64);
    v8d scaled = __builtin_elementwise_rint(__builtin_convertvector(v, v8d) * 0x1p50);
    // Compare before the conversion, which is undefined beyond ±2^63 and for NaN.
    v8l fits = (scaled < 0x1p61) & (scaled > -0x1p61);
    v8l next = old + __builtin_convertvector((v8d)((v8l)scaled & fits), v8l);
    fits &= (next <= bound) & (next >= -bound);
    if (__builtin_reduce_and(fits) == 0) break;
    memcpy(sum + i, &next, 64);
  }
  int64_t problem = ck_reference_fixed_add(count - i, bound, x + i, sum + i);
  return problem < 0 ? -1 : i + problem;
}

static void fixed_read(int64_t count, const int64_t *sum, float *x) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    v8l s;
    memcpy(&s, sum + i, 64);
    v8f v = __builtin_convertvector(__builtin_convertvector(s, v8d) * 0x1p-50, v8f);
    memcpy(x + i, &v, 32);
  }
  ck_reference_fixed_read(count - i, sum + i, x + i);
}

static int64_t first_nonfinite(int64_t count, const float *x) {
  int64_t i = 0;
  for (; i + 256 <= count; i += 256) {
    v16i most = isplat(0);
    for (int64_t j = 0; j < 256; j += 16) {
      v16i bits = (v16i)load16(x + i + j) & 0x7fffffff;
      most = (v16i)pick(bits > most, (v16f)bits, (v16f)most);
    }
    if (__builtin_reduce_max(most) >= 0x7f800000) break;
  }
  int64_t problem = ck_reference_first_nonfinite(count - i, x + i);
  return problem < 0 ? -1 : i + problem;
}
