// What the reader and the writer of GGUF files both know about the layout. Internal to io/.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "lathe/tensor/blocks/block_type.h"
#include "lathe/io/gguf.h"

namespace lathe {

inline constexpr std::string_view kGgufMagic = "GGUF";
inline constexpr uint32_t kGgufAlignment = 32;
inline constexpr uint32_t kGgufMaxDimensions = 4;

// Bytes of a number; 0 for strings and lists.
uint64_t gguf_size(GgufType type);
// The fewest bytes that a value of this type takes.
uint64_t gguf_min_size(GgufType type);

// Bytes of a tensor of this row-major shape. Throws kFormat, naming `where` and the tensor, when
// the size overflows or a row is not a whole number of blocks.
uint64_t gguf_tensor_bytes(std::string_view where, std::string_view name, const BlockType& type,
                           std::span<const int64_t> shape);

}  // namespace lathe
