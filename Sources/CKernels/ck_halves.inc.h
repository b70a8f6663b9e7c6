// Conversion of halves in the compiler's portable vectors.
#include "ck_vector.h"

CK_INLINE v16f half16(const uint16_t *p) {
  float x[16];
  for (int i = 0; i < 16; ++i) x[i] = ck_f32_from_f16(p[i]);
  return load16(x);
}

typedef uint16_t v16s __attribute__((vector_size(32)));
#ifdef __aarch64__
typedef __fp16 v16h __attribute__((vector_size(32)));
CK_INLINE v16s halves16(v16f x) { return (v16s)__builtin_convertvector(x, v16h); }
#else
CK_INLINE v16s halves16(v16f x) {
  v16u u = (v16u)x, sign = (u >> 16) & 0x8000;
  v16i magnitude = (v16i)(u & 0x7fffffff);
  v16f small = (v16f)((v16i)((v16f)magnitude + splat(0.5f)) - 0x3f000000);
  v16f normal = (v16f)((magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13);
  v16f half = pick(magnitude < 0x38800000, small, normal);
  half = pick(magnitude >= 0x477ff000, (v16f)isplat(0x7c00), half);
  half = pick(magnitude > 0x7f800000, (v16f)isplat(0x7e00), half);
  return __builtin_convertvector((v16u)half | sign, v16s);
}
#endif
CK_INLINE v32s halves_of(v16f a, v16f b) {
  v16s halves[2] = {halves16(a), halves16(b)};
  v32s both;
  memcpy(&both, halves, 64);
  return both;
}
