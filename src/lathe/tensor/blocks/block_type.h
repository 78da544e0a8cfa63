// How the rows of a matrix may be stored in fewer bits: in blocks of some elements, each with its
// own scale. F32 has blocks of one element, Q4_0 has 32 elements in 18 bytes. This is the one list
// of the types that GGUF files name, with what can be done with each.
//
// Layouts, bit by bit: docs/quantisation.md. Numbers, sizes and the rounding of the simple types:
// ggml.h, ggml-common.h and gguf-py of https://github.com/ggml-org/ggml.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

// What the scales of a block allow an element to be: scale·q + offset, q from lowest to highest.
struct BlockGrid {
  float scale = 0, offset = 0;
  int lowest = 0, highest = 0;
};

constexpr uint32_t kNoGgufType = UINT32_MAX;

struct BlockType {
  uint32_t id;            // in GGUF files; kNoGgufType for the formats of bitsandbytes.h
  std::string_view name;  // "F32", "Q4_K"; where safetensors has the type, its name there
  int64_t block;          // elements
  int64_t bytes;          // of a block

  // Whole blocks -> their elements. nullptr: Lathe only knows the type's size. All functions are
  // thread-safe.
  void (*decode)(std::span<const std::byte> blocks, std::span<float> elements) = nullptr;

  // Elements, a whole number of blocks of them and all finite, -> blocks. nullptr: Lathe does not
  // write the type.
  //
  // `importance` is empty, or has one weight w >= 0 for each element: the mean of the squared inputs
  // that it is multiplied with. Then scales are searched for that make sum w·(x - decoded)² small.
  // Without it, F32 to Q8_0 round as the reference quantiser of the format does, and the types with
  // two levels of scales (_K) search with w = 1.
  void (*encode)(std::span<const float> elements, std::span<const float> importance,
                 std::span<std::byte> blocks) = nullptr;

  // Of the types that have scales and that Lathe writes, one block at a time: the grid of each element,
  // and other integers q on it in the place of the block's.
  void (*grid)(std::span<const std::byte> block, std::span<BlockGrid> elements) = nullptr;
  void (*put)(std::span<const int> integers, std::span<std::byte> block) = nullptr;

  bool is_plain() const { return block == 1; }  // one element, no scale
  double bits() const { return 8.0 * static_cast<double>(bytes) / static_cast<double>(block); }
};

// Those that GGUF files name.
std::span<const BlockType> block_types();

// nullptr for what there is not. Only the second finds types without an id.
const BlockType* find_block_type(uint32_t id);
const BlockType* find_block_type(std::string_view name);

// The names of the types, but those with one element in a block, that can be decoded.
std::vector<std::string> decodable_block_types();

}  // namespace lathe
