// What the products of 8-bit activations share between ck_a8.inc.h and the file of each instruction set.
#pragma once
#include <stdint.h>

// One group of inputs of some rows (tokens) and of one or two neighbouring panels of packed weights.
typedef struct {
  const int8_t *codes;   // activations of the first row
  int64_t row;           // codes from one row to the next
  const uint8_t *w;      // unsigned codes of the first panel
  int64_t panel_bytes;   // bytes from one panel to the next
  int64_t steps;         // steps of sixteen inputs
  const int32_t *start;  // the sum of each row starts here: −zero · Σ x_code takes the zero point out of the codes
} a8_group;
