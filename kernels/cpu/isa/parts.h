/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of one instruction set, each in its own name: ko_isa_exp is ko_isa_exp_v4 where
   KO_ISA is v4. */
#ifndef KO_KERNELS_CPU_ISA_PARTS_H
#define KO_KERNELS_CPU_ISA_PARTS_H

#include "kernels/cpu/isa.h"

#define KO_ISA_PASTE2(a, b) a##_##b
#define KO_ISA_PASTE(a, b)  KO_ISA_PASTE2(a, b)
#define KO_ISA_NAME(a)      KO_ISA_PASTE(a, KO_ISA)

#define ko_isa_exp            KO_ISA_NAME(ko_isa_exp)
#define ko_isa_softplus       KO_ISA_NAME(ko_isa_softplus)
#define ko_isa_silu           KO_ISA_NAME(ko_isa_silu)
#define ko_isa_gelu           KO_ISA_NAME(ko_isa_gelu)
#define ko_isa_gelu_tanh      KO_ISA_NAME(ko_isa_gelu_tanh)
#define ko_isa_relu           KO_ISA_NAME(ko_isa_relu)
#define ko_isa_relu2          KO_ISA_NAME(ko_isa_relu2)
#define ko_isa_scale_cap      KO_ISA_NAME(ko_isa_scale_cap)
#define ko_isa_rms_norm       KO_ISA_NAME(ko_isa_rms_norm)
#define ko_isa_layer_norm     KO_ISA_NAME(ko_isa_layer_norm)
#define ko_isa_start          KO_ISA_NAME(ko_isa_start)
#define ko_isa_tap            KO_ISA_NAME(ko_isa_tap)
#define ko_isa_scan_prepare   KO_ISA_NAME(ko_isa_scan_prepare)
#define ko_isa_scan_decay     KO_ISA_NAME(ko_isa_scan_decay)
#define ko_isa_scan_advance   KO_ISA_NAME(ko_isa_scan_advance)
#define ko_isa_scan_step      KO_ISA_NAME(ko_isa_scan_step)
#define ko_isa_multiply       KO_ISA_NAME(ko_isa_multiply)
#define ko_isa_scan_out       KO_ISA_NAME(ko_isa_scan_out)
#define ko_isa_select         KO_ISA_NAME(ko_isa_select)
#define ko_isa_add_scaled     KO_ISA_NAME(ko_isa_add_scaled)
#define ko_isa_attend         KO_ISA_NAME(ko_isa_attend)
#define ko_isa_attend_pack    KO_ISA_NAME(ko_isa_attend_pack)
#define ko_isa_attend_tile    KO_ISA_NAME(ko_isa_attend_tile)
#define ko_isa_ssd            KO_ISA_NAME(ko_isa_ssd)
#define ko_isa_time_step      KO_ISA_NAME(ko_isa_time_step)
#define ko_isa_delta          KO_ISA_NAME(ko_isa_delta)
#define ko_isa_delta_products KO_ISA_NAME(ko_isa_delta_products)
#define ko_isa_delta_chunk    KO_ISA_NAME(ko_isa_delta_chunk)
#define ko_isa_unit           KO_ISA_NAME(ko_isa_unit)
#define ko_isa_lru_gates      KO_ISA_NAME(ko_isa_lru_gates)
#define ko_isa_silu_mul       KO_ISA_NAME(ko_isa_silu_mul)
#define ko_isa_sigmoid_mul    KO_ISA_NAME(ko_isa_sigmoid_mul)
#define ko_isa_gelu_mul       KO_ISA_NAME(ko_isa_gelu_mul)
#define ko_isa_gelu_tanh_mul  KO_ISA_NAME(ko_isa_gelu_tanh_mul)
#define ko_isa_rotate         KO_ISA_NAME(ko_isa_rotate)
#define ko_isa_rotate_pairs   KO_ISA_NAME(ko_isa_rotate_pairs)
#define ko_isa_max            KO_ISA_NAME(ko_isa_max)
#define ko_isa_sum_exp        KO_ISA_NAME(ko_isa_sum_exp)
#define ko_isa_sum_difference KO_ISA_NAME(ko_isa_sum_difference)
#define ko_isa_count_above    KO_ISA_NAME(ko_isa_count_above)

void ko_isa_exp(size_t n, const float *x, float *y);
void ko_isa_softplus(size_t n, float *x);
void ko_isa_silu(size_t n, const float *x, float *y);
void ko_isa_gelu(size_t n, float *x);
void ko_isa_gelu_tanh(size_t n, float *x);
void ko_isa_relu(size_t n, float *x);
void ko_isa_relu2(size_t n, float *x);
void ko_isa_scale_cap(size_t n, float scale, float cap, float *x);
void ko_isa_rms_norm(size_t n, const float *x, const float *weight, float eps, float *y);
void ko_isa_layer_norm(size_t n, const float *x, const float *weight, const float *bias, float eps,
                       float *y);
void ko_isa_start(size_t n, const float *bias, float *y);
void ko_isa_tap(size_t n, const float *w, const float *x, const uint8_t *removed, float *y);
void ko_isa_scan_prepare(int32_t n, int32_t d_state, const float *a, size_t ld_a, float *a2);
void ko_isa_scan_decay(int32_t n, int32_t d_state, const float *a2, const float *delta,
                       float *decay);
void ko_isa_scan_advance(const struct ko_scan_row *row, const float *decay);
void ko_isa_scan_step(const struct ko_scan_row *row, const float *a2, const float *delta);
void ko_isa_multiply(size_t n, const float *a, const float *b, float *y);
void ko_isa_scan_out(size_t n, const float *y, const float *u, const float *d, const float *gate,
                     float *out);
void ko_isa_select(size_t n, const uint8_t *removed, const float *a, const float *b, float *y);
void ko_isa_add_scaled(size_t n, float s, const float *x, float *y);
void ko_isa_attend(const struct ko_attend *args);
void ko_isa_attend_pack(const struct ko_attend_pack *args);
void ko_isa_attend_tile(const struct ko_attend_tile *tile);
void ko_isa_ssd(const struct ko_ssd *args);
void ko_isa_time_step(size_t n, const float *x, const float *bias, float low, float high, float *y);
void ko_isa_delta(const struct ko_delta_row *row);
void ko_isa_delta_products(const struct ko_delta_chunk *chunk);
void ko_isa_delta_chunk(const struct ko_delta_chunk *chunk, const struct ko_delta_columns *columns);
void ko_isa_unit(size_t n, const float *x, float eps, float scale, float *y);
void ko_isa_lru_gates(size_t n, const float *u, const float *scale, bool first, float *input,
                      float *decay);
void ko_isa_silu_mul(size_t n, const float *gate, const float *up, float *y);
void ko_isa_sigmoid_mul(size_t n, const float *gate, const float *up, float *y);
void ko_isa_gelu_mul(size_t n, const float *gate, const float *up, float *y);
void ko_isa_gelu_tanh_mul(size_t n, const float *gate, const float *up, float *y);
void ko_isa_rotate(size_t n, const float *cos, const float *sin, float *a, float *b);
void ko_isa_rotate_pairs(size_t n, const float *cos, const float *sin, float *x);
float ko_isa_max(size_t n, const float *x);
double ko_isa_sum_exp(size_t n, const float *x, float top, float *e);
double ko_isa_sum_difference(size_t n, const float *e, const float *clean, const float *x);
int32_t ko_isa_count_above(size_t n, const float *x, float low);

#endif
