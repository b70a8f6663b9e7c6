#define _GNU_SOURCE
#include "ck_cores.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

int32_t ck_affinity(int32_t process, uint8_t *mask, int64_t size) {
  memset(mask, 0, (size_t)size);
  return sched_getaffinity(process, (size_t)size, (cpu_set_t *)(void *)mask) == 0 ? 0 : errno;
}
