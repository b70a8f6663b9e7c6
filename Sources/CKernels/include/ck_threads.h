// What the worker threads need: a moment's rest, and a way for a loop's body to reach them.
#pragma once
#include <stdint.h>

// A moment's rest in a loop that waits for another thread.
static inline void ck_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// A loop's body: a Swift closure that does not escape, without an object on the heap.
//
// Swift hands such a closure to a function as two values: code, and the address of what it captured on the caller's stack.
// To keep it in Swift would first wrap it in an object, one for every parallel loop; here the two values themselves are
// kept while the call that brought them lasts.
typedef struct ck_job ck_job;

// Calls the body with the number of a part, on any thread, while ck_job_lend runs.
void ck_job_call(const ck_job *job, int64_t part);

// void ck_job_lend(job, work) calls `work` once with `job` as a ck_job. Swift declares it by name (WorkerTeam), since C's
// functions as Swift imports them take no closures.
