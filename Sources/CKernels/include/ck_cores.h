// The processors that a process may use; Swift does not see the system's call.
#pragma once
#include <stdint.h>

// Writes the affinity mask of a process (0: this one) into size bytes, a bit a processor; returns 0, or errno.
int32_t ck_affinity(int32_t process, uint8_t *mask, int64_t size);
