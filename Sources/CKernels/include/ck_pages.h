// Large blocks of memory, straight from the system.
#pragma once
#include <stdint.h>

// Blocks of at least so many bytes are worth pages of their own.
enum { CK_PAGES_LEAST = 4 << 20 };

// `bytes` zeroed bytes on a 2 MiB boundary; where there is no memory left, the process ends with one line on standard
// error and exit code 1. Linux is asked for pages of 2 MiB ("madvise" or "always" in
// /sys/kernel/mm/transparent_hugepage/enabled): one fault where small pages take 512, and fewer misses in address lookups. A
// page is taken when it is first written, by the thread that writes.
void *_Nonnull ck_pages_allocate(int64_t bytes);
// Gives back what ck_pages_allocate returned for the same number of bytes.
void ck_pages_free(void *_Nonnull block, int64_t bytes);
