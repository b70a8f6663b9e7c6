// Initial weights: Philox4x32-10 and Box–Muller, sixteen blocks at once, compiled once per instruction set (see
// ck_memory.h).
#include "ck_vector.h"

typedef int32_t v8i __attribute__((vector_size(32)));

// The two halves of a · m, lane by lane.
CK_INLINE void product32(v16u a, uint32_t m, v16u *high, v16u *low) {
  const v8ul mask = (v8ul){0} + 0xffffffffu, factor = (v8ul){0} + m;
  v8ul even = ((v8ul)a & mask) * factor, odd = ((v8ul)a >> 32) * factor;
  *high = (v16u)((even >> 32) | (odd & ~mask));
  *low = (v16u)((even & mask) | (odd << 32));
}

CK_INLINE v8d dpick(v8l mask, v8d a, v8d b) { return (v8d)((mask & (v8l)a) | (~mask & (v8l)b)); }
CK_INLINE v8d dsplat(double x) { return (v8d){x, x, x, x, x, x, x, x}; }
CK_INLINE v8d dfma(v8d a, v8d b, v8d c) { return __builtin_elementwise_fma(a, b, c); }

// The logarithm of normal positive numbers; error below 2 ulp. With s = f/(2 + f), log(1 + f) = s·(2 + R(s²)).
CK_INLINE v8d log8(v8d x) {
  v8l bits = (v8l)x;
  v8d e = (v8d)((bits >> 52) | 0x4330000000000000) - dsplat(0x1p52 + 1023);
  v8d m = (v8d)((bits & 0xfffffffffffff) | 0x3ff0000000000000);
  v8l large = m > dsplat(1.4142135623730951);
  m = dpick(large, m * dsplat(0.5), m);
  e = dpick(large, e + dsplat(1), e);
  v8d f = m - dsplat(1), s = f / (f + dsplat(2)), z = s * s;
  v8d r = dsplat(1.479819860511658591e-01);
  r = dfma(r, z, dsplat(1.531383769920937332e-01));
  r = dfma(r, z, dsplat(1.818357216161805012e-01));
  r = dfma(r, z, dsplat(2.222219843214978396e-01));
  r = dfma(r, z, dsplat(2.857142874366239149e-01));
  r = dfma(r, z, dsplat(3.999999999940941908e-01));
  r = dfma(r, z, dsplat(6.666666666666735130e-01));
  v8d mantissa = dfma(s, z * r, s + s);
  return dfma(e, dsplat(6.93147180369123816490e-01), dfma(e, dsplat(1.90821492927058770002e-10), mantissa));
}

// The cosine of numbers from 0 to 2π; error below 2 ulp.
CK_INLINE v8d cos8(v8d t) {
  v8d k = __builtin_elementwise_rint(t * dsplat(0.63661977236758138));
  v8d r = dfma(-k, dsplat(1.5707963267948966), t);
  r = dfma(-k, dsplat(6.123233995736766e-17), r);
  v8d z = r * r, sine = dsplat(1.58969099521155010221e-10), cosine = dsplat(-1.13596475577881948265e-11);
  sine = dfma(sine, z, dsplat(-2.50507602534068634195e-08));
  sine = dfma(sine, z, dsplat(2.75573137070700676789e-06));
  sine = dfma(sine, z, dsplat(-1.98412698298579493134e-04));
  sine = dfma(sine, z, dsplat(8.33333333332248946124e-03));
  sine = dfma(sine, z, dsplat(-1.66666666666666324348e-01));
  sine = dfma(sine * z, r, r);
  cosine = dfma(cosine, z, dsplat(2.08757232129817482790e-09));
  cosine = dfma(cosine, z, dsplat(-2.75573143513906633035e-07));
  cosine = dfma(cosine, z, dsplat(2.48015872894767294178e-05));
  cosine = dfma(cosine, z, dsplat(-1.38888888888741095749e-03));
  cosine = dfma(cosine, z, dsplat(4.16666666666666019037e-02));
  cosine = dsplat(1) - dfma(z, dsplat(0.5), -(z * z * cosine));
  v8l first = k == dsplat(1), third = k == dsplat(3), negative = first | (k == dsplat(2));
  v8d value = dpick(first | third, sine, cosine);
  return (v8d)((v8l)value ^ (negative & (v8l)dsplat(-0.0)));
}

// Eight deviates. If the error of the functions above could change the rounding to fp32, which happens once in some
// millions, the functions of the C library decide, as in the specification, so the bits are always the same.
CK_INLINE v8f normal8(v8i a, v8i b, double deviation) {
  v8d u1 = __builtin_convertvector(a + 1, v8d) * dsplat(0x1p-24);
  v8d u2 = __builtin_convertvector(b, v8d) * dsplat(0x1p-24);
  v8d x = __builtin_elementwise_sqrt(dsplat(-2) * log8(u1)) * cos8(dsplat(6.283185307179586) * u2);
  x = x * dsplat(deviation);
  v8f low = __builtin_convertvector(x * dsplat(1 - 0x1p-48), v8f);
  v8f high = __builtin_convertvector(x * dsplat(1 + 0x1p-48), v8f);
  v8f result = __builtin_convertvector(x, v8f);
  v8i doubtful = low != high;
  if (__builtin_expect(__builtin_reduce_or(doubtful) != 0, 0))
    for (int i = 0; i < 8; ++i)
      if (doubtful[i]) result[i] = ck_reference_normal((uint32_t)a[i], (uint32_t)b[i], deviation);
  return result;
}

CK_INLINE v16f normal16(v16u a, v16u b, double deviation) {
  v16i x = (v16i)(a >> 8), y = (v16i)(b >> 8);
#define HALF(V, F) __builtin_shufflevector(V, V, F, F + 1, F + 2, F + 3, F + 4, F + 5, F + 6, F + 7)
  v8f low = normal8(HALF(x, 0), HALF(y, 0), deviation), high = normal8(HALF(x, 8), HALF(y, 8), deviation);
#undef HALF
  return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

static void normals(int64_t count, uint32_t first, const uint32_t key[2], const uint32_t counter[3], double deviation,
                    float *out) {
  for (int64_t i = 0; i < count; i += 32, first += 16) {
    v16u c0 = (v16u)iota16() + first, c1 = usplat(counter[0]), c2 = usplat(counter[1]), c3 = usplat(counter[2]);
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; ++round, k0 += 0x9e3779b9u, k1 += 0xbb67ae85u) {
      v16u high0, low0, high1, low1;
      product32(c0, 0xd2511f53u, &high0, &low0);
      product32(c2, 0xcd9e8d57u, &high1, &low1);
      c0 = high1 ^ c1 ^ k0;
      c1 = low1;
      c2 = high0 ^ c3 ^ k1;
      c3 = low0;
    }
    v16f even = normal16(c0, c1, deviation), odd = normal16(c2, c3, deviation);
    v16f low = __builtin_shufflevector(even, odd, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    v16f high = __builtin_shufflevector(even, odd, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    if (i + 32 <= count) {
      store16(out + i, low);
      store16(out + i + 16, high);
    } else {
      float all[32];
      store16(all, low);
      store16(all + 16, high);
      memcpy(out + i, all, (size_t)(count - i) * 4);
    }
  }
}

static const ck_memory_table memory_kernels = {
    .adamw = adamw,
    .adamw_8 = adamw_8,
    .pack = pack,
    .fixed_add = fixed_add,
    .fixed_read = fixed_read,
    .first_nonfinite = first_nonfinite,
    .normals = normals,
};
