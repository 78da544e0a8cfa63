// The weights of a folder that bitsandbytes quantised, as transformers saves them: beside the array
// "NAME.weight" of codes lie the arrays that say what they mean.
//
//   four bits   weight U8 (or any other type of as many bytes) [(n + 1)/2, 1];
//               weight.quant_state.bitsandbytes__nf4 or __fp4: JSON with shape, blocksize and, for
//                 quantised scales, nested_blocksize and nested_offset;
//               weight.quant_map F32 [16];
//               weight.absmax F32, or U8 with weight.nested_absmax F32 and
//                 weight.nested_quant_map F32 [256]
//   int8        weight I8 [O, I], SCB F32 [O], and perhaps weight_format U8, 0
//
// tensor/blocks/bitsandbytes.h has the formulas.
#pragma once

#include "lathe/io/array_reader.h"

namespace lathe {

// The arrays of `stored`; quantised ones in their shape as blocks of dtype "NF4", "FP4" or "INT8",
// without those that say what they mean. Throws kFormat, naming the array, where they contradict each
// other, one is missing, or there is a form that Lathe does not read.
class BitsandbytesReader : public ArrayReader {
 public:
  explicit BitsandbytesReader(std::shared_ptr<const ArrayReader> stored);

 private:
  std::shared_ptr<const ArrayReader> stored_;  // has the bytes of all other arrays
  std::vector<std::vector<std::byte>> blocks_;
};

}  // namespace lathe
