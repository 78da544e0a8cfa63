// Model families: how a config.json and the tensor names of a Hugging Face folder correspond to
// ModelConfig and to this program's parameters.
//
// A family is data: its defaults, a table of keys, a table of weights, one file in families/ and
// one line of the catalogue in family.cc. Reading, writing, the spellings that a recipe may use and
// the question whether a model can be saved in a family's format all follow from the tables.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/model/model_config.h"

namespace lathe {

// How config.json spells a value if not as ModelConfig does. `write` returns null for a value that
// the format cannot express.
struct Spelling {
  nlohmann::ordered_json (*read)(const nlohmann::ordered_json& theirs);
  nlohmann::ordered_json (*write)(const nlohmann::ordered_json& ours);
};

// A key of config.json under the name it has in ModelConfig: {"n_embd", "hidden_size"}.
struct ConfigKey {
  std::string_view theirs, ours;
  const Spelling* spelling = nullptr;
  std::string_view absent = {};  // JSON literal: the value when the key is missing, if not ours
};

// A setting of which Lathe supports only one value: {"scale_attn_weights", "true"}. It is written,
// and any other value is refused when it is read.
struct FixedKey {
  std::string_view theirs, value;  // JSON literal
};

enum class DiskLayout : uint8_t {
  kPlain,
  kTransposed,    // weights are stored [inputs, outputs]
  kGroupedHeads,  // a fused qkv whose rows are, for each key/value head: its queries, its key, its
                  // value
  kPairedRows,    // rows i and i + D/2 of each head, which rotate together, are next to each other
  kPlusOne,       // a norm whose weight is an offset from 1 is stored with the 1
  // Of the matrix that makes keys and values of all heads in latent attention:
  kKeysOfHeads,    // the keys' rows, [heads, inputs, keys]
  kValuesOfHeads,  // the values' rows, [heads, values, inputs]
};

// A module (every parameter right below it) or a single parameter, under its name on disk and in
// this program. In both, "{}" is the layer and "{e}" (on disk only) the expert. A rule whose module
// the model does not have (biases, an untied head) binds nothing.
struct WeightRule {
  std::string_view disk, ours;
  int part = -1;  // index into Parameter::parts; -1: the whole
  DiskLayout layout = DiskLayout::kPlain;
  // > 0: expert e has part + e·parts_per_expert. Without "{e}" in `disk` the experts are one tensor
  // [experts, rows, columns].
  int parts_per_expert = 0;
};

// The matrix of a multi-token prediction (MTP) module that combines its inputs; a family whose
// rules contain it can save such modules.
inline constexpr std::string_view kMtpJoin = "further.{}.join";

// Another ending that a tensor's name may have, as in older checkpoints.
struct OldEnding {
  std::string_view now, before;
};

struct Family {
  std::string_view name;          // model_type
  std::string_view architecture;  // config.json's architectures[0]
  std::string_view summary;
  std::string_view source;  // paper, arXiv id
  ModelConfig (*defaults)();
  std::vector<std::span<const ConfigKey>> keys;
  std::span<const FixedKey> fixed = {};
  // Other names of the same settings, which take precedence over `keys` if both are given: names of
  // older releases and transformers' aliases. They are read but never written.
  std::span<const ConfigKey> other_keys = {};
  std::vector<std::span<const std::string_view>> hook_keys = {};  // those that only read() reads
  std::vector<std::span<const WeightRule>> weights;               // empty: this program's own names
  // What the tables cannot express: from config.json to a tree of ModelConfig's keys, and back.
  void (*read)(const nlohmann::ordered_json& theirs, nlohmann::ordered_json& ours) = nullptr;
  void (*write)(const ModelConfig& config, nlohmann::ordered_json& theirs) = nullptr;
  // Weights whose names depend on the configuration, in addition to `weights`.
  std::span<const WeightRule> (*weights_of)(const ModelConfig& config) = nullptr;
  // Endings of tensors in a folder that have no place in the model: copies of other tensors, heads
  // of other tasks.
  std::span<const std::string_view> ignored = {};
  std::span<const OldEnding> old_endings = {};
};

// The family's defaults under its name.
ModelConfig default_config(const Family& family);

// config.json -> ModelConfig. Throws kConfig for a setting that Lathe does not support, and kFormat
// for one that is missing or has the wrong type.
ModelConfig read_family_config(const Family& family, const nlohmann::ordered_json& json);
// The keys of a config.json that are in no table of the family and are not known to be without
// effect on the result ("use_cache"), in the order of the file; keys of rotary settings are named
// as in "rope_scaling.mystery".
std::vector<std::string> unknown_config_keys(const Family& family,
                                             const nlohmann::ordered_json& json);
nlohmann::ordered_json write_family_config(const Family& family, const ModelConfig& config);
// Whether the family can express `config` exactly, so that it is the same after writing and
// reading.
bool can_express(const Family& family, const ModelConfig& config);
// Whether a config.json says that bitsandbytes quantised the weights. Throws kConfig for every other
// method.
bool is_bitsandbytes(const nlohmann::ordered_json& theirs);
// A tree of ModelConfig's keys without those that two models computing the same may differ in: how
// they are drawn and trained, and special ids.
void drop_what_does_not_compute(nlohmann::ordered_json& config);
// tree["norm"]["eps"] for "norm.eps"; makes the groups on the way.
nlohmann::ordered_json& at_path(nlohmann::ordered_json& tree, std::string_view path);
// A recipe's [model] section with the family's spellings replaced by those of ModelConfig.
nlohmann::ordered_json rename_keys(const Family& family, const nlohmann::ordered_json& section);

std::span<const Family* const> families();
std::vector<std::string> family_names();
const Family& find_family(std::string_view model_type);  // Error kConfig
// The family in which `config` can be saved: its own if that can express it, else any other, else
// "lathe".
const Family& family_for(const ModelConfig& config);

// One function per file in families/.
const Family& llama_family();
const Family& gpt2_family();
const Family& gpt_neo_family();
const Family& gptj_family();
const Family& gpt_neox_family();
const Family& opt_family();
const Family& bloom_family();
const Family& falcon_family();
const Family& mistral_family();
const Family& mixtral_family();
const Family& qwen2_family();
const Family& qwen3_family();
const Family& qwen2_moe_family();
const Family& qwen3_moe_family();
const Family& deepseek_v2_family();
const Family& deepseek_v3_family();
const Family& gemma2_family();
const Family& gemma3_family();
const Family& phi3_family();
const Family& olmo2_family();
const Family& cohere_family();
const Family& glm4_family();
const Family& chatglm_family();
const Family& t5_family();
const Family& switch_family();
const Family& bert_family();
const Family& minimind_family();
const Family& lathe_family();

}  // namespace lathe
