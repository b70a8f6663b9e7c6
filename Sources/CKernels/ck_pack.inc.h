// Packing, fixed-point sums and the search for numbers that are not finite, compiled once per instruction set (see
// ck_memory.h). Includes after ck_optimizer.inc.h.
typedef float v8f __attribute__((vector_size(32)));
typedef int64_t v8l __attribute__((vector_size(64)));
typedef uint64_t v8ul __attribute__((vector_size(64)));

// Transpositions are made of two kinds of steps: the 4 × 4 numbers that four vectors have in a lane of 128 bits change
// places, and so do lanes of two vectors.
#define LOW_SINGLES 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29
#define HIGH_SINGLES 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31
#define LOW_PAIRS 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define HIGH_PAIRS 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define EVEN_LANES 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27
#define ODD_LANES 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31
#define SHUFFLE(A, B, ...) __builtin_shufflevector(A, B, __VA_ARGS__)

CK_INLINE void transpose_in_lanes(v16i r[4]) {
  v16i a = SHUFFLE(r[0], r[1], LOW_SINGLES), b = SHUFFLE(r[2], r[3], LOW_SINGLES);
  v16i c = SHUFFLE(r[0], r[1], HIGH_SINGLES), d = SHUFFLE(r[2], r[3], HIGH_SINGLES);
  r[0] = SHUFFLE(a, b, LOW_PAIRS);
  r[1] = SHUFFLE(a, b, HIGH_PAIRS);
  r[2] = SHUFFLE(c, d, LOW_PAIRS);
  r[3] = SHUFFLE(c, d, HIGH_PAIRS);
}

// r[i][4j + k] → r[4j + i][k], groups of four rows apart.
CK_INLINE void transpose_lanes(v16i *r, int stride) {
  v16i a = SHUFFLE(r[0], r[stride], EVEN_LANES), b = SHUFFLE(r[2 * stride], r[3 * stride], EVEN_LANES);
  v16i c = SHUFFLE(r[0], r[stride], ODD_LANES), d = SHUFFLE(r[2 * stride], r[3 * stride], ODD_LANES);
  r[0] = SHUFFLE(a, b, EVEN_LANES);
  r[stride] = SHUFFLE(c, d, EVEN_LANES);
  r[2 * stride] = SHUFFLE(a, b, ODD_LANES);
  r[3 * stride] = SHUFFLE(c, d, ODD_LANES);
}

// r[i][j] ↔ r[j][i].
CK_INLINE void transpose16(v16i r[16]) {
  _Pragma("clang loop unroll(full)") for (int i = 0; i < 16; i += 4) transpose_in_lanes(r + i);
  _Pragma("clang loop unroll(full)") for (int i = 0; i < 4; ++i) transpose_lanes(r + i, 4);
}

// Eight numbers of each of sixteen rows: r[i] has those of row i and row 4 + i, r[4 + i] those of the rows 8 after them.
// Then r[i] has number i of each row.
CK_INLINE void transpose8(v16i r[8]) {
  transpose_in_lanes(r);
  transpose_in_lanes(r + 4);
  _Pragma("clang loop unroll(full)") for (int i = 0; i < 4; ++i) {
    v16i a = r[i], b = r[i + 4];
    r[i] = SHUFFLE(a, b, EVEN_LANES);
    r[i + 4] = SHUFFLE(a, b, ODD_LANES);
  }
}

// Sixteen columns from `w` of a panel of `rows` rows, row by row; missing numbers are 0.
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

// Past the caches: packed weights are larger than those, and a line that is written whole need not be read first.
CK_INLINE void stream16(void *to, v16i v) { __builtin_nontemporal_store(v, (v16i *)to); }

CK_INLINE v16u bf16_rounded(v16f x) {
  v16u u = (v16u)x;
  return (v16u)pick(x != x, (v16f)(u | 0x400000), (v16f)(u + 0x7fff + ((u >> 16) & 1)));
}
// The numbers of two rows, one row after the other.
CK_INLINE v16i bf16_of(v16f a, v16f b) {
  return (v16i)__builtin_shufflevector((v32s)bf16_rounded(a), (v32s)bf16_rounded(b), 1, 3, 5, 7, 9, 11, 13, 15, 17, 19,
                                       21, 23, 25, 27, 29, 31, 33, 35, 37, 39, 41, 43, 45, 47, 49, 51, 53, 55, 57, 59,
                                       61, 63);
}
CK_INLINE v16i fp16_of(v16f a, v16f b) {
  // The processor keeps some bits of what is no number.
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
        // Panels of an odd number of columns end within a line.
        if (p->columns % 2) {
          memcpy(to, &pair, i + 1 < n ? 64 : 32);
          continue;
        }
      }
      stream16(to, (v16i)pair);
    }
  }
}

