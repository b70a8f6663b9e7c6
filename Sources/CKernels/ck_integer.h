// The integer formats: sizes and ranges of their codes (see ck_packed).
#pragma once
#include <stdint.h>

#include "ck_kernels.h"

// Bytes of sixteen inputs of one panel.
static inline int64_t ck_step_bytes(int format) { return format == CK_TERNARY ? 64 : format == CK_INT4 ? 128 : 256; }
// Bits of a code.
static inline int32_t ck_code_bits(int format) { return format == CK_TERNARY ? 2 : format == CK_INT4 ? 4 : 8; }
// Added to a signed code to make it unsigned.
static inline int32_t ck_zero_code(int format) { return format == CK_TERNARY ? 1 : format == CK_INT4 ? 8 : 128; }
// The maximum magnitude of a signed code.
static inline float ck_code_limit(int format) { return format == CK_TERNARY ? 1 : format == CK_INT4 ? 7 : 127; }
