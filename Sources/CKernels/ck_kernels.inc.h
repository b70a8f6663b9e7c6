// The kernels themselves, compiled once per instruction set. The including file defines
//   CK_TILE_ROWS(X)    X(R) for the rows R of every fp32 and bfloat16 register tile, largest first (two panels wide)
//   half16(p)          sixteen halves as fp32
//   what ck_a8.inc.h, ck_bf16.inc.h and ck_bf16_steps.inc.h require
// and gets the functions through the table that CK_TABLE names.
#include "ck_vector.h"

CK_INLINE v16f panel16(const void *p, int format, int64_t index) {
  if (format == CK_FP32) return load16((const float *)p + index);
  return half16((const uint16_t *)p + index);
}

// ROWS × (16·PANELS) outputs of the function strip, whose parameters the macro reads. Panel j begins at B + j·b_panel
// elements; `part` < 16 limits the last panel. Not a function: as one, with its operands in a struct, the AVX2 kernel of
// packed fp32 weights took 1.5 times as long (the tile needs all sixteen registers).
#define TILE(ROWS, PANELS)                                                                                      \
  do {                                                                                                          \
    v16f acc[ROWS][PANELS];                                                                                     \
    for (int i = 0; i < ROWS; ++i)                                                                              \
      for (int j = 0; j < PANELS; ++j) {                                                                        \
        int64_t width = j == PANELS - 1 ? part : 16;                                                            \
        if (accumulate)                                                                                         \
          acc[i][j] = width == 16 ? load16(C + i * c_row + j * 16) : load_part(C + i * c_row + j * 16, width);  \
        else if (bias)                                                                                          \
          acc[i][j] = width == 16 ? load16(bias + j * 16) : load_part(bias + j * 16, width);                    \
        else acc[i][j] = splat(0);                                                                              \
      }                                                                                                         \
    if (whole) {                                                                                                \
      for (int64_t k = 0; k < K; ++k) {                                                                         \
        v16f b[PANELS];                                                                                         \
        _Pragma("clang loop unroll(full)") for (int j = 0; j < PANELS; ++j) b[j] =                              \
            panel16(B, format, j * b_panel + k * b_k);                                                          \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < ROWS; ++i) {                                     \
          v16f a = splat(A[i * a_row + k * a_k]);                                                               \
          _Pragma("clang loop unroll(full)") for (int j = 0; j < PANELS; ++j) acc[i][j] =                       \
              fma16(a, b[j], acc[i][j]);                                                                        \
        }                                                                                                       \
      }                                                                                                         \
    } else {                                                                                                    \
      for (int64_t k = 0; k < K; ++k) {                                                                         \
        const float *row = (const float *)B + k * b_k;                                                          \
        v16f b[PANELS];                                                                                         \
        for (int j = 0; j < PANELS; ++j)                                                                        \
          b[j] = j == PANELS - 1 ? load_part(row + j * b_panel, part) : load16(row + j * b_panel);              \
        for (int i = 0; i < ROWS; ++i) {                                                                        \
          v16f a = splat(A[i * a_row + k * a_k]);                                                               \
          for (int j = 0; j < PANELS; ++j) acc[i][j] = fma16(a, b[j], acc[i][j]);                               \
        }                                                                                                       \
      }                                                                                                         \
    }                                                                                                           \
    for (int i = 0; i < ROWS; ++i)                                                                              \
      for (int j = 0; j < PANELS; ++j) {                                                                        \
        int64_t width = j == PANELS - 1 ? part : 16;                                                            \
        if (width == 16) store16(C + i * c_row + j * 16, acc[i][j]);                                            \
        else store_part(C + i * c_row + j * 16, acc[i][j], width);                                              \
      }                                                                                                         \
  } while (0)

