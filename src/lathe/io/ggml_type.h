// The element types of tensors in GGUF files. A row is stored in blocks of some elements, and a
// block takes a fixed number of bytes: F32 has blocks of one element, Q4_0 has 32 elements in 18
// bytes.
//
// Numbers and sizes: ggml.h and ggml-common.h of https://github.com/ggml-org/ggml.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace lathe {

struct GgmlType {
  uint32_t id;            // in files
  std::string_view name;  // "F32", "Q4_K"; where safetensors has the type, its name there
  int64_t block;          // elements
  int64_t bytes;          // of a block
};

extern const std::span<const GgmlType> kGgmlTypes;

// nullptr for what is not in the table.
const GgmlType* find_ggml_type(uint32_t id);
const GgmlType* find_ggml_type(std::string_view name);

}  // namespace lathe
