#include "lathe/model/folder.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/base/process.h"
#include "lathe/base/strings.h"
#include "lathe/io/atomic_file.h"
#include "lathe/io/json_file.h"
#include "lathe/io/mapped_file.h"
#include "lathe/io/model_files.h"
#include "lathe/io/safetensors.h"
#include "lathe/model/family.h"
#include "lathe/model/stored_weights.h"
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
  if (!options.like.empty()) {
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

const Tensor& value_of(Parameter& p) { return p.value.tensor(); }

void write_shard(const fs::path& path, const std::vector<const DiskTensor*>& tensors,
                 const SaveOptions& options) {
  const DType dtype = options.dtype;
  const TensorOf saved = options.values ? options.values : value_of;
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

namespace {

// The key stands in config.json whether or not the modules were saved: transformers drops them.
bool lacks_mtp_modules(const ArrayReader& weights, const Family& family, const ModelConfig& c) {
  if (c.num_nextn_predict_layers == 0) return false;
  for (const auto& table : family.weights)
    for (const WeightRule& rule : table)
      if (rule.ours == kMtpJoin)
        return find_array(weights, name_on_disk(rule, c.num_hidden_layers) + ".weight", family) ==
               nullptr;
  return false;
}

// What the arrays that lie in a folder say beside its config.json.
void follow_weights(const ArrayReader& weights, const Family& family, ModelConfig& c) {
  if (lacks_mtp_modules(weights, family, c)) c.num_nextn_predict_layers = 0;
  if (!c.tie_word_embeddings || !has_head_of_its_own(weights, family)) return;
  c.logit_scale = c.head_scale();
  c.tie_word_embeddings = c.scale_tied_head = false;
}

// Small models often keep the special ids of the family's usual tokenizer; an id that cannot occur
// means none.
void drop_impossible_ids(ModelConfig& c) {
  std::vector<int64_t> ends = c.eos_token_ids();
  std::erase_if(ends, [&](int64_t id) { return id >= c.vocab_size; });
  for (const auto& [key, member] : kSpecialIds)
    if (auto& id = c.*member; id && *id >= c.vocab_size) id.reset();
  if (ends.empty()) return c.other_eos_token_ids.clear();
  c.eos_token_id = ends.front();
  c.other_eos_token_ids.assign(ends.begin() + 1, ends.end());
}

// "a, b, c and 7 more"
std::string some_of(const std::vector<std::string>& names) {
  constexpr size_t kMost = 6;
  if (names.size() <= kMost) return join(names, ", ");
  return fmt::format("{} and {} more",
                     join(std::vector(names.begin(), names.begin() + kMost), ", "),
                     names.size() - kMost);
}

void warn_of_unknown_keys(const Family& family, const Json& json, const fs::path& path,
                          const Log& log) {
  const auto unknown = unknown_config_keys(family, json);
  if (!unknown.empty())
    log.warn("{}: these keys are unknown for {} models and are ignored: {}", path.string(),
             family.name, join(unknown, ", "));
}

void warn_of_unused(const StoredWeights& w, const fs::path& folder, const Log& log) {
  if (!w.unused.empty())
    log.warn(
        "{}: the model that config.json describes does not use {} tensors, which are ignored: {}",
        folder.string(), w.unused.size(), some_of(w.unused));
}

const Family& family_of(const Json& json, const fs::path& path) {
  require(json.is_object() && json.contains("model_type") && json["model_type"].is_string(),
          ErrorKind::kFormat, path.string(),
          "no model_type; expected the config.json of a Hugging Face model folder");
  return find_family(json["model_type"].get<std::string>());
}

}  // namespace

ModelConfig read_model_config(const fs::path& folder, const Log& log) {
  const fs::path path = folder / "config.json";
  const Json json = read_json_file(path);
  const Family& family = family_of(json, path);
  try {
    ModelConfig config = read_family_config(family, json);
    drop_impossible_ids(config);
    validate(config);
    const bool asks = config.tie_word_embeddings || config.num_nextn_predict_layers > 0;
    if (asks && has_weights(folder)) follow_weights(*open_weights(folder), family, config);
    warn_of_unknown_keys(family, json, path, log);
    return config;
  } catch (const nlohmann::json::exception& e) {  // a missing key or a value of another type
    const std::string_view what = e.what();       // "[json.exception.out_of_range.403] key …"
    fail(ErrorKind::kFormat, path.string(),
         "a key that {} models need is missing or has the wrong type: {}; compare the file with "
         "that of a published model",
         family.name, what.substr(std::min(what.size(), what.find("] ") + 2)));
  }
}

namespace {

// Into parameters that have memory of their own.
void copy_weights(const StoredWeights& w) {
  parallel_dynamic(static_cast<int64_t>(w.places.size()), [&](int64_t i, int) {
    const auto at = static_cast<size_t>(i);
    w.places[at].scatter(w.arrays[at], value_of);
  });
}

bool readable_as(const Parameter& p, DType stored, DType wanted) {
  return stored == wanted || (p.widened_in_use && stored == DType::kBF16 && wanted == DType::kF32);
}

// Memory for parameters in the file's type where that can be read, and copies. Where `map` is set,
// parameters that lie in the file as they are read become views of it instead.
void place_weights(Transformer& model, const StoredWeights& w, DType wanted, bool map) {
  model.set_activations(wanted);
  StoredWeights rest{w.reader, {}, {}, {}};
  for (size_t i = 0; i < w.places.size(); ++i) {
    const DiskTensor& place = w.places[i];
    const DType stored = w.arrays[i].dtype();
    bool mapped = map && place.pieces.size() == 1 && !place.transposed;
    for (const WeightPiece& piece : place.pieces) {
      Parameter& p = *piece.parameter;
      const bool readable = readable_as(p, stored, wanted);
      mapped = mapped && readable && piece.groups == 1 && piece.rows == p.shape[0];
      const DType type = readable ? stored : wanted;
      const Tensor& value = p.value.tensor();
      if (!value.defined())
        p.value = mapped ? w.arrays[i] : Tensor(p.shape, type);
      else if (value.dtype() != type && value.dtype() != wanted)
        // Arrays that share a parameter differ in type: the wanted one holds both without loss.
        p.value = Tensor(p.shape, wanted);
    }
    if (mapped) continue;
    rest.places.push_back(place);
    rest.arrays.push_back(w.arrays[i]);
  }
  copy_weights(rest);
}

}  // namespace

// `model` was made from read_model_config() of the folder, or has other values for training only.
void load_weights(Transformer& model, const fs::path& folder, const Log& log) {
  const fs::path path = folder / "config.json";
  const auto weights =
      find_weights(model, family_of(read_json_file(path), path), open_weights(folder));
  copy_weights(weights);
  warn_of_unused(weights, folder, log);
}

std::unique_ptr<Transformer> load_model(const fs::path& folder, const LoadOptions& options) {
  auto model = std::make_unique<Transformer>(read_model_config(folder, options.log));
  if (options.residence == Residence::kOwn) {
    model->allocate(options.dtype, options.device);
    load_weights(*model, folder, options.log);
    return model;
  }
  require(options.device == Device::kCpu, ErrorKind::kDevice, "weights",
          "only the cpu can use weights as stored; the reference device computes in f64");
  const auto weights =
      find_weights(*model, find_family(model->config().model_type), open_weights(folder));
  place_weights(*model, weights, options.dtype, options.residence == Residence::kMapped);
  warn_of_unused(weights, folder, options.log);
  return model;
}

std::unique_ptr<Transformer> load_for_inference(const fs::path& folder, DType dtype,
                                                const Log& log) {
  auto model = std::make_unique<Transformer>(read_model_config(folder, log));
  const auto weights =
      find_weights(*model, find_family(model->config().model_type), open_weights(folder));
  size_t bytes = 0;
  for (const Tensor& array : weights.arrays) bytes += array.bytes();
  const auto memory = static_cast<size_t>(physical_memory_bytes());
  place_weights(*model, weights, dtype, /*map=*/memory > 0 && bytes > memory / 2);
  warn_of_unused(weights, folder, log);
  return model;
}

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