// All rows against one strip of `panels` (1 or 2) panels. `whole`: B may be read sixteen wide everywhere.
CK_INLINE void strip(int64_t M, int64_t K, const float *A, int64_t a_row, int64_t a_k, const void *B, int format,
                     int64_t b_panel, int64_t b_k, const float *bias, float *C, int64_t c_row, bool accumulate,
                     int64_t panels, int64_t part, bool whole) {
  int64_t m = 0;
#define ROWS_LOOP(R)                     \
  for (; m + R <= M; m += R) {           \
    if (panels == 2) TILE(R, 2);         \
    else TILE(R, 1);                     \
    A += R * a_row;                      \
    C += R * c_row;                      \
  }
  for (; panels == 4 && m < M; ++m) {
    TILE(1, 4);
    A += a_row;
    C += c_row;
  }
  CK_TILE_ROWS(ROWS_LOOP)
#undef ROWS_LOOP
}

static void gemm_f32(int64_t M, int64_t N, int64_t K, const float *A, int64_t a_row, int64_t a_k, const float *B,
                     int64_t b_k, const float *bias, float *C, int64_t c_row, bool accumulate) {
  int64_t n = 0;
  for (; n + 32 <= N; n += 32)
    strip(M, K, A, a_row, a_k, B + n, CK_FP32, 16, b_k, bias ? bias + n : 0, C + n, c_row, accumulate, 2, 16, true);
  for (; n < N; n += 16) {
    int64_t part = N - n < 16 ? N - n : 16;
    if (part == 16)
      strip(M, K, A, a_row, a_k, B + n, CK_FP32, 16, b_k, bias ? bias + n : 0, C + n, c_row, accumulate, 1, 16, true);
    else
      strip(M, K, A, a_row, a_k, B + n, CK_FP32, 16, b_k, bias ? bias + n : 0, C + n, c_row, accumulate, 1, part,
            false);
  }
}

static void gemm_packed(int64_t M, const float *A, int64_t a_row, const ck_packed *B, int64_t matrix, int64_t first,
                        int64_t panels, const float *bias, float *C, int64_t c_row) {
  const int64_t K = B->columns, width = B->format == CK_FP32 ? 4 : 2, panel = K * 16;
  const uint8_t *data = B->data + matrix * B->matrix_bytes;
  const bool accumulate = false;
  for (int64_t j = 0; j < panels;) {
    int64_t left = B->rows - (first + j) * 16, count = left >= 32 && j + 2 <= panels ? 2 : 1;
    // A single row: more sums at once hide the latency of the products, more streams that of the memory.
    if (M == 1 && left >= 64 && j + 4 <= panels) count = 4;
    int64_t part = left < 16 ? left : 16;
    const void *b = data + (first + j) * panel * width;
    const float *start = bias ? bias + (first + j) * 16 : 0;
    float *c = C + j * 16;
    if (B->format == CK_FP32)
      strip(M, K, A, a_row, 1, b, CK_FP32, panel, 16, start, c, c_row, accumulate, count, part, true);
    else
      strip(M, K, A, a_row, 1, b, CK_FP16, panel, 16, start, c, c_row, accumulate, count, part, true);
    j += count;
  }
}

#include "ck_bf16.inc.h"
#include "ck_bf16_steps.inc.h"

#include "ck_a8.inc.h"

static void quantize_a8(int64_t M, int64_t K, const float *x, int64_t x_row, const ck_activations *out) {
  const int64_t padded = (int64_t)out->groups * out->group_padded;
  for (int64_t m = 0; m < M; ++m) {
    const float *row = x + m * x_row;
    int8_t *codes = out->codes + m * padded;
    v16f most = splat(0);
    int64_t k = 0;
    for (; k + 16 <= K; k += 16) most = max16(abs16(load16(row + k)), most);
    if (k < K) most = max16(abs16(load_part(row + k, K - k)), most);
    float largest = fold_max(most), scale = (largest > CK_SCALE_FLOOR ? largest : CK_SCALE_FLOOR) / 127.0f;
    out->scales[m] = scale;
    const v16f divisor = splat(scale);
    for (int32_t g = 0; g < out->groups; ++g) {
      const float *in = row + (int64_t)g * out->group;
      int8_t *to = codes + (int64_t)g * out->group_padded;
      v16i total = isplat(0);
      for (int32_t i = 0; i < out->group_padded; i += 16) {
        int32_t left = out->group - i;
        v16f v = left >= 16 ? load16(in + i) : left > 0 ? load_part(in + i, left) : splat(0);
        v16f q = __builtin_elementwise_rint(v / divisor);
        q = pick(q > splat(127), splat(127), q);
        q = pick(q < splat(-127), splat(-127), q);
        q = pick(q != q, splat(0), q);
        v16i code = __builtin_convertvector(q, v16i);
        total += code;
        typedef int8_t v16b __attribute__((vector_size(16)));
        v16b bytes = __builtin_convertvector(code, v16b);
        memcpy(to + i, &bytes, 16);
      }
      int32_t lanes[16], sum = 0;
      memcpy(lanes, &total, 64);
      for (int j = 0; j < 16; ++j) sum += lanes[j];
      out->sums[m * out->groups + g] = sum;
    }
  }
}

