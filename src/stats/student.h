/* SPDX-License-Identifier: Apache-2.0 */
/* Student's t distribution. */
#ifndef KO_STATS_STUDENT_H
#define KO_STATS_STUDENT_H

/* P(|T| >= |t|) with `df` degrees of freedom (> 0): the two-sided p-value. 0 for an infinite t, NaN
   for a NaN, or a df that is not positive and finite. Relative error below 1e-10. */
double ko_student_p(double t, double df);

/* The t for which ko_student_p is p, 0 < p <= 1: 0.05 gives the 97.5 % point. NaN otherwise. */
double ko_student_point(double p, double df);

#endif
