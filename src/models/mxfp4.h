/* SPDX-License-Identifier: Apache-2.0 */
/* MXFP4: blocks of 32 numbers of 4 bits that share a scale (OCP Microscaling Formats (MX)
   Specification 1.0, sections 5.3.3, 5.4.1 and 6.3). */
#ifndef KO_MODELS_MXFP4_H
#define KO_MODELS_MXFP4_H

#include <stdbool.h>
#include <stddef.h>

enum { KO_MXFP4_NUMBERS = 32, KO_MXFP4_BYTES = 16 };

/* out [n_blocks, 32] = the numbers of the blocks [n_blocks, 16] times their scales [n_blocks], as
   transformers' convert_moe_packed_tensors orders them: the lower half of a byte comes first. A
   number is E2M1 (sign, two bits of exponent, one of mantissa): 0, 0.5, 1, 1.5, 2, 3, 4 or 6. A scale
   is E8M0: 2^(s - 127), and 255 is NaN. The products are exact. Returns whether all are finite. */
bool ko_mxfp4_to_float(const unsigned char *blocks, const unsigned char *scales, size_t n_blocks,
                       float *out);

#endif
