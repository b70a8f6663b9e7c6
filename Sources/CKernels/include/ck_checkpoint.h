// For checkpoint frames: a hash, and bytes grouped by their position in an element.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// XXH64 of `count` bytes (Yann Collet's xxHash, 64-bit variant): the same on every machine.
uint64_t ck_xxh64(const void *bytes, int64_t count, uint64_t seed);

// Whether all bytes are zero.
bool ck_is_zero(const void *bytes, int64_t count);

// Groups byte j of all elements: target[j·count + i] = byte j of element i. `width` is 2, 4 or 8.
// With `rotate`, elements of 2 or 4 bytes are first rotated left by one bit, which moves the sign of a floating-point
// number to the lowest bit, so that the last byte plane of fp32 and bf16 holds the exponent only.
void ck_group_bytes(int32_t width, bool rotate, int64_t count, const void *source, uint8_t *target);

// The inverse of ck_group_bytes.
void ck_ungroup_bytes(int32_t width, bool rotate, int64_t count, const uint8_t *source, void *target);

#ifdef __cplusplus
}
#endif