// Weights come from memory: what a panel reads, the next one is told to fetch.
CK_INLINE void fetch_next_panel(const ck_packed *p, const float *w) { __builtin_prefetch(w + 16 * p->columns, 0, 2); }

// Σ |w| of a row in fp64, where the order of the additions does not matter: all numbers are multiples of the lowest bit of
// the smallest, and no sum needs more than 53 bits of it. Otherwise -1.
CK_INLINE double exact_sum(const ck_packed *p, const float *w) {
  v8d low = {0}, high = {0};
  v16f least = splat(__builtin_inff());
  int64_t k = 0;
  for (; k + 16 <= p->columns; k += 16) {
    v16f a = abs16(load16(w + k));
    fetch_next_panel(p, w + k);
    low += __builtin_convertvector(__builtin_shufflevector(a, a, 0, 1, 2, 3, 4, 5, 6, 7), v8d);
    high += __builtin_convertvector(__builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15), v8d);
    a = pick(a > splat(0), a, least);
    least = pick(a < least, a, least);
  }
  if (k < p->columns) return -1;
  low += high;
  double sum = 0;
  for (int i = 0; i < 8; ++i) sum += low[i];
  float smallest = least[0];
  for (int i = 1; i < 16; ++i) smallest = least[i] < smallest ? least[i] : smallest;
  // 0x1p29 × the smallest is at most 2^53 of its lowest bits; subnormals have fewer bits than that takes.
  return smallest >= 0x1p-126f && sum < 0x1p29 * (double)smallest ? sum : -1;
}

// max(mean |W|, floor) of each row, as if every row added its columns in order, in fp64.
static void mean_scales(const ck_packed *p, int64_t rows, float *scales, const float *w) {
  double sums[16] = {0};
  bool exact = true;
  for (int64_t row = 0; row < rows; ++row) exact &= (sums[row] = exact_sum(p, w + row * p->columns)) >= 0;
  if (!exact) {
    v8d low = {0}, high = {0};
    for (int64_t k = 0; k < p->columns; k += 16) {
      const int64_t n = p->columns - k < 16 ? p->columns - k : 16;
      v16f r[16];
      columns16(w + k, p->columns, rows, n, r);
      for (int64_t i = 0; i < n; ++i) {
        v16f a = abs16(r[i]);
        low += __builtin_convertvector(__builtin_shufflevector(a, a, 0, 1, 2, 3, 4, 5, 6, 7), v8d);
        high += __builtin_convertvector(__builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15), v8d);
      }
    }
    memcpy(sums, &low, 64);
    memcpy(sums + 8, &high, 64);
  }
  const double count = p->columns;
  for (int64_t lane = 0; lane < 16; ++lane) {
    float mean = (float)(sums[lane] / count);
    scales[lane] = lane >= rows ? 0 : mean > CK_SCALE_FLOOR ? mean : CK_SCALE_FLOOR;
  }
}

// max(max |x|, floor) / divisor over one group of a row.
CK_INLINE float largest_scale(const float *x, int64_t group, float divisor) {
  v16f most = splat(CK_SCALE_FLOOR);
  int64_t i = 0;
  for (; i + 16 <= group; i += 16) most = max16(abs16(load16(x + i)), most);
  if (i < group) most = max16(abs16(load_part(x + i, group - i)), most);
  return largest16(most)[0] / divisor;
}

static __attribute__((noinline)) v16f quotients(v16f x, v16f scale) {
  v16f q = __builtin_elementwise_rint(x / scale);
  return pick(q != q, splat(0), q);
}

CK_INLINE v16c clamped(v16f rounded, float limit, int32_t zero) {
  rounded = pick(rounded < splat(limit), rounded, splat(limit));
  rounded = pick(rounded > splat(-limit), rounded, splat(-limit));
  return __builtin_convertvector(__builtin_convertvector(rounded, v16i) + zero, v16c);
}

