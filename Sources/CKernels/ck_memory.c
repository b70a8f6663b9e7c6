// The scalar specification of ck_memory.h, except packing (see ck_formats.c): plain loops, one operation at a time, no
// contraction.
#include <math.h>
#include <string.h>

#include "ck_constants.h"
#include "ck_kernels.h"

#pragma STDC FP_CONTRACT OFF

static float float_from_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}
static uint32_t bits_of(float x) {
  uint32_t u;
  memcpy(&u, &x, 4);
  return u;
}

static float stepped(const ck_adamw *s, float w, float m, float root) {
  float direction = m / fmaf(root, s->root_correction, s->epsilon);
  return fmaf(-s->step_size, direction, s->keep * w);
}

void ck_reference_adamw(int64_t count, const ck_adamw *s, float *w, const float *gradient, float *m, float *v) {
  for (int64_t i = 0; i < count; ++i) {
    float g = s->clip_scale * gradient[i];
    m[i] = fmaf(s->beta1, m[i], s->rest1 * g);
    v[i] = fmaf(s->beta2, v[i], s->rest2 * (g * g));
    w[i] = stepped(s, w[i], m[i], sqrtf(v[i]));
  }
}

float ck_moment_value(uint8_t code) {
  uint32_t magnitude = code & 127;
  float value = magnitude ? float_from_bits((magnitude << 20) + (112u << 23)) : 0;
  return code & 128 ? -value : value;
}
float ck_root_value(uint8_t code) { return code ? float_from_bits(((uint32_t)code << 19) + (112u << 23)) : 0; }

// A hash of the index of the element in its tensor.
static uint32_t dither(uint32_t key, int64_t element) {
  uint32_t h = (uint32_t)element ^ key;
  h = (h ^ (h >> 16)) * 0x85ebca6bu;
  h = (h ^ (h >> 13)) * 0xc2b2ae35u;
  return h ^ (h >> 16);
}

void ck_reference_adamw_8(int64_t count, const ck_adamw *s, uint32_t key, int64_t first, float *w,
                          const float *gradient, const ck_moment *m, const ck_moment *root) {
  for (int64_t block = 0; block < count; block += CK_MOMENT_BLOCK) {
    int64_t end = block + CK_MOMENT_BLOCK < count ? block + CK_MOMENT_BLOCK : count;
    float means[CK_MOMENT_BLOCK], roots[CK_MOMENT_BLOCK], m_maximum = 0, root_maximum = 0;
    float *m_scale = m->scales + block / CK_MOMENT_BLOCK, *root_scale = root->scales + block / CK_MOMENT_BLOCK;
    for (int64_t i = block; i < end; ++i) {
      float g = s->clip_scale * gradient[i];
      float mean = fmaf(s->beta1, ck_moment_value(m->codes[i]) * *m_scale, s->rest1 * g);
      float r = ck_root_value(root->codes[i]) * *root_scale;
      r = sqrtf(fmaf(s->beta2, r * r, s->rest2 * (g * g)));
      w[i] = stepped(s, w[i], mean, r);
      means[i - block] = mean;
      roots[i - block] = r;
      m_maximum = fabsf(mean) > m_maximum ? fabsf(mean) : m_maximum;
      root_maximum = r > root_maximum ? r : root_maximum;
    }
    bool m_zero = !(m_maximum >= CK_MOMENT_FLOOR), root_zero = !(root_maximum >= CK_MOMENT_FLOOR);
    *m_scale = m_zero ? 0 : m_maximum / 1.875f;
    *root_scale = root_zero ? 0 : root_maximum / 1.9375f;
    float m_inverse = m_zero ? 0 : 1.875f / m_maximum, root_inverse = root_zero ? 0 : 1.9375f / root_maximum;
    for (int64_t i = block; i < end; ++i) {
      uint32_t noise = dither(key, first + i);
      float mean = means[i - block] * m_inverse, size = fabsf(mean) > 1.875f ? 1.875f : fabsf(mean);
      int32_t code = (int32_t)((bits_of(size) + (noise >> 12)) >> 20) - (112 << 3);
      m->codes[i] = (uint8_t)((code > 0 ? code : 0) | ((bits_of(mean) >> 24) & 128));
      float r = roots[i - block] * root_inverse;
      r = r > 1.9375f ? 1.9375f : r;
      int32_t level = (int32_t)((bits_of(r) + (noise & 0x7ffff)) >> 19) - (112 << 4);
      root->codes[i] = (uint8_t)(r > 0 ? (level < 1 ? 1 : level) : 0);
    }
  }
}

int64_t ck_reference_fixed_add(int64_t count, int64_t bound, const float *x, int64_t *sum) {
  for (int64_t i = 0; i < count; ++i) {
    // |x| < 2^11 keeps the product below 2^61.
    if (!(fabsf(x[i]) < 2048.0f)) return i;
    int64_t next = sum[i] + (int64_t)rint((double)x[i] * 0x1p50);
    if (next > bound || next < -bound) return i;
    sum[i] = next;
  }
  return -1;
}

// low and high as one number of quanta.
static __int128 wide(int64_t low, int64_t high) { return (__int128)high * (INT64_C(1) << CK_FIXED_CARRY) + low; }

bool ck_fixed_carry(float x, int64_t *low, int64_t *high) {
  if (!(fabsf(x) < CK_FIXED_LIMIT)) return false;
  const __int128 sum = (__int128)*low + (__int128)rint((double)x * 0x1p50);
  const __int128 carry = (sum + (INT64_C(1) << (CK_FIXED_CARRY - 1))) >> CK_FIXED_CARRY;
  *high += (int64_t)carry;
  *low = (int64_t)(sum - carry * (INT64_C(1) << CK_FIXED_CARRY));
  return true;
}

void ck_fixed_read_wide(int64_t count, const int64_t *low, const int64_t *high, float *x) {
  for (int64_t i = 0; i < count; ++i) x[i] = (float)((double)wide(low[i], high[i]) * 0x1p-50);
}

void ck_reference_fixed_read(int64_t count, const int64_t *sum, float *x) {
  for (int64_t i = 0; i < count; ++i) x[i] = (float)((double)sum[i] * 0x1p-50);
}

int64_t ck_reference_first_nonfinite(int64_t count, const float *x) {
  for (int64_t i = 0; i < count; ++i)
    if (!isfinite(x[i])) return i;
  return -1;
}

float ck_reference_normal(uint32_t a, uint32_t b, double deviation) {
  double u1 = (double)(a + 1) * 0x1p-24, u2 = (double)b * 0x1p-24;
  return (float)(sqrt(-2 * log(u1)) * cos(2 * 3.14159265358979323846 * u2) * deviation);
}
