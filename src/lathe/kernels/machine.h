// The limits of this machine, with which every measured speed is compared.
#pragma once

#include "lathe/kernels/kernels.h"

namespace lathe::kernels {

// FLOP/s of one large product of oneDNN (4096 x 512 x 512, weights in the layout that suits it
// best) with all threads, the best of several runs; `dtype` f32 or bf16. Takes about 0.1 s.
double measure_matrix_rate(DType dtype);
// The same of activations by weights. Where matrix tiles multiply floats by weights in bf16, three products of bf16 are one
// (cpu/isa/matmul_tiles.cc): a third of that rate, which is above that of floats.
double measure_matrix_rate(DType activations, DType weights);
// Integer operations per second of oneDNN's u8·s8 -> s32 product at the same shape.
double measure_int8_rate();
// Bytes per second when all threads read a block much larger than the caches.
double measure_read_bandwidth();

}  // namespace lathe::kernels