static void dequantize_a8(int64_t M, const ck_activations *A, float *out, int64_t out_row) {
  typedef int8_t v16b __attribute__((vector_size(16)));
  const int8_t *codes = A->codes;
  for (int64_t m = 0; m < M; ++m, out += out_row)
    for (int64_t g = 0; g < A->groups; ++g, codes += A->group_padded)
      for (int64_t i = 0; i < A->group; i += 16) {
        int64_t n = A->group - i < 16 ? A->group - i : 16;
        v16b bytes;
        memcpy(&bytes, codes + i, 16);
        v16f v = splat(A->scales[m]) * __builtin_convertvector(__builtin_convertvector(bytes, v16i), v16f);
        if (n == 16) store16(out + g * A->group + i, v);
        else store_part(out + g * A->group + i, v, n);
      }
}

static void softmax(int64_t M, int64_t N, float *x, int64_t row) {
  for (int64_t m = 0; m < M; ++m, x += row) {
    float most = x[0];
    for (int64_t i = 1; i < N; ++i) most = x[i] > most ? x[i] : most;
    v16f sum = splat(0), shift = splat(most);
    int64_t i = 0;
    for (; i + 16 <= N; i += 16) {
      v16f e = exp16(load16(x + i) - shift);
      store16(x + i, e);
      sum += e;
    }
    if (i < N) {
      v16f e = exp16(load_part(x + i, N - i) - shift);
      e = pick(iota16() < isplat((int32_t)(N - i)), e, splat(0));
      store_part(x + i, e, N - i);
      sum += e;
    }
    float total = fold_sum(sum);
    for (i = 0; i < N; ++i) x[i] = x[i] / total;
  }
}

static float dot(int64_t count, const float *x, const float *y) {
  v16f sum = splat(0);
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) sum = fma16(load16(x + i), load16(y + i), sum);
  if (i < count) sum = fma16(load_part(x + i, count - i), load_part(y + i, count - i), sum);
  return fold_sum(sum);
}

static void rms_norm(int64_t M, int64_t N, const float *x, const float *w, float epsilon, float *y, float *inverse) {
  for (int64_t m = 0; m < M; ++m, x += N, y += N) {
    float r = 1.0f / sqrtf(dot(N, x, x) / (float)N + epsilon);
    inverse[m] = r;
    if (w)
      for (int64_t i = 0; i < N; ++i) y[i] = (x[i] * r) * w[i];
    else
      for (int64_t i = 0; i < N; ++i) y[i] = x[i] * r;
  }
}

// With n = x·r: dn = dy·w, dw += dy·n, dx = r·(dn − n·mean(dn·n)).
static void rms_norm_backward(int64_t M, int64_t N, const float *x, const float *w, const float *inverse,
                              const float *dy, float *dx, float *dw) {
  for (int64_t m = 0; m < M; ++m, x += N, dy += N, dx += N) {
    float r = inverse[m];
    v16f sum = splat(0);
    int64_t i = 0;
    for (; i < N; i += 16) {
      int64_t n = N - i < 16 ? N - i : 16;
      v16f d = load_part(dy + i, n), v = load_part(x + i, n);
      if (w) d = d * load_part(w + i, n);
      sum = fma16(d, v, sum);
    }
    float mean = fold_sum(sum) * r / (float)N;
    for (i = 0; i < N; ++i) {
      float n = x[i] * r, d = w ? dy[i] * w[i] : dy[i];
      if (dw) dw[i] += dy[i] * n;
      dx[i] += r * (d - n * mean);
    }
  }
}

