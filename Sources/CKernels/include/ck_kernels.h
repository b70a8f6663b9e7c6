// Kernels of Quillan: one table of functions per instruction set, chosen once at start.
//
// Contract: every kernel gives the same bits on every instruction set. Sums have a fixed order that
// depends on the reduced dimension only (bfloat16 products have two orders, gemm_bf16 and gemm_bf16_tiles):
//   - products keep one accumulator per output and add k = 0, 1, 2 … with fused multiply-adds;
//   - reductions over a row keep sixteen lanes (element i goes to lane i mod 16) and fold them as a tree
//     (lane j + lane j+8, then j+4, j+2, j+1);
//   - integer products are exact.
// The functions named ck_reference_* are the scalar specification; tests compare every table with them.
//
// Shapes: M rows (tokens), N outputs, K inputs. Matrices are row-major; strides count elements.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ck_memory.h"

#ifdef __cplusplus
extern "C" {
#endif

// Number formats of weights; the values are part of the packed file format.
enum { CK_FP32 = 0, CK_FP16 = 1, CK_BF16 = 2, CK_TERNARY = 3, CK_INT4 = 4, CK_INT8 = 5 };

// A packed weight matrix, or a stack of matrices of the same shape.
//
// Rows (outputs) are kept in panels of sixteen, padded with zeros. fp32 and fp16: panel, k, lane; bf16: panel, pair of
// inputs (padded to an even number), lane, the two inputs.
// Integer formats store unsigned codes (code + 1, + 8 or + 128) in groups of `group` inputs, each padded
// to `group_padded` (a multiple of sixteen) with zero codes. Sixteen inputs of one panel take
//   ternary  64 bytes: byte 4·lane + b holds inputs b, 4+b, 8+b, 12+b in bits 0-1, 2-3, 4-5, 6-7
//   int4    128 bytes: byte 64·h + 4·lane + b holds inputs 8h+b (low half) and 8h+4+b (high half)
//   int8    256 bytes: byte 64·j + 4·lane + b holds input 4j+b
// `scales` has one fp32 per group and padded row: [panel, group, lane].
struct ck_packed {
  int32_t format;
  int32_t rows, columns;
  int32_t group, groups, group_padded;
  int64_t matrix_bytes;   // bytes of one matrix in `data`
  int64_t matrix_scales;  // scales of one matrix
  uint8_t *data;
  float *scales;
};

// Activations in 8 bits (A8): codes [M, groups·group_padded], scale [M], code sums [M, groups].
typedef struct {
  int8_t *codes;
  float *scales;
  int32_t *sums;
  int32_t groups, group, group_padded;
} ck_activations;

// A part of the reduced dimension of a bfloat16 product, in words of two neighbouring values (even value low):
// A[m·a_row + pair·a_pair], B[panel·b_panel + pair·b_pair + lane] for panels of sixteen outputs; strides count words.
typedef struct {
  const uint32_t *a;
  int64_t a_row, a_pair;
  const uint32_t *b;
  int64_t b_panel, b_pair;
  int64_t pairs;
} ck_bf16_product;

// Causal attention of one head. Row m of a matrix with row stride r begins at element m·r.
typedef struct {
  int64_t head_dim;
  float scale;
  const float *q;  // queries [M, head_dim]
  int64_t q_row;
  const float *const *blocks;  // of sixteen positions each
  int64_t keys, values;        // where in a block the head's keys [head_dim, 16] and values [16, head_dim] begin
  float *out;                  // [M, head_dim]
  int64_t out_row;
  float *maxima;    // maximum of the scaled scores [M], or NULL
  float *inverses;  // 1 / Σ exp(score - maximum) [M], or NULL
  float *scores;    // scratch: 4 · (positions rounded up to sixteen)
} ck_attention;

// Gradients of one head over a whole sequence of T tokens (positions 0…T-1).
typedef struct {
  int64_t head_dim;
  float scale;
  const float *q, *k;  // [T, head_dim]
  int64_t row;         // row stride of q and k
  const float *keys, *values;  // k and v in blocks of sixteen positions [block, head_dim, 16]
  const float *out, *dout;     // the result and its gradient [T, head_dim]
  int64_t out_row;
  const float *maxima, *inverses;  // as ck_attention wrote them
  float *dq, *dk, *dv;             // added to [T, head_dim]
  int64_t gradient_row;
  float *scratch;  // 8 · (T rounded up to sixteen)
} ck_attention_gradient;

typedef struct {
  const char *name;
  bool has_tiles;                 // products run on tiles, instructions or emulated
  const ck_memory_table *memory;  // passes over whole tensors

  // C[m, n] = (accumulate ? C[m, n] : bias ? bias[n] : 0) + Σ_k A[m·a_row + k·a_k] · B[k·b_k + n]
  void (*gemm_f32)(int64_t M, int64_t N, int64_t K, const float *A, int64_t a_row, int64_t a_k, const float *B,
                   int64_t b_k, const float *bias, float *C, int64_t c_row, bool accumulate);
  // The same with B a packed fp32 or fp16 matrix: panels first…first+panels-1 only, written from column 0 of C.
  void (*gemm_packed)(int64_t M, const float *A, int64_t a_row, const ck_packed *B, int64_t matrix, int64_t first,
                      int64_t panels, const float *bias, float *C, int64_t c_row);
  // C[m, n] = x_scale[m] · Σ_g w_scale[g, n] · (Σ_{k in g} x_code · w_code) + bias[n], groups in order.
  void (*gemm_a8)(int64_t M, const ck_activations *A, const ck_packed *B, int64_t matrix, int64_t first,
                  int64_t panels, const float *bias, float *C, int64_t c_row);
  // C[m, n] = (accumulate ? C[m, n] : bias ? bias[n] : 0) + Σ over the parts and their pairs, in order: the term of the
  // odd value, then the term of the even value. B may be read up to the end of its last panel.
  void (*gemm_bf16)(int64_t M, int64_t N, const ck_bf16_product *parts, int64_t count, const float *bias, float *C,
                    int64_t c_row, bool accumulate);
  // The same sums in the order `tiles` (ck_reference_gemm_bf16_tiles).
  void (*gemm_bf16_tiles)(int64_t M, int64_t N, const ck_bf16_product *parts, int64_t count, const float *bias,
                          float *C, int64_t c_row, bool accumulate);
  // Operands. Rows of x [M, K], times column_scale [K] unless it is NULL: out[m·out_row + pair].
  void (*bf16_rows)(int64_t M, int64_t K, const float *x, int64_t x_row, const float *column_scale, uint32_t *out,
                    int64_t out_row);
  // Pairs of rows of x [K, N], times row_scale [K] unless it is NULL: out[pair·out_pair + column], N rounded up to
  // sixteen.
  void (*bf16_pairs)(int64_t K, int64_t N, const float *x, int64_t x_row, const float *row_scale, uint32_t *out,
                     int64_t out_pair);
  // The same for the codes of A8 activations. Writes up to fifteen words past the last column.
  void (*bf16_pairs_a8)(int64_t K, const ck_activations *A, uint32_t *out, int64_t out_pair);
  // Pairs of outputs of a packed matrix, for products with its transpose: panels first…first+panels-1 of sixteen
  // inputs, out[panel, pair, lane]. Values, or with `codes` the codes without their scales.
  void (*bf16_panels)(const ck_packed *B, int64_t matrix, int64_t first, int64_t panels, bool codes, uint32_t *out);
  void (*quantize_a8)(int64_t M, int64_t K, const float *x, int64_t x_row, const ck_activations *out);

  // out[m·out_row + column] = scale[m] · code, without padding.
  void (*dequantize_a8)(int64_t M, const ck_activations *A, float *out, int64_t out_row);

  void (*softmax)(int64_t M, int64_t N, float *x, int64_t row);
  // y = x / sqrt(mean(x²) + epsilon) · w (w may be NULL); inverse[M] receives 1 / sqrt(…).
  void (*rms_norm)(int64_t M, int64_t N, const float *x, const float *w, float epsilon, float *y, float *inverse);
  // dx += …, dw += … (dw may be NULL).
  void (*rms_norm_backward)(int64_t M, int64_t N, const float *x, const float *w, const float *inverse,
                            const float *dy, float *dx, float *dw);
  void (*gelu)(int64_t count, const float *x, float *y);
  void (*gelu_backward)(int64_t count, const float *x, float *dy);  // dy ← dy · gelu'(x)
  void (*sigmoid)(int64_t count, const float *x, float *y);
  void (*exponential)(int64_t count, const float *x, float *y);
  void (*error_function)(int64_t count, const float *x, float *y);
  void (*add_scaled)(int64_t count, float a, const float *x, float *y);  // y ← fma(a, x, y)
  void (*scale)(int64_t count, float a, const float *x, float *y);       // y ← a·x
  void (*multiply)(int64_t count, const float *x, const float *w, float *y);  // y ← x ⊙ w
  // Backward of y = x ⊙ w: dw ← dw + dy ⊙ x, then dy ← dy ⊙ w.
  void (*multiply_backward)(int64_t count, const float *x, const float *w, float *dy, float *dw);
  // Cross-entropy of bits z (eight per byte, least significant first) and logits x: returns
  // Σ max(x, 0) − z·x + log(1 + e^−|x|), summed in eight fp64 lanes, and sets x ← (sigmoid(x) − z)·c.
  double (*bit_entropy)(int64_t count, float *x, const uint8_t *z, float c);
  void (*signs)(int64_t count, const uint8_t *z, float *y);              // y ← 2z − 1
  float (*dot)(int64_t count, const float *x, const float *y);           // sixteen-lane order
  double (*sum_squares)(int64_t count, const float *x);                  // eight fp64 lanes

  // M queries at positions position, position + 1, …, each against the keys up to its own position.
  void (*attention)(int64_t M, int64_t position, const ck_attention *operands);
  void (*attention_backward)(int64_t T, const ck_attention_gradient *operands);

  // One chunk of a row of logits: m = max, s = Σ exp(x - m), w = Σ exp(x - m)·(x - m).
  void (*logit_partial)(int64_t count, const float *x, float *m, float *s, float *w);
  // x ← (a·(1[i = target] - p) - b·p·(log p + entropy))·c with p = exp(x - lse). target < 0: the chunk has no target.
  void (*logit_gradient)(int64_t count, float *x, float lse, float entropy, int64_t target, float a, float b, float c);
} ck_table;

// The table in use: the best, or the one that the environment variable QUILLAN_ISA names (portable, amx-emulated, avx2,
// avx512, avx512bf16, amx, dotprod). `amx-emulated` is `portable` with the kernels of `amx` on tiles in C, for tests.
const ck_table *ck_kernels(void);
// All tables that this machine can run, at most CK_TABLES: the portable table first, the best last; returns their number.
enum { CK_TABLES = 8 };
int32_t ck_available(const ck_table **tables, int32_t capacity);
// Selects a table, for tests and for ranks that agree on the lowest table. Call before any other thread computes.
void ck_select(const ck_table *table);

// The order `pairs` on a processor with bfloat16 dot products: by these instructions, or by two fused multiply-adds of
// fp32. Both give the same bits; on some processors the instructions are slower. A measurement when the tables are first
// used (below 1 ms) decides, or the environment variable QUILLAN_BF16_DOT (native or fma).
typedef void (*ck_bf16_gemm)(int64_t M, int64_t N, const ck_bf16_product *parts, int64_t count, const float *bias,
                             float *C, int64_t c_row, bool accumulate);
typedef struct {
  ck_bf16_gemm native;  // NULL: the machine has no such instructions
  ck_bf16_gemm fma;
  bool is_native;  // the choice
} ck_bf16_dots;
ck_bf16_dots ck_bf16_variants(void);

// The order of the sums of bfloat16 products that programs select for a run; `pairs` until then.
enum { CK_SUMS_PAIRS = 0, CK_SUMS_TILES = 1 };
int32_t ck_bf16_sums(void);
// Call before any other thread computes.
void ck_select_bf16_sums(int32_t order);
// The product in the selected order.
void ck_gemm_bf16(int64_t M, int64_t N, const ck_bf16_product *parts, int64_t count, const float *bias, float *C,
                  int64_t c_row, bool accumulate);

// Format helpers, the same on every machine.
uint16_t ck_f16_from_f32(float x);
float ck_f32_from_f16(uint16_t h);
uint16_t ck_bf16_from_f32(float x);
float ck_f32_from_bf16(uint16_t h);
double ck_log(double x);  // natural logarithm, x > 0 normal; error below 1e-15 relative

// Packing. ck_packed_describe fills every field except the pointers. The scale of a ternary row is
// max(mean |W|, 1e-5); of int4 groups max(max |W|, 1e-5)/7; of int8 rows max(max |W|, 1e-5)/127.
void ck_packed_describe(ck_packed *p, int32_t format, int32_t rows, int32_t columns, int32_t group);
void ck_pack(const ck_packed *p, int64_t matrix, int64_t first_panel, int64_t panels, const float *w);
// The weight values in use, rows first…first+rows-1, as [rows, columns].
void ck_unpack(const ck_packed *p, int64_t matrix, int64_t first_row, int64_t rows, float *w);
// The signed codes [rows, columns] and scales [rows, groups] of an integer format, as files store them, independent of
// the layout above. ck_write_codes takes the codes of a whole matrix and fills panels first_panel…first_panel+panels-1.
void ck_read_codes(const ck_packed *p, int64_t matrix, int64_t first_row, int64_t rows, int8_t *codes, float *scales);
void ck_write_codes(const ck_packed *p, int64_t matrix, int64_t first_panel, int64_t panels, const int8_t *codes,
                    const float *scales);
// The code of one weight of an integer format, as a signed number.
int32_t ck_packed_code(const ck_packed *p, int64_t matrix, int64_t row, int64_t column);

// The passes of ck_memory.h through the table in use.
int64_t ck_fixed_add(int64_t count, int64_t bound, const float *x, int64_t *sum);
void ck_fixed_read(int64_t count, const int64_t *sum, float *x);

// A fixed-point sum beyond 64 bits is low + high · 2^CK_FIXED_CARRY quanta. Adds round(x · 2^50) and leaves |low| ≤
// 2^(CK_FIXED_CARRY - 1). Returns false if |x| is not below CK_FIXED_LIMIT. 2^21 such numbers cannot overflow `high`.
enum { CK_FIXED_CARRY = 48 };
#define CK_FIXED_LIMIT 0x1p40f
bool ck_fixed_carry(float x, int64_t *low, int64_t *high);
// ck_fixed_read for such sums.
void ck_fixed_read_wide(int64_t count, const int64_t *low, const int64_t *high, float *x);
int64_t ck_first_nonfinite(int64_t count, const float *x);

// out = x₀ + x₁ + …, in this order, for `arrays` arrays of `count` elements that begin `stride` elements apart.
// Integers wrap around.
void ck_sum_arrays(int64_t arrays, int64_t stride, int64_t count, const float *x, float *out);
void ck_sum_arrays_int64(int64_t arrays, int64_t stride, int64_t count, const int64_t *x, int64_t *out);

// The scalar specification.
void ck_reference_gemm(int64_t M, int64_t N, int64_t K, const float *A, int64_t a_row, int64_t a_k, const float *B,
                       int64_t b_row, int64_t b_k, const float *bias, float *C, int64_t c_row, bool accumulate);
void ck_reference_gemm_bf16(int64_t M, int64_t N, const ck_bf16_product *parts, int64_t count, const float *bias,
                            float *C, int64_t c_row, bool accumulate);
// The order `tiles`, that of the tile product TDPBF16PS. Each part is cut into steps of sixteen pairs; zeros complete its
// last step. With subnormal operands and results as zero, all to nearest even, a step computes
//   even ← fma(a[2k], b[2k], even) and odd ← fma(a[2k+1], b[2k+1], odd) for its pairs k in order, both from 0;
//   C ← C + (even + odd).
void ck_reference_gemm_bf16_tiles(int64_t M, int64_t N, const ck_bf16_product *parts, int64_t count, const float *bias,
                                  float *C, int64_t c_row, bool accumulate);
void ck_reference_gemm_a8(int64_t M, const ck_activations *A, const ck_packed *B, int64_t matrix, const float *bias,
                          float *C, int64_t c_row);
void ck_reference_quantize_a8(int64_t M, int64_t K, const float *x, int64_t x_row, const ck_activations *out);
float ck_reference_exp(float x);
float ck_reference_erf(float x);
float ck_reference_gelu(float x);
float ck_reference_dot(int64_t count, const float *x, const float *y);
void ck_reference_softmax(int64_t N, float *x);
void ck_reference_rms_norm(int64_t N, const float *x, const float *w, float epsilon, float *y, float *inverse);
void ck_reference_attention(int64_t position, int64_t head_dim, float scale, const float *q, const float *k,
                            int64_t k_row, const float *v, int64_t v_row, float *out);

#ifdef __cplusplus
}
#endif
