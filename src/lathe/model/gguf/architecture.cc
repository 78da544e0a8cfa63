#include "lathe/model/gguf/architecture.h"

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/config/read_write.h"

namespace lathe {

using Json = nlohmann::ordered_json;

std::span<const GgufArchitecture* const> gguf_architectures() {
  static const GgufArchitecture* const kAll[] = {
      &gguf_llama(),     &gguf_qwen2(), &gguf_qwen3(),  &gguf_qwen2_moe(), &gguf_qwen3_moe(),
      &gguf_phi3(),      &gguf_olmo2(), &gguf_gpt2(),   &gguf_gemma2(),    &gguf_gemma3(),
      &gguf_gpt_neox(),  &gguf_bloom(), &gguf_falcon(), &gguf_command_r(), &gguf_glm4(),
      &gguf_deepseek2(), &gguf_t5(),
  };
  return kAll;
}

const GgufArchitecture& find_gguf_architecture(std::string_view name, std::string_view where) {
  for (const GgufArchitecture* a : gguf_architectures())
    if (a->name == name) return *a;
  fail(ErrorKind::kFormat, where,
       "key 'general.architecture' is \"{}\", which Lathe does not read; it reads {}", name,
       join(names_of(gguf_architectures()), ", "));
}

const GgufArchitecture& gguf_architecture_of(const ModelConfig& config) {
  const Family& family = family_for(config);
  std::set<std::string> written;
  for (const GgufArchitecture* a : gguf_architectures())
    for (const auto& reading : a->families) {
      written.emplace(reading.family().name);
      if (&reading.family() != &family) continue;
      if (reading.is_written_as == nullptr || reading.is_written_as(config)) return *a;
    }
  fail(ErrorKind::kConfig, "model_type",
       "this model of the family \"{}\" has no GGUF architecture that Lathe writes; it writes {}",
       family.name, join(std::vector(written.begin(), written.end()), ", "));
}

namespace {

const Family& family_read(const GgufArchitecture& architecture, const GgufDescription& theirs) {
  for (const auto& reading : architecture.families)
    if (reading.is_read_as == nullptr || reading.is_read_as(theirs)) return reading.family();
  return architecture.families.front().family();
}

template <class F>
void for_each_key(const GgufArchitecture& architecture, F&& f) {
  for (const auto& table : architecture.keys)
    for (const GgufKey& key : table) f(key);
}

// The keys whose values differ, as dotted paths.
void list_differences(const Json& a, const Json& b, const std::string& path,
                      std::vector<std::string>& out) {
  if (a == b) return;
  if (!a.is_object() || !b.is_object()) return out.push_back(path);
  for (const auto& [key, value] : a.items())
    list_differences(value, b.value(key, Json()), path.empty() ? key : path + "." + key, out);
}

Json what_computes(const ModelConfig& config) {
  Json tree = write_config(resolved(config));
  drop_what_does_not_compute(tree);
  return tree;
}

// A model must be the same when it is read again.
void check_expressed(const GgufArchitecture& architecture, const GgufDescription& written,
                     const ModelConfig& config) {
  std::vector<std::string> differences;
  list_differences(what_computes(config),
                   what_computes(read_gguf_config(architecture, written, "gguf")), "", differences);
  require(differences.empty(), ErrorKind::kConfig, "gguf",
          "the GGUF architecture \"{}\" has no key that could say these settings of the model: {}; "
          "keep the model in the Hugging Face format",
          architecture.name, join(differences, ", "));
}

}  // namespace

ModelConfig read_gguf_config(const GgufArchitecture& architecture, const GgufDescription& theirs,
                             std::string_view where) {
  Json ours = Json::object();
  for_each_key(architecture, [&](const GgufKey& key) {
    const auto found = theirs.keys.find(key.theirs);
    if (found == theirs.keys.end()) return;
    require(!found->is_null(), ErrorKind::kFormat, where,
            "key '{}.{}' is a list that says nothing of a model, expected one value",
            architecture.name, key.theirs);
    Json& value = at_path(ours, key.ours);
    // Several keys of a file may be one of ours: the widths of keys and of values.
    require(value.is_null() || value == *found, ErrorKind::kFormat, where,
            "key '{}.{}' is {}, but another key says that {} is {}; Lathe reads models where they "
            "are equal",
            architecture.name, key.theirs, found->dump(), key.ours, value.dump());
    value = *found;
  });
  ours["vocab_size"] = theirs.vocabulary;
  ours["tie_word_embeddings"] = !theirs.has("output.weight");
  if (architecture.read != nullptr) architecture.read(theirs, ours);
  ModelConfig config = default_config(family_read(architecture, theirs));
  const std::string model_type = config.model_type;
  read_config(config, ours, where);
  config.model_type = model_type;
  validate(config);
  return config;
}

std::vector<DiskTensor> map_weights(Transformer& model, const GgufArchitecture& architecture,
                                    const GgufDescription* file) {
  WeightTables tables = architecture.weights;
  if (architecture.weights_in != nullptr) tables.push_back(architecture.weights_in(file));
  if (architecture.weights_of != nullptr) tables.push_back(architecture.weights_of(model.config()));
  return map_weights(model, tables);
}

GgufDescription describe_as_gguf(const GgufArchitecture& architecture, Transformer& model) {
  const ModelConfig config = resolved(model.config());
  GgufDescription theirs;
  Json full = write_config(config);
  for_each_key(architecture, [&](const GgufKey& key) {
    if (const Json& value = at_path(full, key.ours); !value.is_null())
      theirs.keys[std::string(key.theirs)] = value;
  });
  theirs.vocabulary = config.vocab_size;
  for (const DiskTensor& tensor : map_weights(model, architecture))
    theirs.tensors.insert(tensor.name);
  if (architecture.write != nullptr) architecture.write(config, theirs);
  check_expressed(architecture, theirs, config);
  return theirs;
}

}  // namespace lathe
