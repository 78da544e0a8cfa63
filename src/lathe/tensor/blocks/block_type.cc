#include "lathe/tensor/blocks/block_type.h"

#include <algorithm>

#include "lathe/tensor/blocks/codecs.h"

namespace lathe {
namespace {

using namespace blocks;

constexpr BlockType kTable[] = {
    {0, "F32", 1, 4, decode_f32, encode_f32},
    {1, "F16", 1, 2, decode_f16, encode_f16},
    {2, "Q4_0", 32, 18, decode_q4_0, encode_q4_0, grid_q4_0, put_q4_0},
    {3, "Q4_1", 32, 20, decode_q4_1, encode_q4_1, grid_q4_1, put_q4_1},
    {6, "Q5_0", 32, 22, decode_q5_0, encode_q5_0, grid_q5_0, put_q5_0},
    {7, "Q5_1", 32, 24, decode_q5_1, encode_q5_1, grid_q5_1, put_q5_1},
    {8, "Q8_0", 32, 34, decode_q8_0, encode_q8_0, grid_q8_0, put_q8_0},
    {9, "Q8_1", 32, 36},
    {10, "Q2_K", 256, 84, decode_q2_k},
    {11, "Q3_K", 256, 110, decode_q3_k},
    {12, "Q4_K", 256, 144, decode_q4_k, encode_q4_k, grid_q4_k, put_q4_k},
    {13, "Q5_K", 256, 176, decode_q5_k, encode_q5_k, grid_q5_k, put_q5_k},
    {14, "Q6_K", 256, 210, decode_q6_k, encode_q6_k, grid_q6_k, put_q6_k},
    {15, "Q8_K", 256, 292},
    {16, "IQ2_XXS", 256, 66},
    {17, "IQ2_XS", 256, 74},
    {18, "IQ3_XXS", 256, 98},
    {19, "IQ1_S", 256, 50},
    {20, "IQ4_NL", 32, 18, decode_iq4_nl},
    {21, "IQ3_S", 256, 110},
    {22, "IQ2_S", 256, 82},
    {23, "IQ4_XS", 256, 136},
    {24, "I8", 1, 1},
    {25, "I16", 1, 2},
    {26, "I32", 1, 4},
    {27, "I64", 1, 8},
    {28, "F64", 1, 8},
    {29, "IQ1_M", 256, 56},
    {30, "BF16", 1, 2, decode_bf16, encode_bf16},
    {34, "TQ1_0", 256, 54},
    {35, "TQ2_0", 256, 66},
    {39, "MXFP4", 32, 17},
    {40, "NVFP4", 64, 36},
    {41, "Q1_0", 128, 18},
};

// Of other files than GGUF.
constexpr BlockType kOthers[] = {
    {kNoGgufType, "NF4", 32, 20, decode_nf4},
    {kNoGgufType, "FP4", 32, 20, decode_fp4},
    {kNoGgufType, "INT8", 4, 8, decode_int8},
};

template <class Same>
const BlockType* find_if(std::span<const BlockType> types, Same same) {
  const auto at = std::ranges::find_if(types, same);
  return at == types.end() ? nullptr : &*at;
}

}  // namespace

std::span<const BlockType> block_types() { return kTable; }

const BlockType* find_block_type(uint32_t id) {
  return find_if(kTable, [&](const BlockType& type) { return type.id == id; });
}

const BlockType* find_block_type(std::string_view name) {
  const auto named = [&](const BlockType& type) { return type.name == name; };
  const BlockType* of_gguf = find_if(kTable, named);
  return of_gguf != nullptr ? of_gguf : find_if(kOthers, named);
}

std::vector<std::string> decodable_block_types() {
  std::vector<std::string> names;
  for (const BlockType& type : kTable)
    if (type.decode != nullptr && !type.is_plain()) names.emplace_back(type.name);
  return names;
}

}  // namespace lathe
