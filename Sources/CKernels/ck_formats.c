// Conversion of half and bfloat16, packed layouts, the specification of packing, and unpacking: the same on every
// machine.
#include <math.h>
#include <string.h>

#include "ck_constants.h"
#include "ck_integer.h"
#include "ck_kernels.h"

#pragma STDC FP_CONTRACT OFF

uint16_t ck_bf16_from_f32(float x) {
  uint32_t u;
  memcpy(&u, &x, 4);
  if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((u >> 16) | 0x40);
  return (uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

float ck_f32_from_bf16(uint16_t h) {
  uint32_t u = (uint32_t)h << 16;
  float x;
  memcpy(&x, &u, 4);
  return x;
}

uint16_t ck_f16_from_f32(float x) {
  uint32_t u;
  memcpy(&u, &x, 4);
  uint32_t sign = (u >> 16) & 0x8000, magnitude = u & 0x7fffffff;
  if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00);
  if (magnitude >= 0x477ff000) return (uint16_t)(sign | 0x7c00);  // rounds to infinity from 65520 on
  if (magnitude < 0x38800000) {
    // Subnormal halves: adding 0.5 leaves round(x · 2^24) in the low bits, rounded to nearest even.
    float value;
    memcpy(&value, &magnitude, 4);
    value += 0.5f;
    memcpy(&magnitude, &value, 4);
    return (uint16_t)(sign | (magnitude - 0x3f000000));
  }
  return (uint16_t)(sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13));
}

float ck_f32_from_f16(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31, mantissa = h & 0x3ff, u;
  float x;
  if (exponent == 0) {
    x = (float)mantissa * 0x1p-24f;
    return sign ? -x : x;
  }
  u = exponent == 31 ? sign | 0x7f800000 | (mantissa << 13) : sign | ((exponent + 112) << 23) | (mantissa << 13);
  memcpy(&x, &u, 4);
  return x;
}

double ck_log(double x) {
  int exponent;
  double m = frexp(x, &exponent);
  if (m < 0.70710678118654752440) {
    m *= 2;
    exponent -= 1;
  }
  // log m = 2·atanh(s), s = (m - 1)/(m + 1), |s| < 0.1716: 12 terms leave less than 1e-19.
  double s = (m - 1) / (m + 1), s2 = s * s, sum = 0;
  for (int i = 25; i >= 1; i -= 2) sum = sum * s2 + 1.0 / i;
  return exponent * 0.69314718055994530942 + 2 * s * sum;
}

void ck_packed_describe(ck_packed *p, int32_t format, int32_t rows, int32_t columns, int32_t group) {
  int64_t panels = (rows + 15) / 16;
  p->format = format;
  p->rows = rows;
  p->columns = columns;
  p->group = format == CK_INT4 && columns > group ? group : columns;
  p->groups = columns / p->group;
  p->group_padded = format >= CK_TERNARY ? (p->group + 15) / 16 * 16 : p->group;
  int64_t inputs = (int64_t)p->groups * p->group_padded;
  switch (format) {
    case CK_FP32: p->matrix_bytes = panels * inputs * 64; break;
    case CK_FP16: p->matrix_bytes = panels * inputs * 32; break;
    case CK_BF16: p->matrix_bytes = panels * ((inputs + 1) & ~INT64_C(1)) * 32; break;
    case CK_TERNARY: p->matrix_bytes = panels * inputs * 4; break;
    case CK_INT4: p->matrix_bytes = panels * inputs * 8; break;
    default: p->matrix_bytes = panels * inputs * 16; break;
  }
  p->matrix_scales = format >= CK_TERNARY ? panels * 16 * p->groups : 0;
}

static float row_scale(const ck_packed *p, const float *w) {
  if (p->format == CK_TERNARY) {
    double sum = 0;
    for (int64_t k = 0; k < p->group; ++k) sum += fabsf(w[k]);
    float mean = (float)(sum / p->group);
    return mean > CK_SCALE_FLOOR ? mean : CK_SCALE_FLOOR;
  }
  float largest = CK_SCALE_FLOOR;
  for (int64_t k = 0; k < p->group; ++k) largest = fabsf(w[k]) > largest ? fabsf(w[k]) : largest;
  return largest / (p->format == CK_INT4 ? 7.0f : 127.0f);
}

