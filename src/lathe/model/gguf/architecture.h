// The architectures of GGUF files (`general.architecture`): how their keys and tensors correspond to
// ModelConfig and to this program's parameters. Like a family (model/family.h), an architecture is
// data: a table of keys, tables of weights, and for what these cannot say a function each way.
//
// Keys and names: docs/gguf.md of https://github.com/ggml-org/ggml, and what llama.cpp's converter
// writes. Where llama.cpp computes something that no key says (normalised expert weights, the scale
// of Gemma's scores), `read` sets it.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/model/family.h"
#include "lathe/model/weight_map.h"

namespace lathe {

// What a file says about its model.
struct GgufDescription {
  // The values of the keys, without the architecture's name before them: "embedding_length".
  nlohmann::ordered_json keys = nlohmann::ordered_json::object();
  int64_t vocabulary = 0;         // rows of the token table
  std::set<std::string> tensors;  // names
  // Numbers that belong to the configuration, although they are stored as tensors: divisors of
  // rotary frequencies.
  std::map<std::string, std::vector<float>> tables;

  bool has(const std::string& tensor) const { return tensors.contains(tensor); }
};

// A key under the name that it has in ModelConfig: {"embedding_length", "hidden_size"}.
struct GgufKey {
  std::string_view theirs, ours;
};

struct GgufArchitecture {
  std::string_view name;  // "llama"
  // The families that are written as this architecture, or of which those models are that
  // `is_written_as` accepts; the first whose `is_read_as` is absent or true is what a file is read
  // as.
  struct Reading {
    const Family& (*family)();
    bool (*is_read_as)(const GgufDescription&) = nullptr;
    bool (*is_written_as)(const ModelConfig&) = nullptr;
  };
  std::vector<Reading> families;
  std::vector<std::span<const GgufKey>> keys;
  WeightTables weights;
  // Weights whose names depend on the configuration, in addition to `weights`.
  std::span<const WeightRule> (*weights_of)(const ModelConfig& config) = nullptr;
  // Weights that a file may have in another form than the one that is written; nullptr: the latter.
  std::span<const WeightRule> (*weights_in)(const GgufDescription* file) = nullptr;
  void (*read)(const GgufDescription& theirs, nlohmann::ordered_json& ours) = nullptr;
  void (*write)(const ModelConfig& config, GgufDescription& theirs) = nullptr;
};

std::span<const GgufArchitecture* const> gguf_architectures();
// Throws kFormat, naming `where` and the known ones, for another name.
const GgufArchitecture& find_gguf_architecture(std::string_view name, std::string_view where);
// The architecture as which this model is written; throws kConfig if there is none.
const GgufArchitecture& gguf_architecture_of(const ModelConfig& config);

// Throws kFormat, naming `where`, for a key that is missing or has a value that cannot be; kConfig
// for a setting that Lathe does not support.
ModelConfig read_gguf_config(const GgufArchitecture& architecture, const GgufDescription& theirs,
                             std::string_view where);
// Throws kConfig, naming the keys, for a model that the architecture's keys cannot express.
GgufDescription describe_as_gguf(const GgufArchitecture& architecture, Transformer& model);

// With the names of the architecture (weight_map.h): those of this file, or those that are written.
std::vector<DiskTensor> map_weights(Transformer& model, const GgufArchitecture& architecture,
                                    const GgufDescription* file = nullptr);

// One function per architecture, in the files of this folder.
const GgufArchitecture& gguf_llama();
const GgufArchitecture& gguf_qwen2();
const GgufArchitecture& gguf_qwen3();
const GgufArchitecture& gguf_qwen2_moe();
const GgufArchitecture& gguf_qwen3_moe();
const GgufArchitecture& gguf_phi3();
const GgufArchitecture& gguf_olmo2();
const GgufArchitecture& gguf_gpt2();
const GgufArchitecture& gguf_gemma2();
const GgufArchitecture& gguf_gemma3();
const GgufArchitecture& gguf_gpt_neox();
const GgufArchitecture& gguf_bloom();
const GgufArchitecture& gguf_falcon();
const GgufArchitecture& gguf_command_r();
const GgufArchitecture& gguf_glm4();
const GgufArchitecture& gguf_deepseek2();
const GgufArchitecture& gguf_t5();

}  // namespace lathe