#define ELEMENTWISE(NAME, EXPRESSION)                              \
  static void NAME(int64_t count, const float *x, float *y) {      \
    for (int64_t i = 0; i < count; i += 16) {                      \
      int64_t n = count - i < 16 ? count - i : 16;                 \
      v16f v = n == 16 ? load16(x + i) : load_part(x + i, n);      \
      v = EXPRESSION;                                              \
      if (n == 16) store16(y + i, v);                              \
      else store_part(y + i, v, n);                                \
    }                                                              \
  }
ELEMENTWISE(gelu, gelu16(v))
ELEMENTWISE(sigmoid, splat(1.0f) / (splat(1.0f) + exp16(-v)))
ELEMENTWISE(exponential, exp16(v))
ELEMENTWISE(error_function, erf16(v))

static void gelu_backward(int64_t count, const float *x, float *dy) {
  for (int64_t i = 0; i < count; i += 16) {
    int64_t n = count - i < 16 ? count - i : 16;
    v16f v = load_part(x + i, n), d = load_part(dy + i, n);
    v16f cdf = splat(0.5f) * (splat(1.0f) + erf16(v * splat(CK_SQRT_HALF)));
    v16f pdf = splat(CK_INV_SQRT_2PI) * exp16(splat(-0.5f) * (v * v));
    store_part(dy + i, d * fma16(v, pdf, cdf), n);
  }
}

static void add_scaled(int64_t count, float a, const float *x, float *y) {
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) store16(y + i, fma16(splat(a), load16(x + i), load16(y + i)));
  if (i < count)
    store_part(y + i, fma16(splat(a), load_part(x + i, count - i), load_part(y + i, count - i)), count - i);
}

static void scale(int64_t count, float a, const float *x, float *y) {
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) store16(y + i, splat(a) * load16(x + i));
  for (; i < count; ++i) y[i] = a * x[i];
}

static void multiply(int64_t count, const float *x, const float *w, float *y) {
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) store16(y + i, load16(x + i) * load16(w + i));
  for (; i < count; ++i) y[i] = x[i] * w[i];
}

static void multiply_backward(int64_t count, const float *x, const float *w, float *dy, float *dw) {
  for (int64_t i = 0; i < count; i += 16) {
    int64_t n = count - i < 16 ? count - i : 16;
    v16f d = load_part(dy + i, n);
    store_part(dw + i, load_part(dw + i, n) + d * load_part(x + i, n), n);
    store_part(dy + i, d * load_part(w + i, n), n);
  }
}

// −1 or 1 for each of n ≤ 16 bits.
CK_INLINE v16f bit_signs(const uint8_t *z, int64_t n) {
  uint32_t bits = z[0] | (n > 8 ? (uint32_t)z[1] << 8 : 0);
  v16i one = ((isplat((int32_t)bits) >> iota16()) & 1) << 31;
  return (v16f)(one ^ (v16i)splat(-1.0f));
}

static void signs(int64_t count, const uint8_t *z, float *y) {
  for (int64_t i = 0; i < count; i += 16) {
    int64_t n = count - i < 16 ? count - i : 16;
    v16f s = bit_signs(z + i / 8, n);
    if (n == 16) store16(y + i, s);
    else store_part(y + i, s, n);
  }
}

