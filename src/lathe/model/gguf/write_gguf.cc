#include "lathe/model/gguf/write_gguf.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/base/strings.h"
#include "lathe/io/gguf_writer.h"
#include "lathe/model/family.h"
#include "lathe/model/gguf/architecture.h"
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

uint32_t file_type(const BlockType& type) {
  for (const auto& [name, number] : kFileTypes)
    if (name == type.name) return number;
  return 0;
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
  writer.add("general.file_type", file_type(*options.types.type));
  writer.add("general.quantization_version", kQuantizationVersion);
  for (const auto& [key, value] : description.keys.items())
    add_json(writer, fmt::format("{}.{}", architecture.name, key), value);
  add_tokenizer(writer, options.from, config, options.log);
}

// Rows of a tensor at a time that a thread encodes.
constexpr int64_t kChunk = 1 << 16;

class TensorEncoder {
 public:
  TensorEncoder(const TypedTensor& what, const Importances* importances)
      : name_(what.tensor->name),
        type_(*what.type),
        columns_(what.tensor->shape[what.tensor->shape.rank() - 1]),
        values_(what.tensor->gather(value_of).to(DType::kF32)) {
    if (!values_.contiguous()) values_ = values_.clone();
    const auto found = importances ? importances->find(name_) : Importances::const_iterator();
    if (importances == nullptr || found == importances->end()) return;
    importance_ = found->second;
    const int64_t parts = what.tensor->shape.rank() == 3 ? what.tensor->shape[0] : 1;
    require(std::ssize(importance_) == parts * columns_, ErrorKind::kData, "importance",
            "'{}' has {} columns, but {} numbers say how much they matter; the matrix belongs to "
            "another model",
            name_, parts * columns_, importance_.size());
    rows_per_part_ = values_.numel() / columns_ / parts;
  }

  // The blocks; adds up the error.
  std::vector<std::byte> encode() {
    const int64_t rows = values_.numel() / columns_;
    const int64_t row_bytes = columns_ / type_.block * type_.bytes;
    std::vector<std::byte> out(static_cast<size_t>(rows * row_bytes));
    const int64_t per_chunk = std::max<int64_t>(1, kChunk / columns_);
    std::vector<double> errors(static_cast<size_t>((rows + per_chunk - 1) / per_chunk));
    parallel_dynamic(std::ssize(errors), [&](int64_t chunk, int) {
      std::vector<float> decoded(static_cast<size_t>(columns_));
      for (int64_t row = chunk * per_chunk; row < std::min(rows, (chunk + 1) * per_chunk); ++row) {
        const auto blocks = std::span(out).subspan(static_cast<size_t>(row * row_bytes),
                                                   static_cast<size_t>(row_bytes));
        errors[static_cast<size_t>(chunk)] += encode_row(row, blocks, decoded);
      }
    });
    for (const double error : errors) squares_ += error;
    return out;
  }

  double rmse() const { return std::sqrt(squares_ / static_cast<double>(values_.numel())); }

 private:
  double encode_row(int64_t row, std::span<std::byte> blocks, std::vector<float>& decoded) const {
    const auto x = values_.span<float>().subspan(static_cast<size_t>(row * columns_),
                                                 static_cast<size_t>(columns_));
    check_finite(x, row,
                 "the value {} at row {}, column {}, which is not a number that can be "
                 "quantised; mend the weights first");
    std::span<const float> importance;
    if (!importance_.empty())
      importance = std::span(importance_)
                       .subspan(static_cast<size_t>(row / rows_per_part_ * columns_),
                                static_cast<size_t>(columns_));
    type_.encode(x, importance, blocks);
    type_.decode(blocks, decoded);
    check_finite(decoded, row,
                 "a value that the type cannot hold (it becomes {}) at row {}, "
                 "column {}; choose BF16 or F32 for this tensor (--tensor)");
    double squares = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double d = double{decoded[i]} - double{x[i]};
      squares += d * d;
    }
    return squares;
  }

  void check_finite(std::span<const float> x, int64_t row, const char* problem) const {
    const auto bad = std::ranges::find_if_not(x, [](float v) { return std::isfinite(v); });
    if (bad == x.end()) return;
    fail(ErrorKind::kData, name_, "has {}",
         fmt::format(fmt::runtime(problem), *bad, row, bad - x.begin()));
  }

  const std::string& name_;
  const BlockType& type_;
  int64_t columns_;
  Tensor values_;
  std::vector<float> importance_;
  int64_t rows_per_part_ = 1;
  double squares_ = 0;
};

}  // namespace

std::vector<WrittenTensor> write_gguf(Transformer& model, const fs::path& path,
                                      const WriteGgufOptions& options) {
  const GgufArchitecture& architecture = gguf_architecture_of(family_for(model.config()));
  const GgufDescription description = describe_as_gguf(architecture, model);
  const auto tensors = map_weights(model, architecture.weights);
  const auto typed = choose_types(tensors, options.types);
  GgufWriter writer(path);
  add_values(writer, architecture, description, model.config(), options);
  for (const auto& [name, numbers] : description.tables)
    writer.announce(name, "F32", std::array{std::ssize(numbers)});
  for (const TypedTensor& t : typed)
    writer.announce(t.tensor->name, t.type->name, t.tensor->shape.dims());
  for (const auto& [name, numbers] : description.tables)
    writer.write(std::as_bytes(std::span(numbers)));
  std::vector<WrittenTensor> written;
  int64_t done = 0;
  for (const TypedTensor& t : typed) {
    TensorEncoder encoder(t, options.importances);
    writer.write(encoder.encode());
    const int64_t elements = t.tensor->shape.numel();
    written.push_back({t.tensor->name, t.type, elements, encoder.rmse(), t.is_fallback});
    if (options.progress) options.progress(done += elements);
  }
  writer.commit();
  return written;
}

}  // namespace lathe
