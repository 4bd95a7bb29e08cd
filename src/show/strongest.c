/* SPDX-License-Identifier: Apache-2.0 */
/* Lists the cells of all curves, corrects their p-values together, and sorts them by strength. */
#include "src/show/strongest.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"

static size_t count_points(const struct ko_curves *curves)
{
    size_t n = 0;
    for (size_t c = 0; c < curves->n; c++) {
        n += (size_t)curves->curve[c].n_points;
    }
    return n;
}

/* Corrects the p-values of all points together. Windows without a value have no p. */
static enum ko_code correct_all(struct ko_curves *curves, size_t n_points, size_t *n_tests,
                                struct ko_error *err)
{
    double *p = ko_new(n_points, sizeof *p, err), *adjusted = ko_new(n_points, sizeof *p, err);
    enum ko_code code = p && adjusted ? KO_OK : KO_E_MEMORY;
    size_t n = 0;
    for (size_t c = 0; code == KO_OK && c < curves->n; c++) {
        for (int32_t k = 0; k < curves->curve[c].n_points; k++) {
            p[n++] = curves->curve[c].point[k].p;
        }
    }
    if (code == KO_OK) {
        code = ko_holm(p, n, adjusted, err);
    }
    n = 0;
    for (size_t c = 0; code == KO_OK && c < curves->n; c++) {
        for (int32_t k = 0; k < curves->curve[c].n_points; k++) {
            *n_tests += isnan(p[n]) ? 0 : 1;
            curves->curve[c].point[k].p_holm = adjusted[n++];
        }
    }
    free(p);
    free(adjusted);
    return code;
}

/* Stronger first, then in the order of the cube: points of a curve lie in one array, and curves in
   another. */
static int compare_cells(const void *a, const void *b)
{
    const struct ko_strong_cell *x = a, *y = b;
    const double one = fabs(x->point->estimate.value), other = fabs(y->point->estimate.value);
    if (one > other || one < other) {
        return one > other ? -1 : 1;
    }
    if (x->curve != y->curve) {
        return x->curve < y->curve ? -1 : 1;
    }
    return (x->point > y->point) - (x->point < y->point);
}

enum ko_code ko_strongest_find(struct ko_curves *curves, size_t wanted, struct ko_strongest *out,
                               struct ko_error *err)
{
    const size_t n_points = count_points(curves);
    struct ko_strongest found = {.cell = ko_new(n_points, sizeof *found.cell, err)};
    enum ko_code code = found.cell ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK) {
        code = correct_all(curves, n_points, &found.n_tests, err);
    }
    for (size_t c = 0; code == KO_OK && c < curves->n; c++) {
        const struct ko_curve *curve = &curves->curve[c];
        for (int32_t k = 0; k < curve->n_points; k++) {
            if (isfinite(curve->point[k].estimate.value)) {
                found.cell[found.n_cells++] = (struct ko_strong_cell){curve, &curve->point[k]};
            }
        }
    }
    if (code != KO_OK) {
        ko_strongest_free(&found);
        return code;
    }
    qsort(found.cell, found.n_cells, sizeof *found.cell, compare_cells);
    found.n = wanted < found.n_cells ? wanted : found.n_cells;
    *out = found;
    return KO_OK;
}

void ko_strongest_free(struct ko_strongest *strongest)
{
    free(strongest->cell);
    *strongest = (struct ko_strongest){0};
}
