#include "lathe/embed/sentence_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/io/array_reader.h"
#include "lathe/io/json_file.h"
#include "lathe/model/stored_weights.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int64_t kLargest = int64_t{1} << 24;  // of any size or length in these files
constexpr size_t kMostModules = 16;

// A JSON object of a file, whose values are read with messages that name both.
class JsonFile {
 public:
  explicit JsonFile(fs::path path) : path_(std::move(path)), json_(read_json_file(path_)) {
    require(json_.is_object(), ErrorKind::kFormat, place(), "is a {}, expected an object",
            json_.type_name());
  }
  JsonFile(fs::path path, Json object) : path_(std::move(path)), json_(std::move(object)) {}

  std::string place() const { return path_.string(); }
  const Json& json() const { return json_; }

  // The value of a key; null where it is absent.
  Json get(std::string_view key) const {
    const auto it = json_.find(key);
    return it == json_.end() ? Json() : *it;
  }
  [[noreturn]] void bad(std::string_view key, const Json& value, std::string_view expected) const {
    fail(ErrorKind::kFormat, place(), "'{}' is {}, expected {}", key, shown(value), expected);
  }
  bool flag(std::string_view key, bool absent) const {
    const Json value = get(key);
    if (value.is_null()) return absent;
    if (!value.is_boolean()) bad(key, value, "true or false");
    return value.get<bool>();
  }
  std::string text(std::string_view key, std::string absent = {}) const {
    const Json value = get(key);
    if (value.is_null()) return absent;
    if (!value.is_string()) bad(key, value, "a text");
    return value.get<std::string>();
  }
  std::optional<int64_t> size(std::string_view key) const {
    const Json value = get(key);
    if (value.is_null()) return std::nullopt;
    if (!value.is_number_integer() || value < 1 || value > kLargest)
      bad(key, value, fmt::format("a whole number from 1 to {}", kLargest));
    return value.get<int64_t>();
  }
  // Refuses every value but this one, which is also what an absent key means.
  void expect(std::string_view key, const Json& value, std::string_view why) const {
    const Json given = get(key);
    require(given.is_null() || given == value, ErrorKind::kConfig, place(),
            "'{}' is {}, but only {} is supported: {}", key, shown(given), value.dump(), why);
  }

 private:
  // A value may be as long as a file.
  static std::string shown(const Json& value) {
    const std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
    return text.size() <= 80 ? text : text.substr(0, 80) + "…";
  }

  fs::path path_;
  Json json_;
};

// "Pooling" of "sentence_transformers.models.Pooling", and of the longer names of later releases.
std::string kind_of(const JsonFile& module) {
  const std::string type = module.text("type");
  require(type.starts_with("sentence_transformers."), ErrorKind::kConfig, module.place(),
          "a module has the type '{}', which is code of the folder's own; only modules of "
          "sentence-transformers are supported",
          type);
  return type.substr(type.rfind('.') + 1);
}

// A folder of a module lies in the model's own.
fs::path folder_of(const fs::path& root, const JsonFile& module) {
  const fs::path path = module.text("path");
  const bool leaves =
      path.is_absolute() || std::ranges::any_of(path, [](const fs::path& p) { return p == ".."; });
  require(!leaves, ErrorKind::kFormat, module.place(),
          "the module '{}' has the path '{}', expected a folder inside this one",
          module.text("name"), path.string());
  return root / path;
}

