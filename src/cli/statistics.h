/* A figure of many cells with its 95 % interval. */
#ifndef KO_CLI_STATISTICS_H
#define KO_CLI_STATISTICS_H

#include <stddef.h>

struct ko_estimate {
    double value, low, high; /* NaN where n is too small for them */
    size_t n;
};

/* Mean, and mean -+ 1.96 sd / sqrt(n) with the sample's standard deviation (n - 1); no interval for
   n = 1. values [n]. */
struct ko_estimate ko_estimate_mean(const double *values, size_t n);
/* Median (of an even n the middle of the two), and the order statistics of rank
   floor(n/2 - 0.98 sqrt(n)) and ceil(1 + n/2 + 0.98 sqrt(n)), which hold it with 95 % probability
   whatever the distribution; no interval where these ranks do not exist (n < 8). Sorts values [n].
 */
struct ko_estimate ko_estimate_median(double *values, size_t n);
/* n_hits of n in percent, and Wilson's score interval (Wilson 1927). */
struct ko_estimate ko_estimate_share(size_t n_hits, size_t n);

#endif