// Codes (with their offset) of sixteen inputs of one row. The product with the scale's inverse is within 2⁻²² of the
// quotient that defines a code, relative to it, so it rounds alike unless it stands near half way between two codes
// that are in range (or is no number); then the quotient itself decides.
CK_INLINE v16c codes_of(v16f x, v16f scale, v16f inverse, float limit, int32_t zero) {
  v16f q = x * inverse, rounded = __builtin_elementwise_rint(q);
  v16i sure = abs16(q - rounded) < splat(0.4999f);
  if (__builtin_expect(__builtin_reduce_and(sure) == 0, 0)) rounded = quotients(x, scale);
  return clamped(rounded, limit, zero);
}

// The same for ternary codes, where the quotient rounds to ±1 exactly when the weight is beyond half the scale, which is
// exact: a tie rounds to 0, and the next number's quotient to the next above one half.
CK_INLINE v16c ternary_codes_of(v16f x, v16f half) {
  v16i code = 1 - (v16i)(x > half) + (v16i)(x < -half);
  return __builtin_convertvector(code, v16c);
}

// Sixteen inputs of sixteen rows, one row after the other, to the order of the format.
CK_INLINE void store_step(int format, const uint8_t rows[256], uint8_t *step) {
  v16i a[4], t[4];
  memcpy(a, rows, 256);
#define QUARTERS(A, B, J) \
  __builtin_shufflevector(A, B, J, J + 4, J + 8, J + 12, J + 16, J + 20, J + 24, J + 28, J + 1, J + 5, J + 9, J + 13, \
                          J + 17, J + 21, J + 25, J + 29)
  v16i p = QUARTERS(a[0], a[1], 0), q = QUARTERS(a[2], a[3], 0);
  t[0] = __builtin_shufflevector(p, q, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
  t[1] = __builtin_shufflevector(p, q, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
  p = QUARTERS(a[0], a[1], 2), q = QUARTERS(a[2], a[3], 2);
  t[2] = __builtin_shufflevector(p, q, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
  t[3] = __builtin_shufflevector(p, q, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
#undef QUARTERS
  if (format == CK_TERNARY) {
    t[0] = t[0] | t[1] << 2 | t[2] << 4 | t[3] << 6;
    stream16(step, t[0]);
  } else if (format == CK_INT4) {
    t[0] = t[0] | t[1] << 4;
    t[1] = t[2] | t[3] << 4;
    for (int i = 0; i < 2; ++i) stream16(step + 64 * i, t[i]);
  } else {
    for (int i = 0; i < 4; ++i) stream16(step + 64 * i, t[i]);
  }
}

enum { CK_PACK_STEPS = 64 };

// Four neighbouring steps of one row at once: one branch for all of them.
CK_INLINE void codes_of_four(const v16f x[4], float one, v16f inverse, float limit, int32_t zero, uint8_t *codes) {
  v16f rounded[4];
  v16i sure = isplat(-1);
  _Pragma("clang loop unroll(full)") for (int i = 0; i < 4; ++i) {
    v16f q = x[i] * inverse;
    rounded[i] = __builtin_elementwise_rint(q);
    sure &= abs16(q - rounded[i]) < splat(0.4999f);
  }
  if (__builtin_expect(__builtin_reduce_and(sure) == 0, 0))
    for (int i = 0; i < 4; ++i) rounded[i] = quotients(x[i], splat(one));
  _Pragma("clang loop unroll(full)") for (int i = 0; i < 4; ++i) {
    v16c c = clamped(rounded[i], limit, zero);
    memcpy(codes + 256 * i, &c, 16);
  }
}

// A whole row of int4 groups of 64, the usual size, each read once; `codes` has a step for every 16 inputs.
CK_INLINE void int4_row_of_64(const ck_packed *p, float *scales, const float *w, uint8_t *codes) {
  for (int64_t g = 0; g < p->groups; ++g, w += 64, codes += 4 * 256) {
    v16f x[4], most = splat(CK_SCALE_FLOOR);
    _Pragma("clang loop unroll(full)") for (int i = 0; i < 4; ++i) {
      x[i] = load16(w + 16 * i);
      fetch_next_panel(p, w + 16 * i);
      most = max16(abs16(x[i]), most);
    }
    const float one = largest16(most)[0] / 7;
    scales[g * 16] = one;
    codes_of_four(x, one, splat(1.0f / one), 7, 8, codes);
  }
}

CK_INLINE void pack_integer(int format, const ck_packed *p, int64_t rows, uint8_t *data, float *scales,
                            const float *w) {
  const float limit = format == CK_TERNARY ? 1 : format == CK_INT4 ? 7 : 127;
  const int32_t zero = format == CK_TERNARY ? 1 : format == CK_INT4 ? 8 : 128;
  const int64_t step_bytes = format == CK_TERNARY ? 64 : format == CK_INT4 ? 128 : 256;
  const int64_t group = p->group, group_steps = p->group_padded / 16, all = p->groups * group_steps;
  if (format == CK_TERNARY) mean_scales(p, rows, scales, w);
  uint8_t codes[CK_PACK_STEPS * 256];
  for (int64_t first = 0; first < all; first += CK_PACK_STEPS) {
    const int64_t last = first + CK_PACK_STEPS < all ? first + CK_PACK_STEPS : all;
    const int64_t first_group = first / group_steps;
    // Row after row and group after group, as they lie in memory.
    for (int64_t row = 0; row < 16; ++row) {
      uint8_t *to = codes + row * 16;
      if (format == CK_INT4 && group == 64 && all <= CK_PACK_STEPS && row < rows) {
        int4_row_of_64(p, scales + row, w + row * p->columns, to);
        continue;
      }
      int64_t g = first_group, done = first - g * group_steps;
      for (int64_t s = first; s < last; ++g, done = 0) {
        const int64_t rest = s + group_steps - done, stop = rest < last ? rest : last;
        const float *x = w + row * p->columns + g * group;
        if (format != CK_TERNARY && done == 0)
          scales[g * 16 + row] = row < rows ? largest_scale(x, group, limit) : 0;
        const v16f scale = splat(scales[g * 16 + row]), inverse = splat(1.0f / scales[g * 16 + row]), half = splat(0.5f) * scale;
        int64_t left = row < rows ? group - done * 16 : 0;
        x += done * 16;
        for (; format != CK_TERNARY && s + 4 <= stop && left >= 64; s += 4, x += 64, left -= 64, to += 4 * 256) {
          v16f four[4];
          _Pragma("clang loop unroll(full)") for (int i = 0; i < 4; ++i) {
            four[i] = load16(x + 16 * i);
            fetch_next_panel(p, x + 16 * i);
          }
          codes_of_four(four, scale[0], inverse, limit, zero, to);
        }
        for (; s < stop && left >= 16; ++s, x += 16, left -= 16, to += 256) {
          v16c c = format == CK_TERNARY ? ternary_codes_of(load16(x), half)
                                        : codes_of(load16(x), scale, inverse, limit, zero);
          if (format != CK_TERNARY) fetch_next_panel(p, x);
          memcpy(to, &c, 16);
        }
        for (; s < stop; ++s, x += 16, left -= 16, to += 256) {
          v16c c = (v16c){0} + (uint8_t)zero;
          if (left > 0) c = codes_of(load_part(x, left), scale, inverse, limit, zero);
          memcpy(to, &c, 16);
        }
      }
    }
    for (int64_t s = first; s < last; ++s) store_step(format, codes + (s - first) * 256, data + s * step_bytes);
  }
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
  // Other threads see what went past the caches before they hear of the end.
  __builtin_ia32_sfence();
#endif
}

static int64_t fixed_add(int64_t count, const float *x, int64_t *sum) {
  const int64_t bound = INT64_C(1) << 61;
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    v8f v;
    v8l old;
    memcpy(&v, x + i, 32);
    memcpy(&old, sum + i, 64);
    v8d scaled = __builtin_elementwise_rint(__builtin_convertvector(v, v8d) * 0x1p50);
    // Compared before the conversion: beyond ±2^61 or not a number.
    v8l fits = (scaled < 0x1p61) & (scaled > -0x1p61);
    v8l next = old + __builtin_convertvector((v8d)((v8l)scaled & fits), v8l);
    fits &= (next <= bound) & (next >= -bound);
    if (__builtin_reduce_and(fits) == 0) break;
    memcpy(sum + i, &next, 64);
  }
  int64_t problem = ck_reference_fixed_add(count - i, x + i, sum + i);
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
