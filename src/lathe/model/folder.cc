#include "lathe/model/folder.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/io/atomic_file.h"
#include "lathe/io/json_file.h"
#include "lathe/io/mapped_file.h"
#include "lathe/io/model_files.h"
#include "lathe/io/safetensors.h"
#include "lathe/model/family.h"
#include "lathe/model/gguf/gguf_files.h"
#include "lathe/model/gguf/gguf_model.h"
#include "lathe/model/weight_map.h"
#include "lathe/nn/position/rope.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// Ids that end a text are a list where there are several.
void write_special_ids(Json& json, const ModelConfig& c) {
  for (const auto& [key, member] : kSpecialIds)
    if (c.*member) json[key] = *(c.*member);
  if (!c.other_eos_token_ids.empty()) json["eos_token_id"] = c.eos_token_ids();
  json.erase("other_eos_token_ids");
}

Json generation_config(const ModelConfig& c) {
  Json json = {{"_from_model_config", true}};
  write_special_ids(json, c);
  return json;
}

// rope_scaling is the older name of rope_parameters, and transformers prefers it where it finds
// both: carried along from another folder, it must not say what was true there.
void update_old_rope_key(Json& json, const ModelConfig& c) {
  if (!json.contains("rope_scaling")) return;
  Json block = json.value("rope_parameters", Json());
  if (block.contains("full_attention")) block = block["full_attention"];
  json["rope_scaling"] = c.position.get<RopeConfig>().scaling.stretches() ? block : Json();
}

Json config_json(const Transformer& model, const SaveOptions& options) {
  const ModelConfig& c = model.config();
  const Family& family = family_for(c);
  Json json = Json::object();
  if (!options.like.empty() && !is_gguf_file(options.like)) {
    const Json theirs = read_json_file(options.like / "config.json");
    if (theirs.value("model_type", std::string()) == family.name) json = theirs;
  }
  // Other names win over those that are written.
  for (const ConfigKey& key : family.other_keys) json.erase(std::string(key.theirs));
  // Families that have these write them.
  for (const char* key :
       {"torch_dtype", "original_max_position_embeddings", "partial_rotary_factor", "layer_types"})
    json.erase(key);
  json.update(write_family_config(family, c));
  update_old_rope_key(json, c);
  write_special_ids(json, c);
  json["dtype"] = name_of(options.dtype);
  return json;
}

struct ShardPlan {
  std::vector<std::vector<const DiskTensor*>> shards;
  int64_t total_bytes = 0;
};

ShardPlan plan_shards(const std::vector<DiskTensor>& tensors, const SaveOptions& options) {
  ShardPlan plan;
  int64_t used = 0;
  for (const DiskTensor& t : tensors) {
    const auto bytes =
        static_cast<int64_t>(static_cast<size_t>(t.shape.numel()) * size_of(options.dtype));
    if (plan.shards.empty() || used + bytes > options.shard_bytes) {
      plan.shards.emplace_back();
      used = 0;
    }
    plan.shards.back().push_back(&t);
    used += bytes;
    plan.total_bytes += bytes;
  }
  return plan;
}

void write_shard(const fs::path& path, const std::vector<const DiskTensor*>& tensors,
                 const SaveOptions& options) {
  const DType dtype = options.dtype;
  const TensorOf saved = options.values ? options.values : TensorOf(value_of);
  std::vector<SafetensorsWriter::Announced> announced;
  for (const DiskTensor* t : tensors)
    announced.push_back({t->name,
                         std::string(safetensors_name(dtype)),
                         {t->shape.dims().begin(), t->shape.dims().end()}});
  SafetensorsWriter writer(path, announced, {{"format", "pt"}});
  for (const DiskTensor* t : tensors) {
    const Tensor values = t->gather(saved).to(dtype);
    writer.write({values.raw(), values.bytes()});
  }
  writer.commit();
}

}  // namespace

void save_model(Transformer& model, const fs::path& folder, const SaveOptions& options) {
  for (const auto& [name, text] : model_files(model, options))
    write_file_atomically(folder / name, text);
  save_weights(model, folder, options);
}

void save_weights(Transformer& model, const fs::path& folder, const SaveOptions& options) {
  const auto tensors = map_weights(model);
  const ShardPlan plan = plan_shards(tensors, options);
  if (plan.shards.size() == 1) {
    write_shard(folder / "model.safetensors", plan.shards[0], options);
  } else {
    Json index = {{"metadata", {{"total_size", plan.total_bytes}}}, {"weight_map", Json::object()}};
    for (size_t i = 0; i < plan.shards.size(); ++i) {
      const std::string name =
          fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, plan.shards.size());
      write_shard(folder / name, plan.shards[i], options);
      for (const DiskTensor* t : plan.shards[i]) index["weight_map"][t->name] = name;
    }
    write_json_file(folder / "model.safetensors.index.json", index);
  }
}

ModelFiles model_files(const Transformer& model, const SaveOptions& options) {
  ModelFiles files;
  if (!options.like.empty()) files = tokenizer_files(options.like);
  files["config.json"] = json_file_text(config_json(model, options));
  const fs::path theirs = options.like / "generation_config.json";
  const bool carried = !options.like.empty() && fs::exists(theirs);
  files["generation_config.json"] =
      json_file_text(carried ? read_json_file(theirs) : generation_config(model.config()));
  return files;
}

namespace {

// The name under which a folder holds a tokenizer whose file has one of its own.
std::string name_in_folder(const fs::path& tokenizer) {
  const fs::path kind = tokenizer.extension();
  if (kind == ".json" || kind == ".model") return "tokenizer" + kind.string();
  if (kind == ".txt") return "vocab.txt";
  fail(
      ErrorKind::kConfig, tokenizer.string(),
      "is a tokenizer that a model's folder has no name for, expected a folder, or a file ending in "
      ".json, .model, .tiktoken or .txt; `lathe tokenizer convert --to json` makes one");
}

}  // namespace

ModelFiles tokenizer_files(const fs::path& from) {
  if (is_gguf_file(from)) return tokenizer_files_of_gguf(from);
  ModelFiles files;
  const auto belongs = [](const fs::path& path) {
    return model_file_kind(path.filename().string()) == ModelFileKind::kTokenizer;
  };
  if (!fs::is_directory(from)) {
    files[belongs(from) ? from.filename().string() : name_in_folder(from)] = read_file(from);
    return files;
  }
  for (const auto& entry : fs::directory_iterator(from))
    if (belongs(entry.path()) && entry.is_regular_file())
      files[entry.path().filename().string()] = read_file(entry.path());
  return files;
}

}  // namespace lathe
