/* The kernels of one instruction set: SET is its name, TARGET_SET its attribute. */
#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define NAME(function) JOIN(function, SET)
#define TEXT_(name) #name
#define TEXT(name) TEXT_(name)
#define INLINE static inline __attribute__((always_inline)) TARGET_SET

#include "floats.h"
#include "products.h"

static const Kernels NAME(kernels) = {
    TEXT(SET), NAME(quantise), NAME(linear), NAME(lstm), NAME(norm), NAME(log_softmax),
};

#undef SET
#undef TARGET_SET
#undef SUMS_WITH_VNNI
#undef SUMS_WITH_AVX2
#undef NATIVE
#undef NATIVE_BYTES
#undef INLINE
#undef NAME
#undef TEXT
#undef TEXT_
#undef JOIN
#undef JOIN_
