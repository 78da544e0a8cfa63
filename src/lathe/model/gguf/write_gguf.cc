#include "lathe/model/gguf/write_gguf.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/io/gguf_writer.h"
#include "lathe/model/family.h"
#include "lathe/model/gguf/architecture.h"
#include "lathe/model/gguf/encode_tensor.h"
#include "lathe/model/gguf/gguf_model.h"
#include "lathe/text/format/gguf_tokenizer_writer.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// `general.file_type`: what most matrices are. Numbers: enum llama_ftype of llama.h.
constexpr std::pair<std::string_view, uint32_t> kFileTypes[] = {
    {"F32", 0},  {"F16", 1},   {"Q4_0", 2},  {"Q4_1", 3},  {"Q8_0", 7},  {"Q5_0", 8},
    {"Q5_1", 9}, {"Q4_K", 14}, {"Q5_K", 16}, {"Q6_K", 18}, {"BF16", 32},
};
constexpr uint32_t kQuantizationVersion = 2;

constexpr uint32_t kMixedFile = 1024;  // to be seen from the tensors

uint32_t file_type(const TypeChoice& choice) {
  for (const auto& [name, number] : kFileTypes)
    if (choice.type != nullptr && name == choice.type->name) return number;
  return kMixedFile;
}

void add_json(GgufWriter& writer, const std::string& key, const Json& value) {
  if (value.is_boolean()) return writer.add(key, value.get<bool>());
  if (value.is_number_integer()) return writer.add(key, value.get<uint32_t>());
  if (value.is_number()) return writer.add(key, value.get<float>());
  require(value.is_string(), ErrorKind::kConfig, key, "{} cannot be written to a GGUF file",
          value.dump());
  writer.add_text(key, value.get<std::string>());
}

// The part of a path that names the model.
std::string name_of_model(const fs::path& from) {
  const fs::path last = from.has_filename() ? from.filename() : from.parent_path().filename();
  return last.extension() == ".gguf" ? last.stem().string() : last.string();
}

void add_tokenizer(GgufWriter& writer, const fs::path& from, const ModelConfig& config,
                   const Log& log) {
  if (is_gguf_file(from)) {
    const GgufReader file(from);
    for (const auto& [key, value] : file.metadata().entries())
      if (key.starts_with("tokenizer.")) writer.add_value(key, value);
    return;
  }
  if (!has_tokenizer(from.string())) return;
  std::vector<std::string> left_out;
  GgufVocabulary v = gguf_vocabulary_of_folder(from.string(), config.vocab_size, &left_out);
  if (!left_out.empty())
    log.warn(
        "{}: llama.cpp leaves out what this tokenizer does ({}), so that some texts get other "
        "ids from the file",
        from.string(), join_some(left_out));
  const auto or_of_model = [](std::optional<int32_t>& id, std::optional<int64_t> of_model) {
    if (!id && of_model) id = static_cast<int32_t>(*of_model);
  };
  or_of_model(v.bos, config.bos_token_id);
  or_of_model(v.eos, config.eos_token_id);
  or_of_model(v.padding, config.pad_token_id);
  write_gguf_vocabulary(v, writer);
}

void add_values(GgufWriter& writer, const GgufArchitecture& architecture,
                const GgufDescription& description, const ModelConfig& config,
                const WriteGgufOptions& options) {
  writer.add_text("general.architecture", architecture.name);
  writer.add_text("general.type", "model");
  writer.add_text("general.name", name_of_model(options.from));
  writer.add("general.file_type", file_type(options.types));
  writer.add("general.quantization_version", kQuantizationVersion);
  for (const auto& [key, value] : description.keys.items())
    add_json(writer, fmt::format("{}.{}", architecture.name, key), value);
  add_tokenizer(writer, options.from, config, options.log);
}

void announce_all(GgufWriter& writer, const GgufDescription& description,
                  const std::vector<TypedTensor>& typed) {
  for (const auto& [name, numbers] : description.tables)
    writer.announce(name, "F32", std::array{std::ssize(numbers)});
  for (const TypedTensor& t : typed)
    writer.announce(t.tensor->name, t.type->name, t.tensor->shape.dims());
}

// Everything before the tensors' bytes.
struct Begun {
  GgufDescription description;
  std::vector<DiskTensor> tensors;
  std::vector<TypedTensor> typed;  // of them

  Begun(Transformer& model, GgufWriter& writer, const WriteGgufOptions& options) {
    const GgufArchitecture& architecture = gguf_architecture_of(model.config());
    description = describe_as_gguf(architecture, model);
    tensors = map_weights(model, architecture);
    typed = choose_types(tensors, options.types);
    add_values(writer, architecture, description, model.config(), options);
    announce_all(writer, description, typed);
  }
};

// Encodes the tensors of a file in their order.
class TensorEncoder {
 public:
  explicit TensorEncoder(const WriteGgufOptions& options) : options_(options) {}

  EncodedTensor encode(const TypedTensor& t, const Tensor& values, WrittenTensor& about) {
    const auto importance = importance_of(options_.importances, about.name);
    EncodedTensor plain = encode_tensor(about.name, values, *t.type, importance);
    if (t.type->grid == nullptr || values.rank() != 2 || !prepare(*t.tensor)) return plain;
    const auto error = [&](const EncodedTensor& encoded) {
      return feedback_->output_error(values,
                                     decode_tensor(encoded.blocks, *t.type, values.shape()));
    };
    EncodedTensor fed = feedback_->encode(values, *t.type, importance);
    about.has_feedback = error(fed) < error(plain);
    return about.has_feedback ? fed : plain;
  }

 private:
  // Whether there is feedback for the tensor; matrices one below the other have the same.
  bool prepare(const DiskTensor& tensor) {
    if (options_.moments == nullptr) return false;
    const Parameter* p = tensor.pieces.front().parameter;
    if (p != of_) {
      of_ = p;
      feedback_.reset();
      if (const Tensor* moments = options_.moments->of(tensor)) feedback_.emplace(*moments);
    }
    return feedback_.has_value();
  }

  const WriteGgufOptions& options_;
  const Parameter* of_ = nullptr;
  std::optional<ErrorFeedback> feedback_;
};

}  // namespace

int64_t planned_gguf_bytes(Transformer& model, const fs::path& path,
                           const WriteGgufOptions& options) {
  GgufWriter writer(path);
  const Begun begun(model, writer, options);
  return static_cast<int64_t>(writer.planned_bytes());
}

std::vector<WrittenTensor> write_gguf(Transformer& model, const fs::path& path,
                                      const WriteGgufOptions& options) {
  GgufWriter writer(path);
  const Begun begun(model, writer, options);
  for (const auto& [name, numbers] : begun.description.tables)
    writer.write(std::as_bytes(std::span(numbers)));
  std::vector<WrittenTensor> written;
  TensorEncoder encoder(options);
  int64_t done = 0;
  for (const TypedTensor& t : begun.typed) {
    Tensor values = t.tensor->gather(value_of).to(DType::kF32);
    if (!values.contiguous()) values = values.clone();
    WrittenTensor about{t.tensor->name, t.type, values.numel(), 0.0, t.is_fallback};
    const EncodedTensor encoded = encoder.encode(t, values, about);
    writer.write(encoded.blocks);
    about.rmse = std::sqrt(encoded.squared_error / static_cast<double>(about.elements));
    written.push_back(about);
    if (options.progress) options.progress(done += about.elements);
  }
  writer.commit();
  return written;
}

}  // namespace lathe