// One name, a list of names, or, in older files, a flag for each.
std::vector<Pooling> poolings_in(const JsonFile& file) {
  std::vector<Pooling> out;
  const auto add = [&](const Json& name) {
    const auto found = name.is_string() ? find_pooling(name.get<std::string>()) : std::nullopt;
    if (!found) file.bad("pooling_mode", name, join(pooling_names(), ", "));
    out.push_back(*found);
  };
  if (const Json mode = file.get("pooling_mode"); mode.is_array()) {
    if (mode.empty() || mode.size() > kMostModules)
      file.bad("pooling_mode", mode, "a few names of poolings");
    for (const Json& name : mode) add(name);
    return out;
  } else if (!mode.is_null()) {
    add(mode);
    return out;
  }
  constexpr std::pair<std::string_view, Pooling> kFlags[] = {
      {"pooling_mode_cls_token", Pooling::kCls},
      {"pooling_mode_max_tokens", Pooling::kMax},
      {"pooling_mode_mean_tokens", Pooling::kMean},
      {"pooling_mode_mean_sqrt_len_tokens", Pooling::kMeanSqrt},
      {"pooling_mode_weightedmean_tokens", Pooling::kWeightedMean},
      {"pooling_mode_lasttoken", Pooling::kLastToken}};
  for (const auto& [key, pooling] : kFlags)
    if (file.flag(key, false)) out.push_back(pooling);
  for (const auto& [key, value] : file.json().items()) {
    const bool known =
        std::ranges::find(kFlags, key, [](const auto& f) { return f.first; }) != std::end(kFlags);
    require(known || !key.starts_with("pooling_mode_") || value == false, ErrorKind::kConfig,
            file.place(), "'{}' is a pooling that Lathe does not know; it knows {}", key,
            join(pooling_names(), ", "));
  }
  if (out.empty()) out.push_back(Pooling::kMean);
  return out;
}

void read_pooling(const fs::path& folder, int64_t width, SentenceConfig& out) {
  const JsonFile file(folder / "config.json");
  out.poolings = poolings_in(file);
  for (const char* key : {"embedding_dimension", "word_embedding_dimension"})
    if (const auto given = file.size(key))
      require(*given == width, ErrorKind::kFormat, file.place(),
              "'{}' is {}, but the model's states have {} values (hidden_size)", key, *given,
              width);
}

kernels::ActivationId activation_in(const JsonFile& file) {
  constexpr std::pair<std::string_view, std::string_view> kOurs[] = {
      {"Tanh", "tanh"}, {"Identity", "identity"}, {"ReLU", "relu"},
      {"GELU", "gelu"}, {"Sigmoid", "sigmoid"},   {"SiLU", "silu"}};
  const std::string theirs = file.text("activation_function", "torch.nn.modules.activation.Tanh");
  const std::string name = theirs.substr(theirs.rfind('.') + 1);
  const auto found = std::ranges::find(kOurs, name, [](const auto& each) { return each.first; });
  require(found != std::end(kOurs) && theirs.starts_with("torch.nn."), ErrorKind::kConfig,
          file.place(),
          "'activation_function' is '{}', which is not supported; supported are Tanh, Identity, "
          "ReLU, GELU, Sigmoid and SiLU of torch.nn",
          theirs);
  return kernels::find_activation(found->second);
}

// The array as it must be.
Tensor read_array(const std::shared_ptr<const ArrayReader>& weights, const std::string& name,
                  const Shape& shape, const std::string& place) {
  const ArraySpan* array = weights->find(name);
  require(array != nullptr, ErrorKind::kFormat, place, "the weights have no '{}'", name);
  require(Shape(std::span<const int64_t>(array->shape)) == shape, ErrorKind::kFormat, place,
          "'{}' has the shape [{}], but its config.json requires {}", name,
          fmt::join(array->shape, ", "), shape);
  return stored_tensor(*array, weights).to(DType::kF32).clone();
}

SentenceStep read_dense(const fs::path& folder, int64_t inputs) {
  const JsonFile file(folder / "config.json");
  file.expect("module_input_name", "sentence_embedding", "a layer acts on the pooled vector");
  file.expect("module_output_name", "sentence_embedding", "a layer acts on the pooled vector");
  file.expect("use_residual", false, "layers add nothing of their input to their output");
  const auto in = file.size("in_features"), out = file.size("out_features");
  require(in && out, ErrorKind::kFormat, file.place(),
          "'in_features' and 'out_features' are missing or null, expected two sizes");
  require(*in == inputs, ErrorKind::kFormat, file.place(),
          "'in_features' is {}, but the vectors before it have {} values", *in, inputs);
  const auto weights = open_weights(folder);
  SentenceStep step{.weight = read_array(weights, "linear.weight", {*out, *in}, folder.string()),
                    .activation = activation_in(file)};
  if (file.flag("bias", true))
    step.bias = read_array(weights, "linear.bias", {*out}, folder.string());
  return step;
}

