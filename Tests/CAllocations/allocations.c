#include "allocations.h"

#include <errno.h>
#include <stddef.h>

static _Thread_local bool active;
static _Thread_local int64_t counted;

void allocations_count(bool counting) {
  if (counting) counted = 0;
  active = counting;
}
int64_t allocations_counted(void) { return counted; }

#if defined(__linux__)
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static void note(void) { counted += active; }

void *malloc(size_t bytes) {
  note();
  return __libc_malloc(bytes);
}
void *calloc(size_t count, size_t bytes) {
  note();
  return __libc_calloc(count, bytes);
}
void *realloc(void *old, size_t bytes) {
  note();
  return __libc_realloc(old, bytes);
}
void *aligned_alloc(size_t alignment, size_t bytes) {
  note();
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void **result, size_t alignment, size_t bytes) {
  note();
  *result = __libc_memalign(alignment, bytes);
  return *result ? 0 : ENOMEM;
}
#endif
