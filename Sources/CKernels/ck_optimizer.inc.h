// AdamW over whole tensors, compiled once per instruction set (see ck_memory.h).
#include "ck_memory.h"
#include "ck_vector.h"

typedef uint8_t v16c __attribute__((vector_size(16)));

// Weights of sixteen elements, from their new first moments and the roots of their new second moments.
CK_INLINE v16f stepped16(const ck_adamw *s, v16f w, v16f m, v16f root) {
  v16f direction = m / fma16(root, splat(s->root_correction), splat(s->epsilon));
  return fma16(splat(-s->step_size), direction, splat(s->keep) * w);
}

CK_INLINE void adamw16(const ck_adamw *s, float *w, const float *gradient, float *m, float *v) {
  v16f g = splat(s->clip_scale) * load16(gradient);
  v16f first = fma16(splat(s->beta1), load16(m), splat(s->rest1) * g);
  v16f second = fma16(splat(s->beta2), load16(v), splat(s->rest2) * (g * g));
  store16(m, first);
  store16(v, second);
  store16(w, stepped16(s, load16(w), first, __builtin_elementwise_sqrt(second)));
}

static void adamw(int64_t count, const ck_adamw *step, float *w, const float *gradient, float *m, float *v) {
  const ck_adamw s = *step;
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) adamw16(&s, w + i, gradient + i, m + i, v + i);
  const size_t rest = (size_t)(count - i) * 4;
  if (!rest) return;
  float part[4][16] = {{0}};
  memcpy(part[0], w + i, rest);
  memcpy(part[1], gradient + i, rest);
  memcpy(part[2], m + i, rest);
  memcpy(part[3], v + i, rest);
  adamw16(&s, part[0], part[1], part[2], part[3]);
  memcpy(w + i, part[0], rest);
  memcpy(m + i, part[2], rest);
  memcpy(v + i, part[3], rest);
}

CK_INLINE v16u codes16(const uint8_t *codes) {
  v16c bytes;
  memcpy(&bytes, codes, 16);
  return __builtin_convertvector(bytes, v16u);
}
CK_INLINE void store_codes(uint8_t *codes, v16u values) {
  v16c bytes = __builtin_convertvector(values, v16c);
  memcpy(codes, &bytes, 16);
}
// The values of codes, multiplied by the scale of their block.
CK_INLINE v16f moment16(v16u codes, v16f scale) {
  v16u magnitude = codes & 127, bits = ((magnitude << 20) + (112u << 23)) | ((codes & 128) << 24);
  return (v16f)(bits & (v16u)(magnitude != 0)) * scale;
}
CK_INLINE v16f root16(v16u codes, v16f scale) {
  return (v16f)(((codes << 19) + (112u << 23)) & (v16u)(codes != 0)) * scale;
}
CK_INLINE v16f largest16(v16f a) {
  a = max16(__builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7), a);
  a = max16(__builtin_shufflevector(a, a, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11), a);
  a = max16(__builtin_shufflevector(a, a, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13), a);
  return max16(__builtin_shufflevector(a, a, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14), a);
}
// The factor that maps the numbers of a block to the range of the codes; 0 for a block of zeros.
CK_INLINE float moment_inverse(float largest, float top, float *scale) {
  const bool zeros = !(largest >= CK_MOMENT_FLOOR);
  *scale = zeros ? 0 : largest / top;
  return zeros ? 0 : top / largest;
}

// The new moments of a block between its two passes: codes can be computed only when the scale is known.
typedef struct {
  float means[CK_MOMENT_BLOCK] __attribute__((aligned(64))), roots[CK_MOMENT_BLOCK] __attribute__((aligned(64)));
} moment_block;

// Distance of prefetches in elements: the hardware prefetcher alone is too late.
enum { CK_MOMENTS_AHEAD = 4 * CK_MOMENT_BLOCK };

// First pass, sixteen elements: new moments and their maximum so far.
CK_INLINE void moments16(const ck_adamw *s, moment_block *b, int64_t i, const float *gradient, const uint8_t *m,
                         v16f m_scale, const uint8_t *root, v16f root_scale, v16f most[2]) {
  __builtin_prefetch(gradient + i + CK_MOMENTS_AHEAD, 0, 2);
  v16f g = splat(s->clip_scale) * load16(gradient + i);
  v16f mean = fma16(splat(s->beta1), moment16(codes16(m + i), m_scale), splat(s->rest1) * g);
  v16f r = root16(codes16(root + i), root_scale);
  r = __builtin_elementwise_sqrt(fma16(splat(s->beta2), r * r, splat(s->rest2) * (g * g)));
  store16(b->means + i, mean);
  store16(b->roots + i, r);
  most[0] = max16(abs16(mean), most[0]);
  most[1] = max16(r, most[1]);
}

