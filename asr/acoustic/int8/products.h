/* Products of int8 weights, and the LSTM, for one instruction set (kernels.h). */

/* Exact sums [rows, 64] of one panel: of inputs, without their zero of 128, times weights. */
INLINE void NAME(sums)(const int rows, ptrdiff_t groups, const uint8_t *const *x, const int8_t *w,
                       const int32_t *middles, int32_t sums[MAX_ROWS][PANEL])
{
#if defined SUMS_WITH_VNNI
    __m512i total[MAX_ROWS][4];
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int q = 0; q < 4; q++)
            total[r][q] = _mm512_setzero_si512();
    for (ptrdiff_t g = 0; g < groups; g++, w += 4 * PANEL)
        UNROLLED for (int r = 0; r < rows; r++) {
            int32_t four;
            memcpy(&four, x[r] + 4 * g, 4);
            UNROLLED for (int q = 0; q < 4; q++)
                total[r][q] = _mm512_dpbusd_epi32(total[r][q], _mm512_set1_epi32(four),
                                                  _mm512_loadu_si512(w + 64 * q));
        }
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int q = 0; q < 4; q++)
            _mm512_storeu_si512(sums[r] + LANES * q,
                                _mm512_sub_epi32(total[r][q],
                                                 _mm512_loadu_si512(middles + LANES * q)));
#elif defined SUMS_WITH_AVX2
    /* 255 * 127 twice would saturate maddubs. With the input's sign moved to the weight it is 127 *
       127 twice at most. */
    (void)middles;
    const __m256i zero = _mm256_set1_epi8((char)128), ones = _mm256_set1_epi16(1);
    const int wide = rows == 1 ? 8 : 4; /* vectors: those of two rows fit the registers */
    for (int first = 0; first < 8; first += wide)
        UNROLLED for (int start = 0; start < rows; start += 2) {
            const int count = rows - start < 2 ? rows - start : 2;
            const int8_t *its = w + 32 * first;
            __m256i total[2][8];
            UNROLLED for (int r = 0; r < count; r++)
                UNROLLED for (int s = 0; s < wide; s++)
                    total[r][s] = _mm256_setzero_si256();
            for (ptrdiff_t g = 0; g < groups; g++, its += 4 * PANEL) {
                if (first + start == 0)
                    UNROLLED for (int line = 0; line < 4; line++)
                        __builtin_prefetch(its + AHEAD_BYTES + 64 * line);
                UNROLLED for (int r = 0; r < count; r++) {
                    int32_t four;
                    memcpy(&four, x[start + r] + 4 * g, 4);
                    const __m256i input = _mm256_xor_si256(_mm256_set1_epi32(four), zero);
                    const __m256i size = _mm256_abs_epi8(input);
                    UNROLLED for (int s = 0; s < wide; s++) {
                        const __m256i signed_weights = _mm256_sign_epi8(
                            _mm256_loadu_si256((const __m256i *)(its + 32 * s)), input);
                        const __m256i pairs = _mm256_maddubs_epi16(size, signed_weights);
                        total[r][s] =
                            _mm256_add_epi32(total[r][s], _mm256_madd_epi16(pairs, ones));
                    }
                }
            }
            UNROLLED for (int r = 0; r < count; r++)
                UNROLLED for (int s = 0; s < wide; s++)
                    _mm256_storeu_si256((__m256i *)(sums[start + r] + 8 * (first + s)),
                                        total[r][s]);
        }
#else
    for (int r = 0; r < rows; r++) {
        int32_t total[PANEL];
        const int8_t *its = w;
        for (int o = 0; o < PANEL; o++)
            total[o] = -middles[o];
        for (ptrdiff_t g = 0; g < groups; g++, its += 4 * PANEL)
            for (int o = 0; o < PANEL; o++)
                for (int k = 0; k < 4; k++)
                    total[o] += x[r][4 * g + k] * its[4 * o + k];
        memcpy(sums[r], total, sizeof total);
    }
#endif
}

static TARGET_SET void NAME(product)(const Weights *weights, ptrdiff_t panel, int rows,
                                     const uint8_t *const *x, int32_t sums[MAX_ROWS][PANEL])
{
    const ptrdiff_t groups = weights->inputs / 4;
    const int8_t *w = weights->panels + panel * PANEL * weights->inputs;
    const int32_t *middles = weights->middles + panel * PANEL;
    switch (rows) { /* a constant for the compiler */
    case 1: NAME(sums)(1, groups, x, w, middles, sums); break;
    case 2: NAME(sums)(2, groups, x, w, middles, sums); break;
    case 3: NAME(sums)(3, groups, x, w, middles, sums); break;
    default: NAME(sums)(MAX_ROWS, groups, x, w, middles, sums);
    }
}

