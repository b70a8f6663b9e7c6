// The constants of mpi.h are cast macros, which Swift cannot import: each is returned by a function here.
// Besides them: the reduction operators of bfloat16, which MPI does not know, the watched start and end of MPI,
// and the plain C loop that the all-reduce benchmark compares the Swift wrapper with.
#ifndef QUILLAN_CMPI_SHIM_H
#define QUILLAN_CMPI_SHIM_H

#include <mpi.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

// Communicators and special values.
static inline MPI_Comm cmpi_comm_world(void) { return MPI_COMM_WORLD; }
static inline MPI_Comm cmpi_comm_self(void) { return MPI_COMM_SELF; }
static inline MPI_Comm cmpi_comm_null(void) { return MPI_COMM_NULL; }
static inline MPI_Info cmpi_info_null(void) { return MPI_INFO_NULL; }
static inline MPI_Errhandler cmpi_errors_return(void) { return MPI_ERRORS_RETURN; }
static inline void *cmpi_in_place(void) { return MPI_IN_PLACE; }
static inline MPI_Status *cmpi_status_ignore(void) { return MPI_STATUS_IGNORE; }
static inline int cmpi_undefined(void) { return MPI_UNDEFINED; }
static inline int cmpi_any_source(void) { return MPI_ANY_SOURCE; }
static inline int cmpi_any_tag(void) { return MPI_ANY_TAG; }
static inline int cmpi_split_shared_memory(void) { return MPI_COMM_TYPE_SHARED; }

// A file in memory that has no name (memfd_create with MFD_CLOEXEC, which glibc shows to GNU programs only); -1: none.
static inline int cmpi_memory_file(void) { return (int)syscall(SYS_memfd_create, "quillan", 1u); }

// Types of elements.
static inline MPI_Datatype cmpi_float32(void) { return MPI_FLOAT; }
static inline MPI_Datatype cmpi_float64(void) { return MPI_DOUBLE; }
static inline MPI_Datatype cmpi_int8(void) { return MPI_INT8_T; }
static inline MPI_Datatype cmpi_int16(void) { return MPI_INT16_T; }
static inline MPI_Datatype cmpi_int32(void) { return MPI_INT32_T; }
static inline MPI_Datatype cmpi_int64(void) { return MPI_INT64_T; }
static inline MPI_Datatype cmpi_uint8(void) { return MPI_UINT8_T; }
static inline MPI_Datatype cmpi_uint16(void) { return MPI_UINT16_T; }
static inline MPI_Datatype cmpi_uint32(void) { return MPI_UINT32_T; }
static inline MPI_Datatype cmpi_uint64(void) { return MPI_UINT64_T; }

// Reduction operators.
static inline MPI_Op cmpi_sum(void) { return MPI_SUM; }
static inline MPI_Op cmpi_maximum(void) { return MPI_MAX; }
static inline MPI_Op cmpi_minimum(void) { return MPI_MIN; }
static inline MPI_Op cmpi_bitwise_and(void) { return MPI_BAND; }
static inline MPI_Op cmpi_bitwise_or(void) { return MPI_BOR; }
static inline MPI_Op cmpi_bitwise_xor(void) { return MPI_BXOR; }
static inline MPI_Op cmpi_logical_and(void) { return MPI_LAND; }
static inline MPI_Op cmpi_logical_or(void) { return MPI_LOR; }

// bfloat16: the upper half of an IEEE binary32.
static inline float cmpi_bfloat16_to_float(uint16_t bits) {
  uint32_t wide = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &wide, sizeof value);
  return value;
}

// Rounds to nearest, ties to even; a NaN stays a (quiet) NaN.
static inline uint16_t cmpi_bfloat16_from_float(float value) {
  uint32_t wide;
  memcpy(&wide, &value, sizeof wide);
  uint32_t rounded = (wide + 0x7fffu + ((wide >> 16) & 1u)) >> 16;
  uint32_t quiet = (wide >> 16) | 0x40u;
  return (uint16_t)((wide & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

// b[i] = round(a[i] + b[i]), the sum in binary32.
static void cmpi_bfloat16_add(void *a, void *b, int *count, MPI_Datatype *type) {
  (void)type;
  const uint16_t *left = (const uint16_t *)a;
  uint16_t *right = (uint16_t *)b;
  for (int i = 0; i < *count; i++)
    right[i] = cmpi_bfloat16_from_float(cmpi_bfloat16_to_float(left[i]) + cmpi_bfloat16_to_float(right[i]));
}

static void cmpi_bfloat16_keep_larger(void *a, void *b, int *count, MPI_Datatype *type) {
  (void)type;
  const uint16_t *left = (const uint16_t *)a;
  uint16_t *right = (uint16_t *)b;
  for (int i = 0; i < *count; i++)
    if (cmpi_bfloat16_to_float(left[i]) > cmpi_bfloat16_to_float(right[i])) right[i] = left[i];
}

static void cmpi_bfloat16_keep_smaller(void *a, void *b, int *count, MPI_Datatype *type) {
  (void)type;
  const uint16_t *left = (const uint16_t *)a;
  uint16_t *right = (uint16_t *)b;
  for (int i = 0; i < *count; i++)
    if (cmpi_bfloat16_to_float(left[i]) < cmpi_bfloat16_to_float(right[i])) right[i] = left[i];
}

static inline int cmpi_create_bfloat16_sum(MPI_Op *op) { return MPI_Op_create(cmpi_bfloat16_add, 1, op); }
static inline int cmpi_create_bfloat16_maximum(MPI_Op *op) { return MPI_Op_create(cmpi_bfloat16_keep_larger, 1, op); }
static inline int cmpi_create_bfloat16_minimum(MPI_Op *op) { return MPI_Op_create(cmpi_bfloat16_keep_smaller, 1, op); }

// Starts MPI with MPI_THREAD_MULTIPLE. Open MPI 4.1 does not return from a failed start: it prints several
// paragraphs and ends the process. So a child waits until the start is over and writes `last_words` if it never is.
static inline int cmpi_init_watched(int *provided, const char *last_words, size_t length) {
  int ends[2];
  if (pipe(ends) != 0) return MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, provided);
  pid_t child = fork();
  if (child == 0) {
    char started;
    close(ends[1]);
    if (read(ends[0], &started, 1) != 1) (void)!write(STDERR_FILENO, last_words, length);
    _exit(0);
  }
  int code = MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, provided);
  if (child > 0) {
    (void)!write(ends[1], "", 1);
    waitpid(child, NULL, 0);
  }
  close(ends[0]);
  close(ends[1]);
  return code;
}

// Ends the process `launcher` (mpirun, or its daemon) by SIGKILL, if it is still there after `seconds`. A child of its own
// session waits for that, without any file of this process, so that the launcher does not take it for a rank.
static inline void cmpi_end_launcher(pid_t launcher, int seconds) {
  if (fork() != 0) return;
  setsid();
  for (int file = 0; file < 4096; file++) close(file);
  for (int look = 0; look < 10 * seconds; look++) {
    usleep(100000);
    if (kill(launcher, 0) != 0) _exit(0);
  }
  kill(launcher, SIGKILL);
  _exit(0);
}

// The benchmark's reference: `repetitions` in-place sums of binary32 straight from C.
static inline int cmpi_repeat_all_reduce(float *values, int count, MPI_Comm communicator, int repetitions) {
  for (int i = 0; i < repetitions; i++) {
    int code = MPI_Allreduce(MPI_IN_PLACE, values, count, MPI_FLOAT, MPI_SUM, communicator);
    if (code != MPI_SUCCESS) return code;
  }
  return MPI_SUCCESS;
}

#endif
