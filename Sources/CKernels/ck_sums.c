// Sums of arrays that lie one after another in memory, one from each rank.
#include "ck_kernels.h"

void ck_sum_arrays(int64_t arrays, int64_t stride, int64_t count, const float *x, float *out) {
  for (int64_t i = 0; i < count; ++i) out[i] = x[i];
  for (int64_t array = 1; array < arrays; ++array) {
    const float *y = x + array * stride;
    for (int64_t i = 0; i < count; ++i) out[i] += y[i];
  }
}

void ck_sum_arrays_int64(int64_t arrays, int64_t stride, int64_t count, const int64_t *x, int64_t *out) {
  for (int64_t i = 0; i < count; ++i) out[i] = x[i];
  for (int64_t array = 1; array < arrays; ++array) {
    const int64_t *y = x + array * stride;
    for (int64_t i = 0; i < count; ++i) out[i] = (int64_t)((uint64_t)out[i] + (uint64_t)y[i]);
  }
}
