// The processors that a process may use; the system call is not visible to Swift.
#pragma once
#include <stdint.h>

// Writes the affinity mask of a process (0: this process) to `size` bytes, one bit per processor. Returns 0 or errno.
int32_t ck_affinity(int32_t process, uint8_t *mask, int64_t size);