// Second pass, sixteen elements: weights, and codes, rounded by a hash of the index of the element.
CK_INLINE void step16(const ck_adamw *s, const moment_block *b, int64_t i, float *w, v16u index, uint8_t *m,
                      v16f m_inverse, uint8_t *root, v16f root_inverse) {
  v16u h = index;
  h = (h ^ (h >> 16)) * 0x85ebca6bu;
  h = (h ^ (h >> 13)) * 0xc2b2ae35u;
  h = h ^ (h >> 16);
  __builtin_prefetch(w + i + CK_MOMENTS_AHEAD, 0, 2);
  v16f mean = load16(b->means + i), r = load16(b->roots + i);
  store16(w + i, stepped16(s, load16(w + i), mean, r));
  mean *= m_inverse;
  r *= root_inverse;
  v16i code = (v16i)(((v16u)min16(splat(1.875f), abs16(mean)) + (h >> 12)) >> 20) - (112 << 3);
  store_codes(m + i, (v16u)((code & (code > 0)) | ((v16i)((v16u)mean >> 24) & 128)));
  // The bias of the exponent, 112 << 4 in a level, lies beyond the eight bits of the code.
  v16i level = (v16i)((v16u)min16(splat(1.9375f), r) + (h & 0x7ffff)), least = isplat((112 << 23) + (1 << 19));
  level = (v16i)pick(level > least, (v16f)level, (v16f)least);
  store_codes(root + i, ((v16u)level >> 19) & (v16u)(r > splat(0)));
}

// Whole blocks. The second pass of a block runs together with the first pass of the next block: square roots and
// quotients take as long as everything else, so neither waits for the other.
static void adamw_blocks(int64_t blocks, const ck_adamw *step, uint32_t key, int64_t first, float *w,
                         const float *gradient, uint8_t *m, float *m_scales, uint8_t *root, float *root_scales) {
  if (blocks == 0) return;
  const ck_adamw s = *step;
  moment_block memory[2];
  v16f m_inverse = splat(0), root_inverse = splat(0);
  for (int64_t block = 0; block <= blocks; ++block) {
    moment_block *now = memory + block % 2;
    const moment_block *before = memory + (block + 1) % 2;
    float *w_before = w - CK_MOMENT_BLOCK;
    uint8_t *m_before = m - CK_MOMENT_BLOCK, *root_before = root - CK_MOMENT_BLOCK;
    const v16u index = (v16u)iota16() ^ ((uint32_t)(first - CK_MOMENT_BLOCK) ^ key);
    if (block == blocks) {
      for (int64_t i = 0; i < CK_MOMENT_BLOCK; i += 16)
        step16(&s, before, i, w_before, index ^ (uint32_t)i, m_before, m_inverse, root_before, root_inverse);
      break;
    }
    const v16f m_scale = splat(m_scales[block]), root_scale = splat(root_scales[block]);
    v16f most[2] = {splat(0), splat(0)};
    if (block == 0) {
      for (int64_t i = 0; i < CK_MOMENT_BLOCK; i += 16)
        moments16(&s, now, i, gradient, m, m_scale, root, root_scale, most);
    } else {
      for (int64_t i = 0; i < CK_MOMENT_BLOCK; i += 16) {
        moments16(&s, now, i, gradient, m, m_scale, root, root_scale, most);
        step16(&s, before, i, w_before, index ^ (uint32_t)i, m_before, m_inverse, root_before, root_inverse);
      }
    }
    m_inverse = splat(moment_inverse(largest16(most[0])[0], 1.875f, m_scales + block));
    root_inverse = splat(moment_inverse(largest16(most[1])[0], 1.9375f, root_scales + block));
    first += CK_MOMENT_BLOCK, w += CK_MOMENT_BLOCK, gradient += CK_MOMENT_BLOCK;
    m += CK_MOMENT_BLOCK, root += CK_MOMENT_BLOCK;
  }
}

static void adamw_8(int64_t count, const ck_adamw *step, uint32_t key, int64_t first, float *w, const float *gradient,
                    const ck_moment *m, const ck_moment *root) {
  const int64_t blocks = count / CK_MOMENT_BLOCK, i = blocks * CK_MOMENT_BLOCK;
  adamw_blocks(blocks, step, key, first, w, gradient, m->codes, m->scales, root->codes, root->scales);
  const size_t rest = (size_t)(count - i);
  if (!rest) return;
  // The last, incomplete block of a tensor, padded with zeros.
  float part[2][CK_MOMENT_BLOCK] = {{0}};
  uint8_t codes[2][CK_MOMENT_BLOCK] = {{0}};
  memcpy(part[0], w + i, rest * 4);
  memcpy(part[1], gradient + i, rest * 4);
  memcpy(codes[0], m->codes + i, rest);
  memcpy(codes[1], root->codes + i, rest);
  adamw_blocks(1, step, key, first + i, part[0], part[1], codes[0], m->scales + blocks, codes[1],
               root->scales + blocks);
  memcpy(w + i, part[0], rest * 4);
  memcpy(m->codes + i, codes[0], rest);
  memcpy(root->codes + i, codes[1], rest);
}
