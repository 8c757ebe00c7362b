/* Arithmetic of floats, for one instruction set (kernels.h). */

#define NATIVE (NATIVE_BYTES / 4) /* lanes of a vector of the CPU: 4, 8 or 16 */

typedef float NAME(floats) __attribute__((vector_size(NATIVE_BYTES), aligned(4), may_alias));
typedef int32_t NAME(ints) __attribute__((vector_size(NATIVE_BYTES), aligned(4), may_alias));
typedef uint8_t NAME(bytes) __attribute__((vector_size(NATIVE), aligned(1), may_alias));

INLINE NAME(floats) NAME(all)(float value)
{
    return value - (NAME(floats)){0}; /* in every lane */
}

INLINE NAME(floats) NAME(chosen)(NAME(ints) where, NAME(floats) yes, NAME(floats) no)
{
    return (NAME(floats))((where & (NAME(ints))yes) | (~where & (NAME(ints))no));
}

INLINE NAME(floats) NAME(clamped)(NAME(floats) x, NAME(floats) low, NAME(floats) high)
{
    x = NAME(chosen)(x < low, low, x);
    return NAME(chosen)(x > high, high, x);
}

/* e^x within 2 units of the last place: x = n ln 2 + r, a polynomial of r (Cephes' expf). */
INLINE NAME(floats) NAME(exp)(NAME(floats) x)
{
    const NAME(floats) round = NAME(all)(12582912.0f);
    x = NAME(clamped)(x, NAME(all)(-87.0f), NAME(all)(88.0f));
    NAME(floats) shifted = x * 1.44269504f + round;
    NAME(ints) n = (NAME(ints))shifted - (NAME(ints))round;
    NAME(floats) whole = shifted - round;
    NAME(floats) r = x - whole * 0.693359375f - whole * -2.12194440e-4f;
    NAME(floats) p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    return p * (NAME(floats))((n + 127) << 23);
}

INLINE NAME(floats) NAME(sigmoid)(NAME(floats) x)
{
    return 1.0f / (1.0f + NAME(exp)(-x));
}

INLINE NAME(floats) NAME(tanh)(NAME(floats) x)
{
    return 2.0f / (1.0f + NAME(exp)(x * -2.0f)) - 1.0f;
}

/* The sum of LANES floats, in one order on every CPU. */
INLINE float NAME(sum)(float parts[LANES])
{
    for (int half = LANES / 2; half; half /= 2)
        for (int k = 0; k < half; k++)
            parts[k] += parts[k + half];
    return parts[0];
}

/* u8 numbers with 128 as zero: x * units, rounded to the nearest, at most 127 away. */
static TARGET_SET void NAME(quantise)(Rows rows, ptrdiff_t width, const float *x,
                                      const float *units, uint8_t *out)
{
    const NAME(floats) round = NAME(all)(12582912.0f), most = NAME(all)(127.0f);
    for (ptrdiff_t b = 0; b < rows.members; b++)
        for (ptrdiff_t t = 0; t < rows.steps; t++) {
            const float *row = x + b * rows.of_member + t * rows.of_step;
            for (ptrdiff_t k = 0; k < width; k += NATIVE, out += NATIVE) {
                NAME(floats) y = *(const NAME(floats) *)(row + k);
                y *= units ? *(const NAME(floats) *)(units + k) : most;
                y = NAME(clamped)(y, -most, most);
                NAME(ints) whole = (NAME(ints))(y + round) - (NAME(ints))round + 128;
                *(NAME(bytes) *)out = __builtin_convertvector(whole, NAME(bytes));
            }
        }
}

static TARGET_SET void NAME(norm)(ptrdiff_t rows, ptrdiff_t width, const float *x,
                                  const float *scale, const float *bias, float *out)
{
    for (ptrdiff_t r = 0; r < rows; r++, x += width, out += width) {
        float total[LANES] = {0}, squares[LANES] = {0};
        for (ptrdiff_t k = 0; k < width; k += LANES)
            UNROLLED for (int lane = 0; lane < LANES; lane += NATIVE)
                *(NAME(floats) *)(total + lane) += *(const NAME(floats) *)(x + k + lane);
        const float mean = NAME(sum)(total) / width;
        for (ptrdiff_t k = 0; k < width; k += LANES)
            UNROLLED for (int lane = 0; lane < LANES; lane += NATIVE) {
                NAME(floats) apart = *(const NAME(floats) *)(x + k + lane) - mean;
                *(NAME(floats) *)(squares + lane) += apart * apart;
            }
        const float factor = 1.0f / sqrtf(NAME(sum)(squares) / width + 1e-5f);
        for (ptrdiff_t k = 0; k < width; k += NATIVE)
            *(NAME(floats) *)(out + k) = (*(const NAME(floats) *)(x + k) - mean) * factor *
                                             *(const NAME(floats) *)(scale + k) +
                                         *(const NAME(floats) *)(bias + k);
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
            float some[LANES];
            for (int lane = 0; lane < LANES; lane++) /* beyond the last: e^-87 adds nothing */
                some[lane] = k + lane < width ? x[k + lane] : highest - 200.0f;
            UNROLLED for (int lane = 0; lane < LANES; lane += NATIVE) {
                NAME(floats) *part = (NAME(floats) *)(some + lane);
                *part = NAME(exp)(*part - highest);
            }
            total += NAME(sum)(some);
        }
        const float log_total = natural_logarithm(total);
        for (ptrdiff_t k = 0; k < width; k++)
            out[k] = x[k] - highest - log_total;
    }
}
