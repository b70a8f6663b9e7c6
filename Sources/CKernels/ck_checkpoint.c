// XXH64 and byte grouping for checkpoint frames.
#include "ck_checkpoint.h"

#include <string.h>

static const uint64_t P1 = 0x9E3779B185EBCA87u, P2 = 0xC2B2AE3D27D4EB4Fu, P3 = 0x165667B19E3779F9u,
                      P4 = 0x85EBCA77C2B2AE63u, P5 = 0x27D4EB2F165667C5u;

static uint64_t read64(const uint8_t *p) {
  uint64_t x;
  memcpy(&x, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  x = __builtin_bswap64(x);
#endif
  return x;
}

static uint64_t read32(const uint8_t *p) {
  uint32_t x;
  memcpy(&x, p, 4);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  x = __builtin_bswap32(x);
#endif
  return x;
}

static uint64_t rotate_left(uint64_t x, int n) { return x << n | x >> (64 - n); }

static uint64_t round64(uint64_t sum, uint64_t word) { return rotate_left(sum + word * P2, 31) * P1; }

uint64_t ck_xxh64(const void *bytes, int64_t count, uint64_t seed) {
  const uint8_t *p = bytes, *end = p + count;
  uint64_t h;
  if (count >= 32) {
    uint64_t a = seed + P1 + P2, b = seed + P2, c = seed, d = seed - P1;
    for (; end - p >= 32; p += 32) {
      a = round64(a, read64(p));
      b = round64(b, read64(p + 8));
      c = round64(c, read64(p + 16));
      d = round64(d, read64(p + 24));
    }
    h = rotate_left(a, 1) + rotate_left(b, 7) + rotate_left(c, 12) + rotate_left(d, 18);
    h = (h ^ round64(0, a)) * P1 + P4;
    h = (h ^ round64(0, b)) * P1 + P4;
    h = (h ^ round64(0, c)) * P1 + P4;
    h = (h ^ round64(0, d)) * P1 + P4;
  } else {
    h = seed + P5;
  }
  h += (uint64_t)count;
  for (; end - p >= 8; p += 8) h = rotate_left(h ^ round64(0, read64(p)), 27) * P1 + P4;
  if (end - p >= 4) {
    h = rotate_left(h ^ read32(p) * P1, 23) * P2 + P3;
    p += 4;
  }
  for (; p < end; ++p) h = rotate_left(h ^ *p * P5, 11) * P1;
  h = (h ^ h >> 33) * P2;
  h = (h ^ h >> 29) * P3;
  return h ^ h >> 32;
}

bool ck_is_zero(const void *bytes, int64_t count) {
  const uint8_t *p = bytes;
  // In blocks, so that data other than zeros is found early.
  while (count > 0) {
    int64_t length = count < 4096 ? count : 4096;
    uint8_t any = 0;
    for (int64_t i = 0; i < length; ++i) any |= p[i];
    if (any) return false;
    p += length;
    count -= length;
  }
  return true;
}

// Elements are little-endian in memory, so the byte planes are the same on every machine.
void ck_group_bytes(int32_t width, bool rotate, int64_t count, const void *source, uint8_t *target) {
  if (width == 4) {
    const uint8_t *s = source;
    uint8_t *t0 = target, *t1 = target + count, *t2 = target + 2 * count, *t3 = target + 3 * count;
    for (int64_t i = 0; i < count; ++i) {
      uint32_t x = (uint32_t)read32(s + 4 * i);
      x = rotate ? x << 1 | x >> 31 : x;
      t0[i] = (uint8_t)x;
      t1[i] = (uint8_t)(x >> 8);
      t2[i] = (uint8_t)(x >> 16);
      t3[i] = (uint8_t)(x >> 24);
    }
  } else if (width == 2) {
    const uint8_t *s = source;
    uint8_t *t0 = target, *t1 = target + count;
    for (int64_t i = 0; i < count; ++i) {
      uint16_t x = (uint16_t)(s[2 * i] | s[2 * i + 1] << 8);
      x = rotate ? (uint16_t)(x << 1 | x >> 15) : x;
      t0[i] = (uint8_t)x;
      t1[i] = (uint8_t)(x >> 8);
    }
  } else {
    const uint8_t *s = source;
    for (int64_t i = 0; i < count; ++i)
      for (int32_t j = 0; j < width; ++j) target[j * count + i] = s[width * i + j];
  }
}

void ck_ungroup_bytes(int32_t width, bool rotate, int64_t count, const uint8_t *source, void *target) {
  uint8_t *t = target;
  if (width == 4) {
    const uint8_t *s0 = source, *s1 = source + count, *s2 = source + 2 * count, *s3 = source + 3 * count;
    for (int64_t i = 0; i < count; ++i) {
      uint32_t x = s0[i] | (uint32_t)s1[i] << 8 | (uint32_t)s2[i] << 16 | (uint32_t)s3[i] << 24;
      x = rotate ? x >> 1 | x << 31 : x;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
      x = __builtin_bswap32(x);
#endif
      memcpy(t + 4 * i, &x, 4);
    }
  } else if (width == 2) {
    const uint8_t *s0 = source, *s1 = source + count;
    for (int64_t i = 0; i < count; ++i) {
      uint16_t x = (uint16_t)(s0[i] | s1[i] << 8);
      x = rotate ? (uint16_t)(x >> 1 | x << 15) : x;
      t[2 * i] = (uint8_t)x;
      t[2 * i + 1] = (uint8_t)(x >> 8);
    }
  } else {
    for (int64_t i = 0; i < count; ++i)
      for (int32_t j = 0; j < width; ++j) t[width * i + j] = source[j * count + i];
  }
}
