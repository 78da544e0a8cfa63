#include "lathe/model/folder.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/base/process.h"
#include "lathe/io/atomic_file.h"
#include "lathe/io/json_file.h"
#include "lathe/io/mapped_file.h"
#include "lathe/io/safetensors.h"
#include "lathe/model/family.h"
#include "lathe/model/weight_map.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

bool ends_with_any(std::string_view name, std::span<const std::string_view> ends) {
  return std::ranges::any_of(ends, [&](std::string_view end) { return name.ends_with(end); });
}

// Buffers that older releases of transformers saved beside the weights: constants that the model
// makes itself.
constexpr std::string_view kConstantBuffers[] = {".attn.bias", ".attn.masked_bias",
                                                 ".rotary_emb.inv_freq"};

Tensor tensor_of(const ArraySpan& array, std::shared_ptr<const void> owner) {
  const auto dtype = dtype_from_safetensors(array.dtype);
  require(dtype && is_floating(*dtype), ErrorKind::kFormat, "weights",
          "'{}' has dtype {}, expected F32, F16, BF16 or F64", array.name, array.dtype);
  const Shape shape{std::span<const int64_t>(array.shape)};
  // Bytes in the file may lie at any address; tensors are aligned.
  if (reinterpret_cast<uintptr_t>(array.bytes.data()) % size_of(*dtype) == 0)
    return Tensor::borrow(array.bytes.data(), shape, *dtype, std::move(owner));
  Tensor copy(shape, *dtype);
  std::copy(array.bytes.begin(), array.bytes.end(), copy.raw());
  return copy;
}

const ArraySpan& find_array(const ArrayReader& reader, const std::string& name,
                            const Family& family) {
  const std::string_view prefix = family.optional_prefix;
  const ArraySpan* found = reader.find(name);
  if (found == nullptr && !prefix.empty() && name.starts_with(prefix))
    found = reader.find(name.substr(prefix.size()));
  for (const auto& [now, before] : family.old_endings)
    if (found == nullptr && name.ends_with(now))
      found = reader.find(name.substr(0, name.size() - now.size()) + std::string(before));
  require(found != nullptr, ErrorKind::kFormat, "weights",
          "tensor '{}' is missing; the folder's weights do not belong to its config.json, or the "
          "download is "
          "incomplete",
          name);
  return *found;
}

void refuse_unexpected(const ArrayReader& reader, const std::set<std::string>& used,
                       const ModelConfig& c) {
  const Family& family = family_for(c);
  for (const ArraySpan& array : reader.arrays()) {
    if (used.contains(array.name) || ends_with_any(array.name, kConstantBuffers)) continue;
    if (ends_with_any(array.name, family.ignored)) continue;
    if (c.tie_word_embeddings && array.name == "lm_head.weight")
      continue;  // a copy of the token table
    fail(ErrorKind::kFormat, "weights",
         "tensor '{}' has no place in a {} model as config.json describes it", array.name,
         c.model_type);
  }
}

Json generation_config(const ModelConfig& c) {
  Json json = {{"_from_model_config", true}};
  for (const auto& [key, member] : kSpecialIds)
    if (c.*member) json[key] = *(c.*member);
  return json;
}

// rope_scaling is the older name of rope_parameters, and transformers prefers it where it finds
// both: carried along from another folder, it must not say what was true there.
void update_old_rope_key(Json& json, const ModelConfig& c) {
  if (!json.contains("rope_scaling")) return;
  Json block = json.value("rope_parameters", Json());
  if (block.contains("full_attention")) block = block["full_attention"];
  json["rope_scaling"] = c.position.scaling.kind == "none" ? Json() : block;
}

Json config_json(const Transformer& model, const SaveOptions& options) {
  const ModelConfig& c = model.config();
  const Family& family = family_for(c);
  Json json = Json::object();
  if (!options.like.empty()) {
    const Json theirs = read_json_file(options.like / "config.json");
    if (theirs.value("model_type", std::string()) == family.name) json = theirs;
  }
  json.erase("torch_dtype");
  json.update(write_family_config(family, c));
  update_old_rope_key(json, c);
  for (const auto& [key, member] : kSpecialIds)
    if (const auto id = c.*member; id && !(json.contains(key) && json[key].is_array()))
      json[key] = *id;
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

const Tensor& value_of(Parameter& p) { return p.value; }

void write_shard(const fs::path& path, const std::vector<const DiskTensor*>& tensors, DType dtype) {
  std::vector<SafetensorsWriter::Announced> announced;
  for (const DiskTensor* t : tensors)
    announced.push_back({t->name,
                         std::string(safetensors_name(dtype)),
                         {t->shape.dims().begin(), t->shape.dims().end()}});
  SafetensorsWriter writer(path, announced, {{"format", "pt"}});
  for (const DiskTensor* t : tensors) {
    const Tensor values = t->gather(value_of).to(dtype);
    writer.write({values.raw(), values.bytes()});
  }
  writer.commit();
}

}  // namespace

namespace {

// The key stands in config.json whether or not the modules were saved: transformers drops them.
bool lacks_further_modules(const Family& family, const ModelConfig& c, const fs::path& folder) {
  if (c.num_nextn_predict_layers == 0 || !has_weights(folder)) return false;
  for (const auto& table : family.weights)
    for (const WeightRule& rule : table)
      if (rule.ours == kFurtherJoin)
        return open_weights(folder)->find(name_on_disk(rule, c.num_hidden_layers) + ".weight") ==
               nullptr;
  return false;
}

}  // namespace

