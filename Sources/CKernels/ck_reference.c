// The scalar specification of the kernels: plain loops, one operation at a time, no contraction.
#include <math.h>
#include <string.h>

#include "ck_constants.h"
#include "ck_kernels.h"

#pragma STDC FP_CONTRACT OFF

float ck_reference_exp(float x) {
  if (x < CK_EXP_MIN) return 0;
  float c = x > CK_EXP_MAX ? CK_EXP_MAX : x;
  float n = rintf(c * CK_LOG2E);
  float r = fmaf(n, -CK_LN2_HIGH, c);
  r = fmaf(n, -CK_LN2_LOW, r);
  float p = CK_EXP_P4;
  p = fmaf(p, r, CK_EXP_P3);
  p = fmaf(p, r, CK_EXP_P2);
  p = fmaf(p, r, CK_EXP_P1);
  p = fmaf(p, r, CK_EXP_P0);
  p = fmaf(p, r * r, r) + 1.0f;
  if (!(n == n)) return x;
  int32_t bits = ((int32_t)n + 127) << 23;
  float power;
  memcpy(&power, &bits, 4);
  return p * power;
}

float ck_reference_erf(float x) {
  float t = fabsf(x);
  if (t <= 1.0f) {
    float s = x * x, p = CK_ERF_S6;
    p = fmaf(p, s, CK_ERF_S5);
    p = fmaf(p, s, CK_ERF_S4);
    p = fmaf(p, s, CK_ERF_S3);
    p = fmaf(p, s, CK_ERF_S2);
    p = fmaf(p, s, CK_ERF_S1);
    p = fmaf(p, s, CK_ERF_S0);
    return p * x;
  }
  if (!(t == t)) return x;
  t = t > 4.0f ? 4.0f : t;
  float g = CK_ERF_L7;
  g = fmaf(g, t, CK_ERF_L6);
  g = fmaf(g, t, CK_ERF_L5);
  g = fmaf(g, t, CK_ERF_L4);
  g = fmaf(g, t, CK_ERF_L3);
  g = fmaf(g, t, CK_ERF_L2);
  g = fmaf(g, t, CK_ERF_L1);
  g = fmaf(g, t, CK_ERF_L0);
  return copysignf(1.0f - ck_reference_exp(-(t * g)), x);
}

float ck_reference_gelu(float x) { return (0.5f * x) * (1.0f + ck_reference_erf(x * CK_SQRT_HALF)); }

static float fold(float lanes[16]) {
  for (int width = 8; width > 0; width /= 2)
    for (int j = 0; j < width; ++j) lanes[j] = lanes[j] + lanes[j + width];
  return lanes[0];
}

float ck_reference_dot(int64_t count, const float *x, const float *y) {
  float lanes[16] = {0};
  for (int64_t i = 0; i < count; ++i) lanes[i % 16] = fmaf(x[i], y[i], lanes[i % 16]);
  return fold(lanes);
}

void ck_reference_softmax(int64_t N, float *x) {
  float m = x[0], lanes[16] = {0};
  for (int64_t i = 1; i < N; ++i) m = x[i] > m ? x[i] : m;
  for (int64_t i = 0; i < N; ++i) {
    x[i] = ck_reference_exp(x[i] - m);
    lanes[i % 16] += x[i];
  }
  float sum = fold(lanes);
  for (int64_t i = 0; i < N; ++i) x[i] = x[i] / sum;
}

void ck_reference_rms_norm(int64_t N, const float *x, const float *w, float epsilon, float *y, float *inverse) {
  float r = 1.0f / sqrtf(ck_reference_dot(N, x, x) / (float)N + epsilon);
  *inverse = r;
  for (int64_t i = 0; i < N; ++i) y[i] = w ? (x[i] * r) * w[i] : x[i] * r;
}

void ck_reference_gemm(int64_t M, int64_t N, int64_t K, const float *A, int64_t a_row, int64_t a_k, const float *B,
                       int64_t b_row, int64_t b_k, const float *bias, float *C, int64_t c_row, bool accumulate) {
  for (int64_t m = 0; m < M; ++m)
    for (int64_t n = 0; n < N; ++n) {
      float sum = accumulate ? C[m * c_row + n] : bias ? bias[n] : 0.0f;
      for (int64_t k = 0; k < K; ++k) sum = fmaf(A[m * a_row + k * a_k], B[n * b_row + k * b_k], sum);
      C[m * c_row + n] = sum;
    }
}

void ck_reference_quantize_a8(int64_t M, int64_t K, const float *x, int64_t x_row, const ck_activations *out) {
  int64_t padded = (int64_t)out->groups * out->group_padded;
  for (int64_t m = 0; m < M; ++m) {
    const float *row = x + m * x_row;
    int8_t *codes = out->codes + m * padded;
    float largest = 0;
    for (int64_t k = 0; k < K; ++k) largest = fabsf(row[k]) > largest ? fabsf(row[k]) : largest;
    float scale = (largest > CK_SCALE_FLOOR ? largest : CK_SCALE_FLOOR) / 127.0f;
    out->scales[m] = scale;
    memset(codes, 0, (size_t)padded);
    for (int32_t g = 0; g < out->groups; ++g) {
      int32_t sum = 0;
      for (int32_t i = 0; i < out->group; ++i) {
        float q = rintf(row[(int64_t)g * out->group + i] / scale);
        q = q > 127 ? 127 : q < -127 ? -127 : q == q ? q : 0;
        codes[(int64_t)g * out->group_padded + i] = (int8_t)q;
        sum += (int32_t)q;
      }
      out->sums[m * out->groups + g] = sum;
    }
  }
}

