// Counts the allocations of a thread, by standing in for the C library's functions. Those that Open MPI's own code makes
// (an all-reduce takes a buffer every time) are left out.
#pragma once
#include <stdbool.h>
#include <stdint.h>

// Starts counting those of the calling thread from 0, or stops.
void allocations_count(bool counting);
// The calling thread's allocations while it counted.
int64_t allocations_counted(void);
