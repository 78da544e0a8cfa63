// Which block type each tensor of a GGUF file gets.
//
//   vectors (norms, biases)     F32
//   matrices                    the wanted type
//   unless `pure`               routers of experts and learned positions F32; the output matrix (the
//                               token table where it is that) at least Q6_K, which costs little and
//                               errs least where errors are seen at once
//   rows no multiple of 256     Q4_K as Q5_0, Q5_K as Q5_1, Q6_K as Q8_0
//   nor of 32                   F16
//
// A pattern of `overrides` that is found in a tensor's name decides before all of this.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lathe/model/weight_map.h"
#include "lathe/tensor/blocks/block_type.h"

namespace lathe {

struct TypeChoice {
  const BlockType* type = nullptr;  // nullptr: `by_name` has all that does not stay F32
  bool pure = false;
  // Regular expressions, the last that matches counts.
  std::vector<std::pair<std::string, const BlockType*>> overrides = {};
  std::map<std::string, const BlockType*> by_name = {};
};

struct TypedTensor {
  const DiskTensor* tensor;
  const BlockType* type;
  bool is_fallback = false;  // its rows are no multiple of the wanted type's block
};

// Throws kUsage for a pattern that is no regular expression or is in no tensor's name, and for an
// override that a tensor's rows do not allow.
std::vector<TypedTensor> choose_types(const std::vector<DiskTensor>& tensors,
                                      const TypeChoice& choice);

// Whether a tensor is a vector, a router or a table of positions or distances, which stay F32 unless `pure`.
bool stays_f32(const DiskTensor& tensor);

// `wanted`, or the simpler type that rows of this shape get instead.
const BlockType& fitting_type(const BlockType& wanted, const Shape& shape);

// The type with this name, which Lathe can write; kUsage, listing those, for any other.
const BlockType& writable_block_type(std::string_view name);
std::vector<std::string> writable_block_types();

// Bytes that a tensor of this shape takes in the type.
int64_t bytes_in(const BlockType& type, const Shape& shape);

}  // namespace lathe
