#include "ck_threads.h"

// Swift's calling convention: a closure is a function and a context; the context has a register of its own (Clang,
// "Attributes in Clang": swiftcall, swift_context).
#define SWIFT __attribute__((swiftcall))
#define CONTEXT __attribute__((swift_context))

typedef SWIFT void (*job_function)(int64_t part, CONTEXT void *context);
typedef SWIFT void (*work_function)(const ck_job *job, CONTEXT void *context);

struct ck_job {
  job_function function;
  void *context;
};

void ck_job_call(const ck_job *job, int64_t part) { job->function(part, job->context); }

// The captured variables live at least until this function returns, because the closure is its argument.
SWIFT void ck_job_lend(job_function job, void *job_context, work_function work, void *work_context);
SWIFT void ck_job_lend(job_function job, void *job_context, work_function work, void *work_context) {
  const ck_job lent = {job, job_context};
  work(&lent, work_context);
}