/* Values of as many outputs, from `first` on, as a vector of the CPU has lanes. */
INLINE NAME(floats) NAME(value)(const Weights *weights, ptrdiff_t first, const int32_t *sums)
{
    return __builtin_convertvector(*(const NAME(ints) *)sums, NAME(floats)) *
           *(const NAME(floats) *)(weights->scales + first);
}

/* out [rows, outputs] = x times the weights, and the biases. */
static TARGET_SET void NAME(linear)(const Weights *weights, Rows rows, const uint8_t *x, float *out)
{
    const ptrdiff_t all = rows.members * rows.steps;
    for (ptrdiff_t panel = 0; panel < weights->outputs / PANEL; panel++)
        for (ptrdiff_t start = 0; start < all; start += MAX_ROWS) {
            const int count = all - start < MAX_ROWS ? (int)(all - start) : MAX_ROWS;
            const uint8_t *inputs[MAX_ROWS];
            int32_t sums[MAX_ROWS][PANEL];
            for (int r = 0; r < count; r++)
                inputs[r] = x + (start + r) / rows.steps * rows.of_member +
                            (start + r) % rows.steps * rows.of_step;
            NAME(product)(weights, panel, count, inputs, sums);
            for (int r = 0; r < count; r++)
                for (ptrdiff_t q = 0; q < PANEL; q += NATIVE) {
                    const ptrdiff_t first = panel * PANEL + q;
                    *(NAME(floats) *)(out + (start + r) * weights->outputs + first) =
                        NAME(value)(weights, first, sums[r] + q) +
                        *(const NAME(floats) *)(weights->biases + first);
                }
        }
}

/* All steps of an LSTM. A panel of the recurrent weights has four gates (input, forget, candidate,
   output) of 16 cells, and `gates` [members, steps, outputs], the input's part, has the same order.
   hidden and cell [members, cells] are those before and then those after; out [members, steps,
   cells]. Returns 0 if there is no memory. */
static TARGET_SET int NAME(lstm)(const Weights *weights, ptrdiff_t members, ptrdiff_t steps,
                                 int reverse, const float *gates, float *hidden, float *cell,
                                 float *out)
{
    const ptrdiff_t cells = weights->inputs, outputs = weights->outputs;
    uint8_t *rounded = malloc(members * cells);
    if (!rounded)
        return 0;
    for (ptrdiff_t step = 0; step < steps; step++) {
        const ptrdiff_t t = reverse ? steps - 1 - step : step;
        NAME(quantise)((Rows){members, 1, cells, cells}, cells, hidden, NULL, rounded);
        for (ptrdiff_t panel = 0; panel < outputs / PANEL; panel++)
            for (ptrdiff_t start = 0; start < members; start += MAX_ROWS) {
                const int count = members - start < MAX_ROWS ? (int)(members - start) : MAX_ROWS;
                const uint8_t *inputs[MAX_ROWS];
                int32_t sums[MAX_ROWS][PANEL];
                for (int r = 0; r < count; r++)
                    inputs[r] = rounded + (start + r) * cells;
                NAME(product)(weights, panel, count, inputs, sums);
                for (int r = 0; r < count; r++) {
                    const ptrdiff_t first = panel * PANEL, b = start + r;
                    const float *of_input = gates + (b * steps + t) * outputs + first;
                    for (int lane = 0; lane < LANES; lane += NATIVE) {
                        NAME(floats) total[4];
                        UNROLLED for (int q = 0; q < 4; q++) {
                            const int at = LANES * q + lane;
                            total[q] = *(const NAME(floats) *)(of_input + at) +
                                       NAME(value)(weights, first + at, sums[r] + at);
                        }
                        const ptrdiff_t place = b * cells + panel * LANES + lane;
                        NAME(floats) c = NAME(sigmoid)(total[1]) * *(NAME(floats) *)(cell + place) +
                                         NAME(sigmoid)(total[0]) * NAME(tanh)(total[2]);
                        NAME(floats) h = NAME(sigmoid)(total[3]) * NAME(tanh)(c);
                        *(NAME(floats) *)(cell + place) = c;
                        *(NAME(floats) *)(hidden + place) = h;
                        *(NAME(floats) *)(out + (b * steps + t) * cells + panel * LANES + lane) = h;
                    }
                }
            }
    }
    free(rounded);
    return 1;
}
