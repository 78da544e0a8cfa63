#include "lathe/model/gguf/tensor_types.h"

#include <algorithm>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/text/split/regex.h"

namespace lathe {
namespace {

bool fits(const BlockType& type, const Shape& shape) {
  return shape[shape.rank() - 1] % type.block == 0;
}

// The next simpler type for rows that a type does not fit.
const BlockType& simpler(const BlockType& type) {
  static constexpr std::pair<std::string_view, std::string_view> kSimpler[] = {
      {"Q4_K", "Q5_0"}, {"Q5_K", "Q5_1"}, {"Q6_K", "Q8_0"}};
  for (const auto& [from, to] : kSimpler)
    if (type.name == from) return *find_block_type(to);
  return *find_block_type("F16");
}

// What a matrix gets if no pattern names it.
const BlockType& usual_type(const DiskTensor& tensor, const TypeChoice& choice,
                            std::string_view output) {
  const BlockType& f32 = *find_block_type("F32");
  if (const auto chosen = choice.by_name.find(tensor.name); chosen != choice.by_name.end())
    return *chosen->second;
  if (!choice.pure && stays_f32(tensor)) return f32;
  require(choice.type != nullptr, ErrorKind::kUsage, "type", "no type is given for '{}'",
          tensor.name);
  if (choice.pure) return *choice.type;
  const BlockType& finer = *find_block_type("Q6_K");
  if (tensor.name == output && choice.type->bits() < finer.bits()) return finer;
  return *choice.type;
}

struct Pattern {
  Regex regex;
  const std::string* source;
  const BlockType* type;
  bool found = false;

  bool matches(std::string_view name) {
    bool any = false;
    regex.for_each_match(name, [&](size_t, size_t) { any = true; });
    found = found || any;
    return any;
  }
};

std::vector<Pattern> compile(const TypeChoice& choice) {
  std::vector<Pattern> patterns;
  for (const auto& [source, type] : choice.overrides)
    patterns.push_back({Regex(source, "--tensor"), &source, type});
  return patterns;
}

}  // namespace

std::vector<TypedTensor> choose_types(const std::vector<DiskTensor>& tensors,
                                      const TypeChoice& choice) {
  const bool untied =
      std::ranges::any_of(tensors, [](const auto& t) { return t.name == "output.weight"; });
  const std::string_view output = untied ? "output.weight" : "token_embd.weight";
  std::vector<Pattern> patterns = compile(choice);
  std::vector<TypedTensor> out;
  for (const DiskTensor& tensor : tensors) {
    const bool matrix = tensor.shape.rank() > 1;
    const BlockType* named = nullptr;
    for (Pattern& pattern : patterns)
      if (pattern.matches(tensor.name)) named = pattern.type;
    require(named == nullptr || fits(*named, tensor.shape), ErrorKind::kUsage, "--tensor",
            "'{}' has rows of {}, which is no multiple of the {} elements of a block of {}; choose "
            "another type for it",
            tensor.name, tensor.shape[tensor.shape.rank() - 1], named ? named->block : 1,
            named ? named->name : "");
    const BlockType& wanted = named    ? *named
                              : matrix ? usual_type(tensor, choice, output)
                                       : *find_block_type("F32");
    const BlockType& type = fitting_type(wanted, tensor.shape);
    out.push_back({&tensor, &type, &type != &wanted});
  }
  for (const Pattern& pattern : patterns)
    require(pattern.found, ErrorKind::kUsage, "--tensor",
            "'{}' is in the name of no tensor; the names are like {}", *pattern.source,
            tensors.back().name);
  return out;
}

bool stays_f32(const DiskTensor& tensor) {
  return tensor.shape.rank() < 2 || tensor.name.find("ffn_gate_inp") != std::string::npos ||
         tensor.name.starts_with("position_embd") ||
         tensor.name.find("attn_rel_b") != std::string::npos;
}

const BlockType& fitting_type(const BlockType& wanted, const Shape& shape) {
  const BlockType* type = &wanted;
  while (!fits(*type, shape)) type = &simpler(*type);
  return *type;
}

const BlockType& writable_block_type(std::string_view name) {
  const BlockType* type = find_block_type(name);
  if (type != nullptr && type->encode != nullptr) return *type;
  fail_unknown_name(ErrorKind::kUsage, "type", name, writable_block_types());
}

std::vector<std::string> writable_block_types() {
  std::vector<std::string> names;
  for (const BlockType& type : block_types())
    if (type.encode != nullptr) names.emplace_back(type.name);
  return names;
}

int64_t bytes_in(const BlockType& type, const Shape& shape) {
  return shape.numel() / type.block * type.bytes;
}

}  // namespace lathe