// Stores the unsigned code of input k (0…15) of a step whose bytes are zero before.
static void put_code(int32_t format, uint8_t *step, int64_t lane, int64_t k, uint8_t code) {
  int64_t b = lane * 4 + k % 4;
  if (format == CK_TERNARY) step[b] |= (uint8_t)(code << (2 * (k / 4)));
  else if (format == CK_INT4) step[64 * (k / 8) + b] |= (uint8_t)(k % 8 < 4 ? code : code << 4);
  else step[64 * (k / 4) + b] = code;
}

static void pack_codes(const ck_packed *p, int64_t panel, uint8_t *data, float *scales, const float *w) {
  const float limit = ck_code_limit(p->format);
  const int32_t zero = ck_zero_code(p->format);
  const int32_t step_bytes = ck_step_bytes(p->format);
  int64_t steps = p->group_padded / 16;
  memset(data, 0, (size_t)(step_bytes * steps * p->groups));
  for (int64_t lane = 0; lane < 16; ++lane) {
    int64_t row = panel * 16 + lane;
    for (int64_t g = 0; g < p->groups; ++g) {
      const float *x = row < p->rows ? w + row * p->columns + g * p->group : 0;
      float scale = x ? row_scale(p, x) : 0;
      scales[g * 16 + lane] = scale;
      for (int64_t i = 0; i < p->group_padded; ++i) {
        float q = x && i < p->group ? rintf(x[i] / scale) : 0;
        q = q > limit ? limit : q < -limit ? -limit : q == q ? q : 0;
        put_code(p->format, data + (g * steps + i / 16) * step_bytes, lane, i % 16, (uint8_t)((int32_t)q + zero));
      }
    }
  }
}

void ck_reference_pack(const ck_packed *p, int64_t matrix, int64_t first_panel, int64_t panels, const float *w) {
  int64_t all = (p->rows + 15) / 16, panel_bytes = p->matrix_bytes / all;
  for (int64_t panel = first_panel; panel < first_panel + panels; ++panel) {
    uint8_t *data = p->data + matrix * p->matrix_bytes + panel * panel_bytes;
    if (p->format >= CK_TERNARY) {
      pack_codes(p, panel, data, p->scales + matrix * p->matrix_scales + panel * p->groups * 16, w);
      continue;
    }
    const int64_t columns = p->format == CK_BF16 ? ((int64_t)p->columns + 1) / 2 * 2 : p->columns;
    for (int64_t lane = 0; lane < 16; ++lane) {
      int64_t row = panel * 16 + lane;
      for (int64_t k = 0; k < columns; ++k) {
        float x = row < p->rows && k < p->columns ? w[row * p->columns + k] : 0;
        if (p->format == CK_FP32) ((float *)data)[k * 16 + lane] = x;
        else if (p->format == CK_FP16) ((uint16_t *)data)[k * 16 + lane] = ck_f16_from_f32(x);
        else ((uint16_t *)data)[(k / 2 * 16 + lane) * 2 + k % 2] = ck_bf16_from_f32(x);
      }
    }
  }
}

static int32_t unpack_code(int32_t format, const uint8_t *step, int64_t lane, int64_t k) {
  int64_t b = lane * 4 + k % 4;
  if (format == CK_TERNARY) return ((step[b] >> (2 * (k / 4))) & 3) - 1;
  if (format == CK_INT4) {
    uint8_t byte = step[64 * (k / 8) + b];
    return (k % 8 < 4 ? byte & 15 : byte >> 4) - 8;
  }
  return (int32_t)step[64 * (k / 4) + b] - 128;
}

int32_t ck_packed_code(const ck_packed *p, int64_t matrix, int64_t row, int64_t column) {
  int64_t panel_bytes = p->matrix_bytes / ((p->rows + 15) / 16), group = column / p->group, i = column % p->group;
  int64_t step_bytes = ck_step_bytes(p->format);
  const uint8_t *data = p->data + matrix * p->matrix_bytes + row / 16 * panel_bytes;
  return unpack_code(p->format, data + (group * (p->group_padded / 16) + i / 16) * step_bytes, row % 16, i % 16);
}

