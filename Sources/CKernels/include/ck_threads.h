// For worker threads: a spin-wait hint, and a way to hand them the body of a loop.
#pragma once
#include <stdint.h>

// Spin-wait hint (x86 PAUSE, Arm YIELD).
static inline void ck_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// The body of a loop: a non-escaping Swift closure, without an object on the heap.
//
// Swift passes such a closure as two values: its code, and the address of the captured variables on the caller's stack.
// Storing the closure in Swift would allocate an object for every parallel loop. Here the two values are stored
// instead, for the duration of the call that passed them.
typedef struct ck_job ck_job;

// Calls the body for part `part`. Any thread may call it while ck_job_lend runs.
void ck_job_call(const ck_job *job, int64_t part);

// void ck_job_lend(job, work) calls `work` once with `job` as a ck_job. Swift declares the function by its name
// (WorkerTeam), because imported C functions take no non-escaping closures.
