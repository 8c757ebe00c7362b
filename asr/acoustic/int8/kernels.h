/* The products and the float arithmetic of the int8 engine, the same to the bit on every CPU.

   A product is u8 x s8 with sums in 32 bits, which are exact. Floats are added and multiplied in one
   fixed order: in 16 lanes, which each instruction set cuts as it can, without fused
   multiplication and addition (setup.py: -ffp-contract=off), and without functions of the C library
   except sqrtf, whose rounding IEEE 754 fixes.

   one_set.h is compiled once for each instruction set; `kernels()` chooses. */
#ifndef RILL_INT8_KERNELS_H
#define RILL_INT8_KERNELS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../features/logarithm.h"

#define PANEL 64   /* outputs whose weights lie together: [groups of 4 inputs][64 outputs][4] */
#define MAX_ROWS 4 /* inputs that share a load of the weights; of more GCC would spill the sums */
#define AHEAD_BYTES 2048 /* of a prefetch: AMD's CPUs without AVX-512 else wait for memory */
#define LANES 16
#define UNROLLED _Pragma("GCC unroll 8")

/* Weights of a product, quantised and packed by asr/acoustic/int8/weights.py. */
typedef struct {
    ptrdiff_t inputs, outputs; /* multiples of 4 and 64 */
    const int8_t *panels;      /* [outputs / 64, inputs / 4, 64, 4] */
    const int32_t *middles;    /* [outputs] 128 times the sum of an output's weights */
    const float *scales;       /* [outputs] value of one unit of the sum */
    const float *biases;       /* [outputs] */
} Weights;

/* Rows of a batch: row t of member b starts at b * of_member + t * of_step. */
typedef struct {
    ptrdiff_t members, steps, of_member, of_step;
} Rows;

typedef struct {
    const char *name;
    void (*quantise)(Rows rows, ptrdiff_t width, const float *x, const float *units, uint8_t *out);
    void (*linear)(const Weights *weights, Rows rows, const uint8_t *x, float *out);
    int (*lstm)(const Weights *weights, ptrdiff_t members, ptrdiff_t steps, int reverse,
                const float *gates, float *hidden, float *cell, float *out);
    void (*norm)(ptrdiff_t rows, ptrdiff_t width, const float *x, const float *scale,
                 const float *bias, float *out);
    void (*log_softmax)(ptrdiff_t rows, ptrdiff_t stride, ptrdiff_t width, const float *x,
                        float *out);
} Kernels;

#if !defined __GNUC__ && !defined __clang__
#error "Rill's int8 kernels need GCC or Clang: they use vectors of any length"
#endif
#ifdef __x86_64__
#include <immintrin.h>
#define SET avx512
#define TARGET_SET __attribute__((target("avx2,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#define SUMS_WITH_VNNI
#define NATIVE_BYTES 64
#include "one_set.h"
#define SET avx2
#define TARGET_SET __attribute__((target("avx2")))
#define SUMS_WITH_AVX2
#define NATIVE_BYTES 32
#include "one_set.h"
#endif
#define SET any
#define TARGET_SET
#define NATIVE_BYTES 16
#include "one_set.h"

/* The kernels of an instruction set ("avx512", "avx2", "any"), of the best one of this CPU if the
   name is NULL; NULL if the CPU lacks it. */
static const Kernels *kernels(const char *name)
{
#ifdef __x86_64__
    int avx512 = __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    if (avx512 && (!name || !strcmp(name, "avx512")))
        return &kernels_avx512;
    if (__builtin_cpu_supports("avx2") && (!name || !strcmp(name, "avx2")))
        return &kernels_avx2;
#endif
    return !name || !strcmp(name, "any") ? &kernels_any : NULL;
}

#endif
