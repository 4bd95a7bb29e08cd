/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a wave computes what the enumeration of asked_cells.h asks for. */
#ifndef TESTS_SUPPORT_ASKED_WAVE_H
#define TESTS_SUPPORT_ASKED_WAVE_H

#include "src/tree/batch.h"
#include "src/tree/waves/wave.h"
#include "tests/support/asked_cells.h"

/* Asserts (cmocka) that each cell's branch removes the edges, or replaces the component, of its route
   and class in its window; that rows, branches, edge sets and donors are in order and none is there
   for nothing. Counts the hits of e->asked, and adds to *n_donors the branches that take values from
   another prompt. */
void asked_check_wave(struct asked_cells *e, const struct ko_batch *batch,
                      const struct ko_wave *wave, int *n_donors);

#endif
