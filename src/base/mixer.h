/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of sublayers: mixers, which move information between positions, so that they have
   edges, and MLPs. */
#ifndef KO_BASE_MIXER_H
#define KO_BASE_MIXER_H

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
enum { KO_COMPONENT_MLP = 8, KO_N_COMPONENT_SETS = 16 };

#ifdef __cplusplus
}
#endif

#endif
