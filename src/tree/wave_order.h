/* SPDX-License-Identifier: Apache-2.0 */
/* The order of a wave's branches. Only the files of this folder use it. */
#ifndef KO_TREE_WAVE_ORDER_H
#define KO_TREE_WAVE_ORDER_H

#include "src/tree/wave.h"

/* Sorts the branches as struct ko_wave says, with the parents and cells that refer to them. */
KO_MUST_CHECK enum ko_code ko_wave_sort(struct ko_wave *wave, struct ko_error *err);
/* Gives every branch its rows, behind those of the trunks. wave->n_rows has all of them. */
void ko_wave_number_rows(struct ko_wave *wave);

#endif
