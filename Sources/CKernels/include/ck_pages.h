// Large blocks of memory, directly from the system.
#pragma once
#include <stdint.h>

// Blocks of at least this many bytes get pages of their own.
enum { CK_PAGES_MINIMUM = 4 << 20 };

// Returns `bytes` zeroed bytes on a 2 MiB boundary, or NULL if the system has no memory left. Linux is asked for pages
// of 2 MiB ("madvise" or "always" in /sys/kernel/mm/transparent_hugepage/enabled): one page fault where small pages
// take 512, and fewer TLB misses. A page is allocated when a thread first writes to it, on the NUMA node of that
// thread.
void *_Nullable ck_pages_allocate(int64_t bytes);
// Frees a block of ck_pages_allocate of the same number of bytes.
void ck_pages_free(void *_Nonnull block, int64_t bytes);
