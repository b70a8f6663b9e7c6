#define _DEFAULT_SOURCE
#include "ck_pages.h"

#include <stddef.h>
#include <sys/mman.h>

enum { PAGE = 2 << 20 };

static size_t whole_pages(int64_t bytes) { return ((size_t)bytes + PAGE - 1) / PAGE * PAGE; }

void *ck_pages_allocate(int64_t bytes) {
  const size_t size = whole_pages(bytes), all = size + PAGE;
  char *block = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) return NULL;
  // Return the parts before and after the 2 MiB boundaries.
  const size_t before = (PAGE - (uintptr_t)block % PAGE) % PAGE;
  if (before) munmap(block, before);
  if (all - before > size) munmap(block + before + size, all - before - size);
#ifdef MADV_HUGEPAGE
  (void)madvise(block + before, size, MADV_HUGEPAGE);
#endif
  return block + before;
}

void ck_pages_free(void *block, int64_t bytes) { munmap(block, whole_pages(bytes)); }
