/* Arithmetic of floats, for one instruction set (kernels.h). */

INLINE f16 NAME(all)(float value)
{
    return value - (f16){0}; /* in every lane */
}

INLINE f16 NAME(chosen)(i16 where, f16 yes, f16 no)
{
    return (f16)((where & (i16)yes) | (~where & (i16)no));
}

/* e^x within 2 units of the last place: x = n ln 2 + r, a polynomial of r (Cephes' expf). */
INLINE f16 NAME(exp)(f16 x)
{
    const f16 low = NAME(all)(-87.0f), high = NAME(all)(88.0f), round = NAME(all)(12582912.0f);
    x = NAME(chosen)(x < low, low, x);
    x = NAME(chosen)(x > high, high, x);
    f16 shifted = x * 1.44269504f + round;
    i16 n = (i16)shifted - (i16)round;
    f16 whole = shifted - round;
    f16 r = x - whole * 0.693359375f - whole * -2.12194440e-4f;
    f16 p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    return p * (f16)((n + 127) << 23);
}

/* The natural logarithm of positive normal numbers (Cephes' logf). */
INLINE f16 NAME(log)(f16 x)
{
    i16 bits = (i16)x, half = {0};
    half += 0x3f000000;
    i16 exponent = (bits >> 23) - 126;
    f16 m = (f16)((bits & 0x007fffff) | half); /* 0.5 to 1 */
    i16 is_small = m < NAME(all)(0.70710678f);
    exponent += is_small; /* -1 where it is */
    m = NAME(chosen)(is_small, m + m, m) - 1.0f;
    f16 e = __builtin_convertvector(exponent, f16), z = m * m;
    f16 p = m * 7.0376836292e-2f - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    p = p * m * z + e * -2.12194440e-4f - z * 0.5f;
    return m + p + e * 0.693359375f;
}

INLINE f16 NAME(sigmoid)(f16 x)
{
    return 1.0f / (1.0f + NAME(exp)(-x));
}

INLINE f16 NAME(tanh)(f16 x)
{
    return 2.0f / (1.0f + NAME(exp)(x * -2.0f)) - 1.0f;
}

INLINE float NAME(sum)(f16 x)
{
    float parts[LANES];
    memcpy(parts, &x, sizeof parts);
    for (int half = LANES / 2; half; half /= 2)
        for (int k = 0; k < half; k++)
            parts[k] += parts[k + half];
    return parts[0];
}

/* u8 numbers with 128 as zero: x * units, rounded to the nearest, at most 127 away. */
static TARGET_SET void NAME(quantise)(Rows rows, ptrdiff_t width, const float *x,
                                      const float *units, uint8_t *out)
{
    const f16 low = NAME(all)(-127.0f), high = NAME(all)(127.0f), round = NAME(all)(12582912.0f);
    for (ptrdiff_t b = 0; b < rows.members; b++)
        for (ptrdiff_t t = 0; t < rows.steps; t++) {
            const float *row = x + b * rows.of_member + t * rows.of_step;
            for (ptrdiff_t k = 0; k < width; k += LANES, out += LANES) {
                f16 y = *(const f16 *)(row + k);
                y *= units ? *(const f16 *)(units + k) : high;
                y = NAME(chosen)(y < low, low, y);
                y = NAME(chosen)(y > high, high, y);
                i16 whole = (i16)(y + round) - (i16)round + 128;
                *(u16 *)out = __builtin_convertvector(whole, u16);
            }
        }
}

static TARGET_SET void NAME(norm)(ptrdiff_t rows, ptrdiff_t width, const float *x,
                                  const float *scale, const float *bias, float *out)
{
    for (ptrdiff_t r = 0; r < rows; r++, x += width, out += width) {
        f16 total = {0}, squares = {0};
        for (ptrdiff_t k = 0; k < width; k += LANES)
            total += *(const f16 *)(x + k);
        const float mean = NAME(sum)(total) / width;
        for (ptrdiff_t k = 0; k < width; k += LANES) {
            f16 apart = *(const f16 *)(x + k) - mean;
            squares += apart * apart;
        }
        const float factor = 1.0f / sqrtf(NAME(sum)(squares) / width + 1e-5f);
        for (ptrdiff_t k = 0; k < width; k += LANES)
            *(f16 *)(out + k) = (*(const f16 *)(x + k) - mean) * factor * *(const f16 *)(scale + k) +
                                *(const f16 *)(bias + k);
    }
}

static TARGET_SET void NAME(log_softmax)(ptrdiff_t rows, ptrdiff_t stride, ptrdiff_t width,
                                         const float *x, float *out)
{
    for (ptrdiff_t r = 0; r < rows; r++, x += stride, out += width) {
        float highest = x[0], total = 0;
        for (ptrdiff_t k = 1; k < width; k++)
            highest = x[k] > highest ? x[k] : highest;
        for (ptrdiff_t k = 0; k < width; k += LANES) {
            f16 some = NAME(all)(highest - 200.0f); /* beyond the last: e^-87 adds nothing */
            memcpy(&some, x + k, (width - k < LANES ? width - k : LANES) * sizeof(float));
            total += NAME(sum)(NAME(exp)(some - highest));
        }
        const float log_total = NAME(log)(NAME(all)(total))[0];
        for (ptrdiff_t k = 0; k < width; k++)
            out[k] = x[k] - highest - log_total;
    }
}
