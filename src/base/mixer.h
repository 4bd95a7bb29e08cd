/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of sublayers: mixers, which move information between positions, so that they have
   edges, and MLPs. */
#ifndef KO_BASE_MIXER_H
#define KO_BASE_MIXER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bits, so that an uint8_t holds a set of them. */
enum ko_mixer {
    KO_MIXER_ATTENTION = 1,
    KO_MIXER_SSM = 2,  /* anything with a recurrent state: Mamba, gated DeltaNet, RG-LRU */
    KO_MIXER_CONV = 4, /* a short convolution that is the mixer itself (LFM2) */
    KO_MIXER_EVERY = 7
};

/* What a sublayer adds to the residual stream is a component. Its kind is a mixer's, or this: an MLP
   or a mixture of experts. A uint8_t holds a set of kinds. */
enum { KO_COMPONENT_MLP = 8, KO_N_COMPONENTS = 4, KO_N_COMPONENT_SETS = 16 };

/* The kind with this number, from 0 to KO_N_COMPONENTS - 1. */
static inline uint8_t ko_component(int number)
{
    return (uint8_t)(1U << (unsigned)number);
}

#ifdef __cplusplus
}
#endif

#endif