ModelConfig read_model_config(const fs::path& folder) {
  const fs::path path = folder / "config.json";
  const Json json = read_json_file(path);
  require(json.is_object() && json.contains("model_type") && json["model_type"].is_string(),
          ErrorKind::kFormat, path.string(),
          "no model_type; expected the config.json of a Hugging Face model folder");
  const Family& family = find_family(json["model_type"].get<std::string>());
  try {
    ModelConfig config = read_family_config(family, json);
    // Small models often keep the special ids of the family's usual tokenizer; an id that cannot
    // occur means none.
    for (const auto& [key, member] : kSpecialIds)
      if (auto& id = config.*member; id && *id >= config.vocab_size) id.reset();
    if (lacks_further_modules(family, config, folder)) config.num_nextn_predict_layers = 0;
    validate(config);
    return config;
  } catch (const nlohmann::json::exception& e) {  // a missing key or a value of another type
    fail(ErrorKind::kFormat, path.string(), "{} (a {} model needs this key)", e.what(),
         family.name);
  }
}

namespace {

// A model's weights in its folder: every place on disk beside the array that lies there.
struct StoredWeights {
  std::shared_ptr<const ArrayReader> reader;
  std::vector<DiskTensor> places;
  std::vector<Tensor> arrays;
};

StoredWeights find_weights(Transformer& model, const fs::path& folder) {
  StoredWeights w{open_weights(folder), map_weights(model), {}};
  const Family& family = family_for(model.config());
  std::set<std::string> used;
  for (const DiskTensor& t : w.places) {
    const ArraySpan& array = find_array(*w.reader, t.name, family);
    require(Shape(std::span<const int64_t>(array.shape)) == t.shape, ErrorKind::kFormat, "weights",
            "'{}' has shape [{}], config.json asks for {}", array.name,
            fmt::join(array.shape, ", "), t.shape);
    used.insert(array.name);
    w.arrays.push_back(tensor_of(array, w.reader));
  }
  refuse_unexpected(*w.reader, used, model.config());
  return w;
}

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
  StoredWeights rest{w.reader, {}, {}};
  for (size_t i = 0; i < w.places.size(); ++i) {
    const DiskTensor& place = w.places[i];
    const DType stored = w.arrays[i].dtype();
    bool mapped = map && place.pieces.size() == 1 && !place.transposed;
    for (const WeightPiece& piece : place.pieces) {
      Parameter& p = *piece.parameter;
      const bool readable = readable_as(p, stored, wanted);
      mapped = mapped && readable && piece.groups == 1 && piece.rows == p.shape[0];
      const DType type = readable ? stored : wanted;
      if (!p.value.defined())
        p.compute = p.value = mapped ? w.arrays[i] : Tensor(p.shape, type);
      else if (p.value.dtype() != type && p.value.dtype() != wanted)
        // Arrays that share a parameter differ in type: the wanted one holds both without loss.
        p.compute = p.value = Tensor(p.shape, wanted);
    }
    if (mapped) continue;
    rest.places.push_back(place);
    rest.arrays.push_back(w.arrays[i]);
  }
  copy_weights(rest);
}

}  // namespace

void load_weights(Transformer& model, const fs::path& folder) {
  copy_weights(find_weights(model, folder));
}

std::unique_ptr<Transformer> load_model(const fs::path& folder, const LoadOptions& options) {
  auto model = std::make_unique<Transformer>(read_model_config(folder));
  if (options.residence == Residence::kOwn) {
    model->allocate(options.dtype, options.device);
    load_weights(*model, folder);
    return model;
  }
  require(options.device == Device::kCpu, ErrorKind::kDevice, "weights",
          "as stored on the cpu only; the reference device computes in f64");
  place_weights(*model, find_weights(*model, folder), options.dtype,
                options.residence == Residence::kMapped);
  return model;
}

std::unique_ptr<Transformer> load_for_inference(const fs::path& folder, DType dtype) {
  auto model = std::make_unique<Transformer>(read_model_config(folder));
  const StoredWeights weights = find_weights(*model, folder);
  size_t bytes = 0;
  for (const Tensor& array : weights.arrays) bytes += array.bytes();
  const auto memory = static_cast<size_t>(physical_memory_bytes());
  place_weights(*model, weights, dtype, /*map=*/memory > 0 && bytes > memory / 2);
  return model;
}

void save_model(Transformer& model, const fs::path& folder, const SaveOptions& options) {
  for (const auto& [name, text] : model_files(model, options))
    write_file_atomically(folder / name, text);
  const auto tensors = map_weights(model);
  const ShardPlan plan = plan_shards(tensors, options);
  if (plan.shards.size() == 1) {
    write_shard(folder / "model.safetensors", plan.shards[0], options.dtype);
  } else {
    Json index = {{"metadata", {{"total_size", plan.total_bytes}}}, {"weight_map", Json::object()}};
    for (size_t i = 0; i < plan.shards.size(); ++i) {
      const std::string name =
          fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, plan.shards.size());
      write_shard(folder / name, plan.shards[i], options.dtype);
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

ModelFiles tokenizer_files(const fs::path& from) {
  ModelFiles files;
  if (!fs::is_directory(from)) {
    if (from.extension() == ".json") files["tokenizer.json"] = read_file(from);
    return files;
  }
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                           "vocab.json", "merges.txt", "chat_template.jinja"})
    if (fs::exists(from / name)) files[name] = read_file(from / name);
  return files;
}

}  // namespace lathe
