#include "src/cli/statistics.h"

#include <math.h>
#include <stdlib.h>

/* The normal distribution's 97.5 % point, as papers round it. */
static const double Z = 1.96;

struct ko_estimate ko_estimate_mean(const double *values, size_t n)
{
    struct ko_estimate estimate = {NAN, NAN, NAN, n};
    if (n == 0)
        return estimate;
    double sum = 0, squares = 0;
    for (size_t k = 0; k < n; k++)
        sum += values[k];
    const double mean = sum / (double)n;
    for (size_t k = 0; k < n; k++)
        squares += (values[k] - mean) * (values[k] - mean);
    estimate.value = mean;
    if (n > 1) {
        const double half = Z * sqrt(squares / (double)(n - 1) / (double)n);
        estimate.low = mean - half;
        estimate.high = mean + half;
    }
    return estimate;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct ko_estimate ko_estimate_median(double *values, size_t n)
{
    struct ko_estimate estimate = {NAN, NAN, NAN, n};
    if (n == 0)
        return estimate;
    qsort(values, n, sizeof *values, compare);
    estimate.value = (values[(n - 1) / 2] + values[n / 2]) / 2;
    const double middle = (double)n / 2, half = Z / 2 * sqrt((double)n);
    const double low = floor(middle - half), high = ceil(1 + middle + half);
    if (low >= 1 && high <= (double)n) {
        estimate.low = values[(size_t)low - 1];
        estimate.high = values[(size_t)high - 1];
    }
    return estimate;
}

struct ko_estimate ko_estimate_share(size_t n_hits, size_t n)
{
    struct ko_estimate estimate = {NAN, NAN, NAN, n};
    if (n == 0)
        return estimate;
    const double count = (double)n, share = (double)n_hits / count;
    const double scale = 1 + Z * Z / count;
    const double middle = (share + Z * Z / (2 * count)) / scale;
    const double half = Z / scale * sqrt(share * (1 - share) / count + Z * Z / (4 * count * count));
    estimate.value = 100 * share;
    /* Rounding must not leave the interval beyond what it ends at. */
    estimate.low = n_hits == 0 ? 0 : 100 * (middle - half);
    estimate.high = n_hits == n ? 100 : 100 * (middle + half);
    return estimate;
}
