/* Arithmetic of floats, for one instruction set (kernels.h). */

INLINE f16 NAME(all)(float value)
{
    return value - (f16){0}; /* in every lane */
}

typedef float NAME(native) __attribute__((vector_size(NATIVE_BYTES)));
typedef int32_t NAME(native_int) __attribute__((vector_size(NATIVE_BYTES)));
typedef uint8_t NAME(native_byte) __attribute__((vector_size(NATIVE_BYTES / 4)));

/* In vectors of the CPU: GCC takes a comparison of longer ones apart into single numbers. */
INLINE f16 NAME(clamped)(f16 x, float low, float high)
{
    NAME(native) part, least = low - (NAME(native)){0}, most = high - (NAME(native)){0};
    UNROLLED for (size_t k = 0; k < sizeof x; k += sizeof part) {
        memcpy(&part, (char *)&x + k, sizeof part);
        NAME(native_int) is_low = part < least, is_high = part > most;
        part = (NAME(native))((is_low & (NAME(native_int))least) |
                              (is_high & (NAME(native_int))most) |
                              (~(is_low | is_high) & (NAME(native_int))part));
        memcpy((char *)&x + k, &part, sizeof part);
    }
    return x;
}

/* e^x within 2 units of the last place: x = n ln 2 + r, a polynomial of r (Cephes' expf). */
INLINE f16 NAME(exp)(f16 x)
{
    const f16 round = NAME(all)(12582912.0f);
    x = NAME(clamped)(x, -87.0f, 88.0f);
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
    const f16 round = NAME(all)(12582912.0f), most = NAME(all)(127.0f);
    for (ptrdiff_t b = 0; b < rows.members; b++)
        for (ptrdiff_t t = 0; t < rows.steps; t++) {
            const float *row = x + b * rows.of_member + t * rows.of_step;
            for (ptrdiff_t k = 0; k < width; k += LANES) {
                f16 y = *(const f16 *)(row + k) * (units ? *(const f16 *)(units + k) : most);
                i16 whole = (i16)(NAME(clamped)(y, -127.0f, 127.0f) + round) - (i16)round + 128;
                UNROLLED for (size_t i = 0; i < sizeof whole; i += NATIVE_BYTES) {
                    NAME(native_int) part;
                    memcpy(&part, (char *)&whole + i, sizeof part);
                    NAME(native_byte) bytes = __builtin_convertvector(part, NAME(native_byte));
                    memcpy(out, &bytes, sizeof bytes);
                    out += sizeof bytes;
                }
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
        const float log_total = natural_logarithm(total);
        for (ptrdiff_t k = 0; k < width; k++)
            out[k] = x[k] - highest - log_total;
    }
}