static double bit_entropy(int64_t count, float *x, const uint8_t *z, float c) {
  v8d lanes = {0};
  for (int64_t i = 0; i < count; i += 16) {
    int64_t n = count - i < 16 ? count - i : 16;
    v16f v = n == 16 ? load16(x + i) : load_part(x + i, n), sign = bit_signs(z + i / 8, n);
    // −log sigmoid(s) with s = x for a set bit and −x otherwise: max(−s, 0) + log(1 + e^−|s|).
    v16f minus = -(v * sign), e = exp16(-abs16(v));
    v16f t = e / (splat(2.0f) + e), t2 = t * t, p = splat(1.0f / 15);  // log(1 + e) = 2·atanh(e/(2 + e)), t ≤ 1/3
    for (int k = 13; k >= 1; k -= 2) p = fma16(p, t2, splat(1.0f / (float)k));
    v16f loss = max16(minus, splat(0)) + splat(2.0f) * (t * p);
    if (n < 16) loss = pick(iota16() < isplat((int32_t)n), loss, splat(0));
    typedef float v8f __attribute__((vector_size(32)));
    v8f half[2];
    memcpy(half, &loss, 64);
    lanes += __builtin_convertvector(half[0], v8d);
    lanes += __builtin_convertvector(half[1], v8d);
    v16f one = splat(0.5f) * (splat(1.0f) + sign), p1 = splat(1.0f) / (splat(1.0f) + exp16(-v));
    v = (p1 - one) * splat(c);
    if (n == 16) store16(x + i, v);
    else store_part(x + i, v, n);
  }
  double l[8];
  memcpy(l, &lanes, 64);
  for (int width = 4; width > 0; width /= 2)
    for (int j = 0; j < width; ++j) l[j] += l[j + width];
  return l[0];
}

static double sum_squares(int64_t count, const float *x) {
  double lanes[8] = {0};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (int j = 0; j < 8; ++j) lanes[j] += (double)x[i + j] * (double)x[i + j];
  for (int j = 0; i + j < count; ++j) lanes[j] += (double)x[i + j] * (double)x[i + j];
  for (int width = 4; width > 0; width /= 2)
    for (int j = 0; j < width; ++j) lanes[j] += lanes[j + width];
  return lanes[0];
}

// Four queries share each block of keys. Every score, sum and output is a chain of operations of one query.
static void attention(int64_t M, int64_t position, const ck_attention *operands) {
  const int64_t head_dim = operands->head_dim, q_row = operands->q_row, out_row = operands->out_row;
  const float scale = operands->scale, *q = operands->q;
  float *out = operands->out, *maxima = operands->maxima, *inverses = operands->inverses, *scores = operands->scores;
  for (int64_t m = 0; m < M; m += 4) {
    const int64_t rows = M - m < 4 ? M - m : 4, last = position + m + rows - 1;
    const int64_t blocks = last / 16 + 1, span = blocks * 16;
    float inverse[4];
    for (int64_t b = 0; b < blocks; ++b) {
      const float *block = operands->blocks[b] + operands->keys;
      v16f acc[4] = {splat(0), splat(0), splat(0), splat(0)};
      if (rows == 4) {
        for (int64_t i = 0; i < head_dim; ++i) {
          v16f k = load16(block + i * 16);
          for (int j = 0; j < 4; ++j) acc[j] = fma16(splat(q[(m + j) * q_row + i]), k, acc[j]);
        }
      } else {
        for (int64_t j = 0; j < rows; ++j)
          for (int64_t i = 0; i < head_dim; ++i)
            acc[j] = fma16(splat(q[(m + j) * q_row + i]), load16(block + i * 16), acc[j]);
      }
      for (int64_t j = 0; j < rows; ++j) {
        v16i visible = (iota16() + isplat((int32_t)(b * 16))) <= isplat((int32_t)(position + m + j));
        store16(scores + j * span + b * 16, pick(visible, acc[j] * splat(scale), splat(-INFINITY)));
      }
    }
    for (int64_t j = 0; j < rows; ++j) {
      float *row = scores + j * span;
      v16f most = load16(row), sum = splat(0);
      for (int64_t b = 1; b < blocks; ++b) most = max16(load16(row + b * 16), most);
      float m_j = fold_max(most);
      for (int64_t b = 0; b < blocks; ++b) {
        v16f e = exp16(load16(row + b * 16) - splat(m_j));
        store16(row + b * 16, e);
        sum += e;
      }
      inverse[j] = 1.0f / fold_sum(sum);
      if (maxima) maxima[m + j] = m_j;
      if (inverses) inverses[m + j] = inverse[j];
    }
    for (int64_t i = 0; i < head_dim; i += 16) {
      const int64_t n = head_dim - i < 16 ? head_dim - i : 16;
      v16f acc[4] = {splat(0), splat(0), splat(0), splat(0)};
      for (int64_t b = 0; b < blocks; ++b) {
        const float *v_row = operands->blocks[b] + operands->values + i, *score = scores + b * 16;
        const int64_t count = last - b * 16 < 15 ? last - b * 16 + 1 : 16;
        if (rows == 4 && n == 16) {
          for (int64_t s = 0; s < count; ++s, v_row += head_dim) {
            v16f v = load16(v_row);
            for (int j = 0; j < 4; ++j) acc[j] = fma16(splat(score[j * span + s]), v, acc[j]);
          }
        } else {
          for (int64_t s = 0; s < count; ++s, v_row += head_dim) {
            v16f v = load_part(v_row, n);
            for (int64_t j = 0; j < rows; ++j) acc[j] = fma16(splat(score[j * span + s]), v, acc[j]);
          }
        }
      }
      for (int64_t j = 0; j < rows; ++j) store_part(out + (m + j) * out_row + i, acc[j] * splat(inverse[j]), n);
    }
  }
}

