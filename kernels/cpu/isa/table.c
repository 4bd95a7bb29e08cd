/* SPDX-License-Identifier: Apache-2.0 */
/* Puts the functions of one instruction set into a table, under the name of that instruction set.
   isa.c chooses among these tables when the program runs. */
#include "kernels/cpu/isa/parts.h"

#define ko_cpu_isa_table KO_ISA_NAME(ko_cpu_isa)

#if defined(__AVX512F__)
#define ISA_TITLE "x86-64-v4"
#elif defined(__AVX2__)
#define ISA_TITLE "x86-64-v3"
#elif defined(__x86_64__)
#define ISA_TITLE "x86-64"
#else
#define ISA_TITLE "the compiler's default"
#endif

extern const struct ko_cpu_isa ko_cpu_isa_table;

const struct ko_cpu_isa ko_cpu_isa_table = {
    .name = ISA_TITLE,
    .exp = ko_isa_exp,
    .softplus = ko_isa_softplus,
    .silu = ko_isa_silu,
    .gelu = ko_isa_gelu,
    .gelu_tanh = ko_isa_gelu_tanh,
    .relu = ko_isa_relu,
    .relu2 = ko_isa_relu2,
    .scale_cap = ko_isa_scale_cap,
    .rms_norm = ko_isa_rms_norm,
    .layer_norm = ko_isa_layer_norm,
    .start = ko_isa_start,
    .tap = ko_isa_tap,
    .scan_prepare = ko_isa_scan_prepare,
    .scan_decay = ko_isa_scan_decay,
    .scan_advance = ko_isa_scan_advance,
    .scan_step = ko_isa_scan_step,
    .multiply = ko_isa_multiply,
    .scan_out = ko_isa_scan_out,
    .select = ko_isa_select,
    .add_scaled = ko_isa_add_scaled,
    .attend = ko_isa_attend,
    .attend_pack = ko_isa_attend_pack,
    .attend_tile = ko_isa_attend_tile,
    .ssd = ko_isa_ssd,
    .time_step = ko_isa_time_step,
    .delta = ko_isa_delta,
    .delta_products = ko_isa_delta_products,
    .delta_chunk = ko_isa_delta_chunk,
    .unit = ko_isa_unit,
    .lru_gates = ko_isa_lru_gates,
    .silu_mul = ko_isa_silu_mul,
    .sigmoid_mul = ko_isa_sigmoid_mul,
    .gelu_mul = ko_isa_gelu_mul,
    .gelu_tanh_mul = ko_isa_gelu_tanh_mul,
    .rotate = ko_isa_rotate,
    .rotate_pairs = ko_isa_rotate_pairs,
    .max = ko_isa_max,
    .sum_exp = ko_isa_sum_exp,
    .sum_difference = ko_isa_sum_difference,
    .count_above = ko_isa_count_above,
};