void ck_reference_gemm_a8(int64_t M, const ck_activations *A, const ck_packed *B, int64_t matrix, const float *bias,
                          float *C, int64_t c_row) {
  int64_t padded = (int64_t)B->groups * B->group_padded;
  const float *scales = B->scales + matrix * B->matrix_scales;
  for (int64_t m = 0; m < M; ++m)
    for (int64_t n = 0; n < B->rows; ++n) {
      float sum = 0;
      for (int64_t g = 0; g < B->groups; ++g) {
        int32_t dot = 0;
        for (int64_t i = 0; i < B->group; ++i)
          dot += ck_packed_code(B, matrix, n, g * B->group + i) * A->codes[m * padded + g * B->group_padded + i];
        sum = fmaf(scales[((n / 16) * B->groups + g) * 16 + n % 16], (float)dot, sum);
      }
      C[m * c_row + n] = fmaf(A->scales[m], sum, bias ? bias[n] : 0.0f);
    }
}

static float attention_score(int64_t head_dim, float scale, const float *q, const float *k) {
  float sum = 0;
  for (int64_t i = 0; i < head_dim; ++i) sum = fmaf(q[i], k[i], sum);
  return sum * scale;
}

// Scores are computed anew for every use, so the specification needs no memory.
void ck_reference_attention(int64_t position, int64_t head_dim, float scale, const float *q, const float *k,
                            int64_t k_row, const float *v, int64_t v_row, float *out) {
  float m = -INFINITY, lanes[16] = {0};
  for (int64_t s = 0; s <= position; ++s) {
    float score = attention_score(head_dim, scale, q, k + s * k_row);
    m = score > m ? score : m;
  }
  for (int64_t s = 0; s <= position; ++s)
    lanes[s % 16] += ck_reference_exp(attention_score(head_dim, scale, q, k + s * k_row) - m);
  float inverse = 1.0f / fold(lanes);
  for (int64_t i = 0; i < head_dim; ++i) {
    float sum = 0;
    for (int64_t s = 0; s <= position; ++s)
      sum = fmaf(ck_reference_exp(attention_score(head_dim, scale, q, k + s * k_row) - m), v[s * v_row + i], sum);
    out[i] = sum * inverse;
  }
}

static float flushed(float x) {
  return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x;
}

void ck_reference_gemm_bf16(int64_t M, int64_t N, const ck_bf16_product *parts, int64_t count, const float *bias,
                            float *C, int64_t c_row, bool accumulate) {
  for (int64_t m = 0; m < M; ++m)
    for (int64_t n = 0; n < N; ++n) {
      float sum = flushed(accumulate ? C[m * c_row + n] : bias ? bias[n] : 0);
      for (int64_t s = 0; s < count; ++s)
        for (int64_t p = 0; p < parts[s].pairs; ++p) {
          uint32_t a = parts[s].a[m * parts[s].a_row + p * parts[s].a_pair];
          uint32_t b = parts[s].b[n / 16 * parts[s].b_panel + p * parts[s].b_pair + n % 16];
          for (int half = 1; half >= 0; --half) {
            float x = flushed(ck_f32_from_bf16((uint16_t)(a >> (16 * half))));
            float y = flushed(ck_f32_from_bf16((uint16_t)(b >> (16 * half))));
            sum = flushed(fmaf(x, y, sum));
          }
        }
      C[m * c_row + n] = sum;
    }
}

void ck_reference_gemm_bf16_tiles(int64_t M, int64_t N, const ck_bf16_product *parts, int64_t count, const float *bias,
                                  float *C, int64_t c_row, bool accumulate) {
  for (int64_t m = 0; m < M; ++m)
    for (int64_t n = 0; n < N; ++n) {
      float sum = flushed(accumulate ? C[m * c_row + n] : bias ? bias[n] : 0);
      for (int64_t s = 0; s < count; ++s)
        for (int64_t first = 0; first < parts[s].pairs; first += 16) {
          float terms[2] = {0, 0};  // even, odd
          for (int64_t p = first; p < first + 16; ++p) {
            const bool is_pair = p < parts[s].pairs;
            const uint32_t a = is_pair ? parts[s].a[m * parts[s].a_row + p * parts[s].a_pair] : 0;
            const uint32_t b = is_pair ? parts[s].b[n / 16 * parts[s].b_panel + p * parts[s].b_pair + n % 16] : 0;
            for (int half = 0; half < 2; ++half) {
              const float x = flushed(ck_f32_from_bf16((uint16_t)(a >> (16 * half))));
              const float y = flushed(ck_f32_from_bf16((uint16_t)(b >> (16 * half))));
              terms[half] = flushed(fmaf(x, y, terms[half]));
            }
          }
          sum = flushed(sum + flushed(terms[0] + terms[1]));
        }
      C[m * c_row + n] = sum;
    }
}
