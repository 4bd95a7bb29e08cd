/* SPDX-License-Identifier: Apache-2.0 */
/* The byte-level alphabet of GPT-2: a printable character for every byte. */
#ifndef KO_TOKENIZER_BYTE_LEVEL_H
#define KO_TOKENIZER_BYTE_LEVEL_H

#include <stdint.h>

/* The character of a byte; `bytes_to_unicode` in gpt-2/src/encoder.py. */
uint32_t ko_byte_level_character(unsigned char byte);

#endif