// Four queries at a time: keys, values and their gradients are read once for four queries, and every gradient still
// adds the queries in order. Queries after the end count as zeros.
static void attention_backward(int64_t T, const ck_attention_gradient *operands) {
  const int64_t head_dim = operands->head_dim, row = operands->row, out_row = operands->out_row;
  const int64_t gradient_row = operands->gradient_row;
  const float scale = operands->scale, *q = operands->q, *k = operands->k, *keys = operands->keys;
  const float *values = operands->values, *out = operands->out, *dout = operands->dout;
  const float *maxima = operands->maxima, *inverses = operands->inverses;
  float *dq = operands->dq, *dk = operands->dk, *dv = operands->dv, *scratch = operands->scratch;
  for (int64_t t = 0; t < T; t += 4) {
    const int64_t rows = T - t < 4 ? T - t : 4, last = t + rows - 1, blocks = last / 16 + 1, span = blocks * 16;
    float *p = scratch, *ds = scratch + 4 * span, mean[4] = {0}, most[4] = {0}, inverse[4] = {0};
    const float *qs[4], *douts[4];
    for (int64_t j = 0; j < 4; ++j) {
      const int64_t query = j < rows ? t + j : last;
      qs[j] = q + query * row;
      douts[j] = dout + query * out_row;
      if (j == query - t) {
        mean[j] = dot(head_dim, douts[j], out + query * out_row);
        most[j] = maxima[query];
        inverse[j] = inverses[query];
      }
    }
    for (int64_t b = 0; b < blocks; ++b) {
      v16f s[4] = {splat(0), splat(0), splat(0), splat(0)}, dp[4] = {splat(0), splat(0), splat(0), splat(0)};
      for (int64_t i = 0; i < head_dim; ++i) {
        const v16f key = load16(keys + (b * head_dim + i) * 16), value = load16(values + (b * head_dim + i) * 16);
        for (int j = 0; j < 4; ++j) {
          s[j] = fma16(splat(qs[j][i]), key, s[j]);
          dp[j] = fma16(splat(douts[j][i]), value, dp[j]);
        }
      }
      for (int j = 0; j < 4; ++j) {
        v16i visible = (iota16() + isplat((int32_t)(b * 16))) <= isplat((int32_t)(t + j));
        v16f shifted = pick(visible, s[j] * splat(scale), splat(-INFINITY)) - splat(most[j]);
        v16f e = j < rows ? exp16(shifted) * splat(inverse[j]) : splat(0);
        store16(p + j * span + b * 16, e);
        store16(ds + j * span + b * 16, j < rows ? (e * (dp[j] - splat(mean[j]))) * splat(scale) : splat(0));
      }
    }
    for (int64_t i = 0; i < head_dim; i += 16) {
      const int64_t n = head_dim - i < 16 ? head_dim - i : 16;
      v16f qv[4], dov[4], dqv[4];
      for (int j = 0; j < 4; ++j) {
        qv[j] = j < rows ? load_part(qs[j] + i, n) : splat(0);
        dov[j] = j < rows ? load_part(douts[j] + i, n) : splat(0);
        dqv[j] = j < rows ? load_part(dq + (t + j) * gradient_row + i, n) : splat(0);
      }
      if (n == 16) {
        for (int64_t s = 0; s <= last; ++s) {
          float *dks = dk + s * gradient_row + i, *dvs = dv + s * gradient_row + i;
          v16f key = load16(k + s * row + i), dkv = load16(dks), dvv = load16(dvs);
          for (int j = 0; j < 4; ++j) {
            v16f w = splat(ds[j * span + s]);
            dqv[j] = fma16(w, key, dqv[j]);
            dkv = fma16(w, qv[j], dkv);
            dvv = fma16(splat(p[j * span + s]), dov[j], dvv);
          }
          store16(dks, dkv);
          store16(dvs, dvv);
        }
      } else {
        for (int64_t s = 0; s <= last; ++s) {
          float *dks = dk + s * gradient_row + i, *dvs = dv + s * gradient_row + i;
          v16f key = load_part(k + s * row + i, n), dkv = load_part(dks, n), dvv = load_part(dvs, n);
          for (int j = 0; j < 4; ++j) {
            v16f w = splat(ds[j * span + s]);
            dqv[j] = fma16(w, key, dqv[j]);
            dkv = fma16(w, qv[j], dkv);
            dvv = fma16(splat(p[j * span + s]), dov[j], dvv);
          }
          store_part(dks, dkv, n);
          store_part(dvs, dvv, n);
        }
      }
      for (int64_t j = 0; j < rows; ++j) store_part(dq + (t + j) * gradient_row + i, dqv[j], n);
    }
  }
}