void ck_unpack(const ck_packed *p, int64_t matrix, int64_t first_row, int64_t rows, float *w) {
  int64_t panel_bytes = p->matrix_bytes / ((p->rows + 15) / 16);
  int64_t step_bytes = ck_step_bytes(p->format);
  int64_t steps = p->group_padded / 16;
  for (int64_t r = 0; r < rows; ++r) {
    int64_t row = first_row + r, panel = row / 16, lane = row % 16;
    const uint8_t *data = p->data + matrix * p->matrix_bytes + panel * panel_bytes;
    float *out = w + r * p->columns;
    switch (p->format) {
      case CK_FP32:
        for (int64_t k = 0; k < p->columns; ++k) out[k] = ((const float *)data)[k * 16 + lane];
        break;
      case CK_FP16:
        for (int64_t k = 0; k < p->columns; ++k) out[k] = ck_f32_from_f16(((const uint16_t *)data)[k * 16 + lane]);
        break;
      case CK_BF16:
        for (int64_t k = 0; k < p->columns; ++k)
          out[k] = ck_f32_from_bf16(((const uint16_t *)data)[(k / 2 * 16 + lane) * 2 + k % 2]);
        break;
      default: {
        const float *scales = p->scales + matrix * p->matrix_scales + panel * p->groups * 16 + lane;
        for (int64_t g = 0; g < p->groups; ++g)
          for (int64_t i = 0; i < p->group; ++i)
            out[g * p->group + i] =
                scales[g * 16] *
                (float)unpack_code(p->format, data + (g * steps + i / 16) * step_bytes, lane, i % 16);
      }
    }
  }
}

void ck_read_codes(const ck_packed *p, int64_t matrix, int64_t first_row, int64_t rows, int8_t *codes, float *scales) {
  int64_t panel_bytes = p->matrix_bytes / ((p->rows + 15) / 16);
  int64_t step_bytes = ck_step_bytes(p->format);
  int64_t steps = p->group_padded / 16;
  for (int64_t r = 0; r < rows; ++r) {
    int64_t row = first_row + r, panel = row / 16, lane = row % 16;
    const uint8_t *data = p->data + matrix * p->matrix_bytes + panel * panel_bytes;
    const float *from = p->scales + matrix * p->matrix_scales + panel * p->groups * 16 + lane;
    for (int64_t g = 0; g < p->groups; ++g) {
      scales[r * p->groups + g] = from[g * 16];
      for (int64_t i = 0; i < p->group; ++i)
        codes[r * p->columns + g * p->group + i] =
            (int8_t)unpack_code(p->format, data + (g * steps + i / 16) * step_bytes, lane, i % 16);
    }
  }
}

void ck_write_codes(const ck_packed *p, int64_t matrix, int64_t first_panel, int64_t panels, const int8_t *codes,
                    const float *scales) {
  const int32_t zero = ck_zero_code(p->format);
  int64_t panel_bytes = p->matrix_bytes / ((p->rows + 15) / 16);
  int64_t step_bytes = ck_step_bytes(p->format);
  int64_t steps = p->group_padded / 16;
  for (int64_t panel = first_panel; panel < first_panel + panels; ++panel) {
    uint8_t *data = p->data + matrix * p->matrix_bytes + panel * panel_bytes;
    float *to = p->scales + matrix * p->matrix_scales + panel * p->groups * 16;
    memset(data, 0, (size_t)panel_bytes);
    for (int64_t lane = 0; lane < 16; ++lane) {
      int64_t row = panel * 16 + lane;
      for (int64_t g = 0; g < p->groups; ++g) {
        to[g * 16 + lane] = row < p->rows ? scales[row * p->groups + g] : 0;
        for (int64_t i = 0; i < p->group_padded; ++i) {
          int32_t code = row < p->rows && i < p->group ? codes[row * p->columns + g * p->group + i] : 0;
          put_code(p->format, data + (g * steps + i / 16) * step_bytes, lane, i % 16, (uint8_t)(code + zero));
        }
      }
    }
  }
}
