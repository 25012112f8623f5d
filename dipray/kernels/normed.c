/* Normalisation of each channel by its own mean and variance, and a leaky ReLU after it.
 *
 * x, y: (channels, size). mean, rstd: (channels), made by the first and used by the second.
 * Sums are of RUN values at a time in float, added up in double, so that nothing is lost.
 */

#define RUN 4096

static long end_of(long from, long size) { return from + RUN < size ? from + RUN : size; }

/* y = leaky(weight (x - mean) rstd + bias) */
void norm_forward(const float *restrict x, const float *restrict weight, const float *restrict bias,
                  float *restrict y, float *restrict mean, float *restrict rstd, long channels,
                  long size, float eps, float slope)
{
#pragma omp parallel for schedule(static)
    for (long c = 0; c < channels; c++) {
        const float *restrict in = x + c * size;
        float *restrict out = y + c * size;
        double sum = 0.0, squares = 0.0;
        for (long from = 0; from < size; from += RUN) {
            const long to = end_of(from, size);
            float part = 0.0f;
#pragma omp simd reduction(+ : part)
            for (long i = from; i < to; i++) part += in[i];
            sum += part;
        }
        const float middle = (float)(sum / size);
        for (long from = 0; from < size; from += RUN) {
            const long to = end_of(from, size);
            float part = 0.0f;
#pragma omp simd reduction(+ : part)
            for (long i = from; i < to; i++) {
                const float d = in[i] - middle;
                part += d * d;
            }
            squares += part;
        }
        const float scale = (float)(1.0 / __builtin_sqrt(squares / size + eps));
        mean[c] = middle;
        rstd[c] = scale;
        const float gain = weight[c] * scale, shift = bias[c];
#pragma omp simd
        for (long i = 0; i < size; i++) {
            const float z = (in[i] - middle) * gain + shift;
            out[i] = z > 0.0f ? z : slope * z;
        }
    }
}

/* from the gradient of y, gy, those of x, weight and bias */
void norm_backward(const float *restrict x, const float *restrict gy, const float *restrict weight,
                   const float *restrict bias, const float *restrict mean,
                   const float *restrict rstd, float *restrict gx, float *restrict gweight,
                   float *restrict gbias, long channels, long size, float slope)
{
#pragma omp parallel for schedule(static)
    for (long c = 0; c < channels; c++) {
        const float *restrict in = x + c * size, *restrict up = gy + c * size;
        float *restrict out = gx + c * size;
        const float middle = mean[c], gain = weight[c] * rstd[c], shift = bias[c];
        double of_z = 0.0, of_product = 0.0;
        for (long from = 0; from < size; from += RUN) {
            const long to = end_of(from, size);
            float part = 0.0f, product = 0.0f;
#pragma omp simd reduction(+ : part, product)
            for (long i = from; i < to; i++) {
                const float d = in[i] - middle;
                const float g = up[i] * (d * gain + shift > 0.0f ? 1.0f : slope);
                part += g;
                product += g * d;
            }
            of_z += part;
            of_product += product;
        }
        gweight[c] = (float)(of_product * rstd[c]);
        gbias[c] = (float)of_z;
        const float even = (float)(of_z / size);
        const float lean = (float)(of_product / size * rstd[c] * rstd[c]);
#pragma omp simd
        for (long i = 0; i < size; i++) {
            const float d = in[i] - middle;
            const float g = up[i] * (d * gain + shift > 0.0f ? 1.0f : slope);
            out[i] = gain * (g - even - d * lean);
        }
    }
}
