/* The natural logarithm, the same to the bit on every CPU: the C library's depends on it. */
#ifndef RILL_LOGARITHM_H
#define RILL_LOGARITHM_H

#include <stdint.h>
#include <string.h>

/* Of a positive normal number: a polynomial (Cephes' logf). */
static inline float natural_logarithm(float x)
{
    uint32_t bits;
    float m;
    memcpy(&bits, &x, sizeof bits);
    float exponent = (float)((int32_t)(bits >> 23) - 126);
    bits = (bits & 0x007fffff) | 0x3f000000;
    memcpy(&m, &bits, sizeof m); /* 0.5 to 1 */
    if (m < 0.70710678f) {
        exponent = exponent - 1.0f;
        m = m + m;
    }
    m = m - 1.0f;
    float z = m * m, y = 7.0376836292e-2f * m - 1.1514610310e-1f;
    y = y * m + 1.1676998740e-1f;
    y = y * m - 1.2420140846e-1f;
    y = y * m + 1.4249322787e-1f;
    y = y * m - 1.6668057665e-1f;
    y = y * m + 2.0000714765e-1f;
    y = y * m - 2.4999993993e-1f;
    y = y * m + 3.3333331174e-1f;
    y = y * m * z + exponent * -2.12194440e-4f - z * 0.5f;
    return m + y + exponent * 0.693359375f;
}

#endif
