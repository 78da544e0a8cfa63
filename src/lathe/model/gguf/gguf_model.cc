#include "lathe/model/gguf/gguf_model.h"

#include <charconv>
#include <fstream>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::string_view kArchitectureKey = "general.architecture";
// Longer lists are vocabularies, not settings of a model.
constexpr uint64_t kMostListed = 4096;

// The double with the digits of the float: 1e-6 as it was written, not 9.99999997e-07.
double as_written(float x) {
  const std::string digits = fmt::format("{}", x);
  double out = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), out);
  return out;
}

template <class T>
Json list_of(const GgufMetadata& metadata, std::string_view key) {
  Json out = Json::array();
  for (const auto item : metadata.need<std::vector<T>>(key)) {
    if constexpr (std::is_same_v<T, float>)
      out.push_back(as_written(item));
    else
      out.push_back(item);
  }
  return out;
}

// A number, truth value, text, or list of numbers; null for anything else.
Json json_of(const GgufMetadata& metadata, std::string_view key, const GgufValue& value) {
  const bool list = value.type == GgufType::kArray;
  if (list && value.count > kMostListed) return nullptr;
  switch (value.element) {
    case GgufType::kFloat32:
      return list ? list_of<float>(metadata, key) : Json(as_written(metadata.need<float>(key)));
    case GgufType::kFloat64:
      return list ? list_of<double>(metadata, key) : Json(metadata.need<double>(key));
    case GgufType::kString:
      return list ? Json() : Json(std::string(metadata.need<std::string_view>(key)));
    case GgufType::kBool:
      return list ? Json() : Json(metadata.need<bool>(key));
    case GgufType::kArray:
      return nullptr;
    default:
      return list ? list_of<int64_t>(metadata, key) : Json(metadata.need<int64_t>(key));
  }
}

std::vector<float> numbers_of(const ArraySpan& array) {
  const auto unowned = std::shared_ptr<const void>(array.bytes.data(), [](const void*) {});
  const Tensor values = stored_tensor(array, unowned).to(DType::kF32).clone();
  return {values.span<float>().begin(), values.span<float>().end()};
}

bool is_table(std::string_view name) { return name.starts_with("rope_f"); }

// Ids that the tokenizer's keys give; those that no row of the table has cannot occur.
void read_special_ids(const GgufMetadata& metadata, ModelConfig& c) {
  const auto id = [&](const char* key) -> std::optional<int64_t> {
    const auto value = metadata.get<int64_t>(fmt::format("tokenizer.ggml.{}_token_id", key));
    return value && *value >= 0 && *value < c.vocab_size ? value : std::nullopt;
  };
  c.bos_token_id = id("bos");
  c.eos_token_id = id("eos");
  c.pad_token_id = id("padding");
  for (const char* key : {"eot", "eom"}) {
    const auto end = id(key);
    if (!end || end == c.eos_token_id) continue;
    if (c.eos_token_id)
      c.other_eos_token_ids.push_back(*end);
    else
      c.eos_token_id = end;
  }
}

// What the keys and tensors of a file say about its model.
GgufDescription describe_gguf(const GgufReader& file, const GgufArchitecture& architecture) {
  GgufDescription out;
  const std::string prefix = std::string(architecture.name) + ".";
  const GgufMetadata& metadata = file.metadata();
  for (const auto& [key, value] : metadata.entries())
    if (key.starts_with(prefix))
      out.keys[std::string(key.substr(prefix.size()))] = json_of(metadata, key, value);
  for (const ArraySpan& array : file.arrays()) {
    if (is_table(array.name))
      out.tables[array.name] = numbers_of(array);
    else
      out.tensors.insert(array.name);
  }
  const ArraySpan* table = file.find("token_embd.weight");
  require(table != nullptr && table->shape.size() == 2, ErrorKind::kFormat, metadata.where(),
          "has no tensor 'token_embd.weight' with two dimensions; it is not a language model, or "
          "one part of a split file");
  out.vocabulary = table->shape[0];
  return out;
}

}  // namespace

bool is_gguf_file(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return false;
  char start[4] = {};
  std::ifstream(path, std::ios::binary).read(start, sizeof start);
  return is_gguf(std::as_bytes(std::span(start)));
}

GgufModel::GgufModel(const fs::path& path)
    : file_(std::make_shared<GgufReader>(path)),
      architecture_(&find_gguf_architecture(
          file_->metadata().need<std::string_view>(kArchitectureKey), path.string())) {}

ModelConfig GgufModel::config(const Log&) const {
  const GgufMetadata& metadata = file_->metadata();
  ModelConfig config =
      read_gguf_config(*architecture_, describe_gguf(*file_, *architecture_), metadata.where());
  read_special_ids(metadata, config);
  return config;
}

StoredWeights GgufModel::weights(Transformer& model) const {
  const GgufDescription description = describe_gguf(*file_, *architecture_);
  StoredWeights w{file_, map_weights(model, *architecture_, &description), {}, {}};
  std::set<const ArraySpan*> used;
  for (const DiskTensor& place : w.places) {
    const ArraySpan* array = file_->find(place.name);
    check_array(array, place, "the file's metadata");
    used.insert(array);
    w.arrays.push_back(array);
  }
  for (const ArraySpan& array : file_->arrays())
    if (!used.contains(&array) && !is_table(array.name)) w.unused.push_back(array.name);
  return w;
}

}  // namespace lathe