void read_module(const fs::path& root, const JsonFile& module, size_t number,
                 const ModelConfig& model, SentenceConfig& out) {
  const std::string kind = kind_of(module);
  const fs::path folder = folder_of(root, module);
  const auto expect = [&](bool right, std::string_view what) {
    require(right, ErrorKind::kConfig, module.place(),
            "module {} is a {}, expected first a Transformer, then a Pooling, then others: {}",
            number, kind, what);
  };
  if (number == 0) {
    expect(kind == "Transformer", "vectors of other models are not supported");
    require(module.text("path").empty(), ErrorKind::kConfig, module.place(),
            "the Transformer is in the folder '{}'; move its files beside modules.json, and make "
            "its path empty",
            module.text("path"));
    return;
  }
  if (number == 1) {
    expect(kind == "Pooling", "a vector of a text needs one");
    return read_pooling(folder, model.hidden_size, out);
  }
  if (kind == "Normalize") {
    out.steps.emplace_back();
  } else if (kind == "Dense") {
    out.steps.push_back(read_dense(folder, out.width(model.hidden_size)));
  } else if (kind != "Dropout") {  // which acts in training only
    fail(ErrorKind::kConfig, module.place(),
         "module {} is a {}, which is not supported; supported behind the Pooling are Normalize, "
         "Dense and Dropout",
         number, kind);
  }
}

void read_modules(const fs::path& root, const ModelConfig& model, SentenceConfig& out) {
  const fs::path path = root / "modules.json";
  const Json list = read_json_file(path);
  require(list.is_array() && list.size() >= 2 && list.size() <= kMostModules, ErrorKind::kFormat,
          path.string(), "expected a list of 2 to {} modules", kMostModules);
  for (size_t i = 0; i < list.size(); ++i) {
    require(list[i].is_object(), ErrorKind::kFormat, path.string(),
            "module {} is a {}, expected an object", i, list[i].type_name());
    read_module(root, JsonFile(path, list[i]), i, model, out);
  }
}

// Later releases leave max_seq_length to the tokenizer, which says "no limit" by a number beyond all bounds.
std::optional<int64_t> length_of_tokenizer(const fs::path& root) {
  const fs::path path = root / "tokenizer_config.json";
  if (!fs::exists(path)) return std::nullopt;
  const Json length = JsonFile(path).get("model_max_length");
  if (!length.is_number_integer() || length < 1 || length > kLargest) return std::nullopt;
  return length.get<int64_t>();
}

void read_transformer(const fs::path& root, SentenceConfig& out) {
  const fs::path path = root / "sentence_bert_config.json";
  if (fs::exists(path)) {
    const JsonFile file(path);
    file.expect("transformer_task", "feature-extraction", "vectors are made of the last states");
    file.expect("module_output_name", "token_embeddings", "vectors are made of the last states");
    out.max_tokens = file.size("max_seq_length");
    out.lower_case = file.flag("do_lower_case", false);
  }
  if (!out.max_tokens) out.max_tokens = length_of_tokenizer(root);
}

void warn_of_prompt(const fs::path& root, const Log& log) {
  const fs::path path = root / "config_sentence_transformers.json";
  if (!fs::exists(path)) return;
  const JsonFile file(path);
  const std::string name = file.text("default_prompt_name");
  const Json prompts = file.get("prompts");
  if (name.empty() || !prompts.is_object() || prompts.value(name, Json()) == "") return;
  log.warn(
      "{}: sentence-transformers puts the prompt '{}' before every text unless it is told "
      "otherwise; here a text is taken as it is given, with the prompt where that is wanted",
      path.string(), name);
}

}  // namespace

int64_t SentenceConfig::width(int64_t hidden_size) const {
  for (auto step = steps.rbegin(); step != steps.rend(); ++step)
    if (step->weight.defined()) return step->weight.size(0);
  return hidden_size * std::ssize(poolings);
}

SentenceConfig read_sentence_config(const fs::path& path, const ModelConfig& model,
                                    const Log& log) {
  SentenceConfig out{.special_tokens = !model.body_traits().causal};
  if (!fs::exists(path / "modules.json")) return out;
  out.special_tokens = out.from_modules = true;
  read_modules(path, model, out);
  read_transformer(path, out);
  warn_of_prompt(path, log);
  return out;
}

}  // namespace lathe
