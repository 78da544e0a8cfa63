// The codecs that block_type.cc lists; each is next to the description of its layout. Internal to
// tensor/blocks.
#pragma once

#include <cstring>
#include <span>
#include <string_view>

#include "lathe/tensor/blocks/block_type.h"
#include "lathe/tensor/dtype.h"

namespace lathe::blocks {

using Elements = std::span<float>;
using ConstElements = std::span<const float>;
using Bytes = std::span<std::byte>;
using ConstBytes = std::span<const std::byte>;

using Grids = std::span<BlockGrid>;
using ConstIntegers = std::span<const int>;

#define LATHE_BLOCK_CODEC(name)                    \
  void decode_##name(ConstBytes in, Elements out); \
  void encode_##name(ConstElements in, ConstElements importance, Bytes out);

LATHE_BLOCK_CODEC(f32)
LATHE_BLOCK_CODEC(f16)
LATHE_BLOCK_CODEC(bf16)
LATHE_BLOCK_CODEC(q8_0)
LATHE_BLOCK_CODEC(q4_0)
LATHE_BLOCK_CODEC(q4_1)
LATHE_BLOCK_CODEC(q5_0)
LATHE_BLOCK_CODEC(q5_1)
LATHE_BLOCK_CODEC(q4_k)
LATHE_BLOCK_CODEC(q5_k)
LATHE_BLOCK_CODEC(q6_k)
#undef LATHE_BLOCK_CODEC

#define LATHE_BLOCK_GRID(name)                   \
  void grid_##name(ConstBytes block, Grids out); \
  void put_##name(ConstIntegers q, Bytes block);

LATHE_BLOCK_GRID(q8_0)
LATHE_BLOCK_GRID(q4_0)
LATHE_BLOCK_GRID(q4_1)
LATHE_BLOCK_GRID(q5_0)
LATHE_BLOCK_GRID(q5_1)
LATHE_BLOCK_GRID(q4_k)
LATHE_BLOCK_GRID(q5_k)
LATHE_BLOCK_GRID(q6_k)
#undef LATHE_BLOCK_GRID

void decode_q2_k(ConstBytes in, Elements out);
void decode_q3_k(ConstBytes in, Elements out);
void decode_iq4_nl(ConstBytes in, Elements out);

// bitsandbytes.h
void decode_nf4(ConstBytes in, Elements out);
void decode_fp4(ConstBytes in, Elements out);
void decode_int8(ConstBytes in, Elements out);

// Calls f(block, elements) for every block: a Layout, of which `bytes` is an array, and its elements.
template <class Layout, size_t kElements, class F>
void for_each_block(ConstBytes in, Elements out, F&& f) {
  for (size_t b = 0; b * sizeof(Layout) < in.size(); ++b) {
    Layout block;
    std::memcpy(&block, in.data() + b * sizeof(Layout), sizeof(Layout));
    f(block, out.data() + b * kElements);
  }
}

// One block, changed by f(Layout&).
template <class Layout, class F>
void change_block(Bytes bytes, F&& f) {
  Layout block;
  std::memcpy(&block, bytes.data(), sizeof(Layout));
  f(block);
  std::memcpy(bytes.data(), &block, sizeof(Layout));
}
template <class Layout>
Layout read_block(ConstBytes bytes) {
  Layout block;
  std::memcpy(&block, bytes.data(), sizeof(Layout));
  return block;
}

// f(elements, importance or nullptr) -> Layout, for every block.
template <class Layout, size_t kElements, class F>
void make_each_block(ConstElements in, ConstElements importance, Bytes out, F&& f) {
  for (size_t b = 0; b * kElements < in.size(); ++b) {
    const size_t first = b * kElements;
    const Layout block =
        f(in.data() + first, importance.empty() ? nullptr : importance.data() + first);
    std::memcpy(out.data() + b * sizeof(Layout), &block, sizeof(Layout));
  }
}

}  // namespace lathe::blocks
