/* The nine taps of a 3x3 convolution of a bilinearly doubled map, put together.
 *
 * taps: (9, channels, height, width), what each tap of the kernel makes of the small map, row by
 * row of the kernel. full: (channels, 2 height, 2 width). Beyond the border the doubled map is
 * reflected, or repeated where reflect is 0. height and width are at least 2.
 */
#include <stdlib.h>

/* the two rows of the small map, and the weight of the first, that make row r of the doubled one */
static void rows_of(long r, long height, int reflect, long *near, long *far)
{
    if (r < 0) r = reflect ? 1 : 0;
    if (r > 2 * height - 1) r = reflect ? 2 * height - 2 : 2 * height - 1;
    *near = r / 2;
    *far = r % 2 ? *near + 1 : *near - 1;
    if (*far < 0) *far = 0;
    if (*far > height - 1) *far = height - 1;
}

/* full += the convolution; returns 0, or 1 where memory runs out */
int add_doubled(const float *restrict taps, float *restrict full, long channels, long height,
                long width, int reflect)
{
    const long plane = height * width;
    int failed = 0;
#pragma omp parallel
    {
        /* one row for each column of the kernel, with the border repeated on both sides */
        float *lines = malloc(sizeof(float) * 3 * (width + 2));
        if (!lines) failed = 1;
#pragma omp barrier
        if (!failed) {
#pragma omp for schedule(static)
            for (long c = 0; c < channels; c++) {
                for (long r = 0; r < 2 * height; r++) {
                    for (long b = 0; b < 3; b++) {
                        const float *p[6];
                        for (long a = 0; a < 3; a++) {
                            const float *tap = taps + ((3 * a + b) * channels + c) * plane;
                            long near, far;
                            rows_of(r + a - 1, height, reflect, &near, &far);
                            p[2 * a] = tap + near * width;
                            p[2 * a + 1] = tap + far * width;
                        }
                        const float *p0 = p[0], *p1 = p[1], *p2 = p[2];
                        const float *p3 = p[3], *p4 = p[4], *p5 = p[5];
                        float *line = lines + b * (width + 2) + 1;
                        for (long j = 0; j < width; j++)
                            line[j] = 0.75f * (p0[j] + p2[j] + p4[j])
                                    + 0.25f * (p1[j] + p3[j] + p5[j]);
                        line[-1] = line[0];
                        line[width] = line[width - 1];
                    }
                    const float *l = lines + 1, *m = l + width + 2, *n = m + width + 2;
                    float *out = full + (4 * plane * c) + 2 * width * r;
                    for (long j = 0; j < width; j++) {
                        out[2 * j] += 0.75f * (l[j - 1] + m[j] + n[j])
                                    + 0.25f * (l[j] + m[j - 1] + n[j + 1]);
                        out[2 * j + 1] += 0.75f * (l[j] + m[j] + n[j + 1])
                                        + 0.25f * (l[j - 1] + m[j + 1] + n[j]);
                    }
                    if (reflect) {
                        out[0] += 0.25f * (l[1] - l[0]);
                        out[2 * width - 1] += 0.25f * (n[width - 2] - n[width - 1]);
                    }
                }
            }
        }
        free(lines);
    }
    return failed;
}

/* the adjoint: taps = what full says of each; returns 0, or 1 where memory runs out */
int split_doubled(const float *restrict full, float *restrict taps, long channels, long height,
                  long width, int reflect)
{
    const long plane = height * width;
    int failed = 0;
#pragma omp parallel
    {
        /* even and odd columns, with a zero on both sides, and a row for each kernel column */
        float *lines = calloc(2 * (width + 2) + 3 * width, sizeof(float));
        if (!lines) failed = 1;
#pragma omp barrier
        if (!failed) {
            float *e = lines + 1, *d = e + width + 2;
            float *l = lines + 2 * (width + 2), *m = l + width, *n = m + width;
#pragma omp for schedule(static)
            for (long c = 0; c < channels; c++) {
                for (long k = 0; k < 9; k++) {
                    float *tap = taps + (k * channels + c) * plane;
                    for (long i = 0; i < plane; i++) tap[i] = 0.0f;
                }
                for (long r = 0; r < 2 * height; r++) {
                    const float *in = full + (4 * plane * c) + 2 * width * r;
                    for (long j = 0; j < width; j++) {
                        e[j] = in[2 * j];
                        d[j] = in[2 * j + 1];
                    }
                    for (long j = 0; j < width; j++) {
                        l[j] = 0.75f * (e[j + 1] + d[j]) + 0.25f * (e[j] + d[j + 1]);
                        m[j] = 0.75f * (e[j] + d[j]) + 0.25f * (e[j + 1] + d[j - 1]);
                        n[j] = 0.75f * (e[j] + d[j - 1]) + 0.25f * (e[j - 1] + d[j]);
                    }
                    const float first = e[0], last = d[width - 1];
                    l[0] += 0.75f * first + 0.25f * d[0];
                    m[0] += 0.25f * first;
                    m[width - 1] += 0.25f * last;
                    n[width - 1] += 0.75f * last + 0.25f * e[width - 1];
                    if (reflect) {
                        l[0] -= 0.25f * first;
                        l[1] += 0.25f * first;
                        n[width - 1] -= 0.25f * last;
                        n[width - 2] += 0.25f * last;
                    }
                    for (long a = 0; a < 3; a++) {
                        long near, far;
                        rows_of(r + a - 1, height, reflect, &near, &far);
                        for (long b = 0; b < 3; b++) {
                            const float *line = b == 0 ? l : b == 1 ? m : n;
                            float *tap = taps + ((3 * a + b) * channels + c) * plane;
                            float *p = tap + near * width;
                            for (long j = 0; j < width; j++) p[j] += 0.75f * line[j];
                            p = tap + far * width;
                            for (long j = 0; j < width; j++) p[j] += 0.25f * line[j];
                        }
                    }
                }
            }
        }
        free(lines);
    }
    return failed;
}