static void logit_partial(int64_t count, const float *x, float *m, float *s, float *w) {
  float most = x[0];
  for (int64_t i = 1; i < count; ++i) most = x[i] > most ? x[i] : most;
  v16f sum = splat(0), weighted = splat(0), shift = splat(most);
  for (int64_t i = 0; i < count; i += 16) {
    int64_t n = count - i < 16 ? count - i : 16;
    v16f d = (n == 16 ? load16(x + i) : load_part(x + i, n)) - shift, e = exp16(d);
    if (n < 16) e = pick(iota16() < isplat((int32_t)n), e, splat(0));
    sum += e;
    weighted = fma16(e, pick(e > splat(0), d, splat(0)), weighted);
  }
  *m = most;
  *s = fold_sum(sum);
  *w = fold_sum(weighted);
}

static void logit_gradient(int64_t count, float *x, float lse, float entropy, int64_t target, float a, float b,
                           float c) {
  for (int64_t i = 0; i < count; i += 16) {
    int64_t n = count - i < 16 ? count - i : 16;
    v16f l = (n == 16 ? load16(x + i) : load_part(x + i, n)) - splat(lse), p = exp16(l);
    v16f slope = pick(p > splat(0), l + splat(entropy), splat(0));
    v16f g = (splat(-a) * p - (splat(b) * p) * slope) * splat(c);
    if (n == 16) store16(x + i, g);
    else store_part(x + i, g, n);
  }
  if (target >= 0 && target < count) x[target] += a * c;
}

static const ck_table CK_TABLE = {
    .name = CK_TABLE_NAME,
    .memory = &memory_kernels,
    .gemm_f32 = gemm_f32,
    .gemm_packed = gemm_packed,
    .gemm_a8 = gemm_a8,
    .gemm_bf16 = gemm_bf16,
    .gemm_bf16_tiles = gemm_bf16_tiles,
    .bf16_rows = bf16_rows,
    .bf16_pairs = bf16_pairs,
    .bf16_pairs_a8 = bf16_pairs_a8,
    .bf16_panels = bf16_panels,
    .quantize_a8 = quantize_a8,
    .dequantize_a8 = dequantize_a8,
    .softmax = softmax,
    .rms_norm = rms_norm,
    .rms_norm_backward = rms_norm_backward,
    .gelu = gelu,
    .gelu_backward = gelu_backward,
    .sigmoid = sigmoid,
    .exponential = exponential,
    .error_function = error_function,
    .add_scaled = add_scaled,
    .scale = scale,
    .multiply = multiply,
    .multiply_backward = multiply_backward,
    .bit_entropy = bit_entropy,
    .signs = signs,
    .dot = dot,
    .sum_squares = sum_squares,
    .attention = attention,
    .attention_backward = attention_backward,
    .logit_partial = logit_partial,
    .logit_gradient = logit_gradient,
};
