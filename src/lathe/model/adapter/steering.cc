#include "lathe/model/adapter/steering.h"

#include <charconv>
#include <cmath>
#include <optional>

#include "lathe/base/error.h"
#include "lathe/io/gguf.h"
#include "lathe/io/hash.h"
#include "lathe/io/safetensors.h"
#include "lathe/model/gguf/gguf_model.h"
#include "lathe/model/stored_weights.h"

namespace lathe {
namespace {

constexpr std::string_view kName = "direction.";
constexpr int64_t kMostLayers = 100'000;

std::shared_ptr<const ArrayReader> open(const std::filesystem::path& file) {
  if (!is_gguf_file(file)) return std::make_shared<SafetensorsReader>(file);
  auto reader = std::make_shared<GgufReader>(file);
  const auto architecture = reader->metadata().get<std::string_view>("general.architecture");
  require(architecture == "controlvector", ErrorKind::kFormat, file.string(),
          "general.architecture is \"{}\", expected \"controlvector\"; give a file of steering "
          "vectors",
          architecture.value_or("none"));
  return reader;
}

int64_t layer_of(const std::string& name, const std::string& where) {
  int64_t layer = -1;
  const char* end = name.data() + name.size();
  if (name.starts_with(kName)) {
    const auto parsed = std::from_chars(name.data() + kName.size(), end, layer);
    if (parsed.ec != std::errc() || parsed.ptr != end) layer = -1;
  }
  require(layer >= 0 && layer < kMostLayers, ErrorKind::kFormat, where,
          "'{}' is not a steering vector; expected tensors '{}N' with the number of a layer", name,
          kName);
  return layer;
}

}  // namespace

SteeringVectors::SteeringVectors(std::map<int64_t, Tensor> directions)
    : directions_(std::move(directions)) {
  require(!directions_.empty(), ErrorKind::kFormat, "steering", "there are no vectors");
  Hasher hasher;
  for (const auto& [layer, direction] : directions_) {
    require(direction.rank() == 1 && direction.size(0) == width() && width() > 0,
            ErrorKind::kFormat, "steering",
            "the vector of layer {} has shape {}, expected [{}] as that of layer {}", layer,
            direction.shape(), width(), directions_.begin()->first);
    hasher.update(fmt::format("{} {}", layer, width()));
    hasher.update(std::as_bytes(direction.span<float>()));
  }
  identity_ = hasher.hex();
}

const Tensor* SteeringVectors::of_layer(int64_t layer) const {
  const auto found = directions_.find(layer);
  return found == directions_.end() ? nullptr : &found->second;
}

std::string SteeringVectors::why_not(const ModelConfig& model) const {
  constexpr std::string_view kAdvice =
      "the vectors were made for another model; give that one, or vectors of this one";
  if (width() != model.hidden_size)
    return fmt::format("the vectors have {} elements, but the layers of this model have {}; {}",
                       width(), model.hidden_size, kAdvice);
  if (const int64_t last = directions_.rbegin()->first; last >= model.num_hidden_layers)
    return fmt::format("there is a vector for layer {}, but this model has layers 0 to {}; {}",
                       last, model.num_hidden_layers - 1, kAdvice);
  return "";
}

std::shared_ptr<const SteeringVectors> load_steering(const std::filesystem::path& file) {
  const auto reader = open(file);
  const std::string where = file.string();
  std::map<int64_t, Tensor> all;
  for (const ArraySpan& array : reader->arrays()) {
    const int64_t layer = layer_of(array.name, where);
    require(array.shape.size() == 1 && array.shape[0] > 0, ErrorKind::kFormat, where,
            "'{}' has shape [{}], expected one vector", array.name, fmt::join(array.shape, ", "));
    const Tensor direction = stored_tensor(array, reader).to(DType::kF32).clone();
    for (const float v : direction.span<float>())
      require(std::isfinite(v), ErrorKind::kFormat, where,
              "'{}' has a value that is not finite; make the vectors again", array.name);
    require(all.emplace(layer, direction).second, ErrorKind::kFormat, where,
            "there are two vectors for layer {}", layer);
  }
  require(!all.empty(), ErrorKind::kFormat, where, "there is no tensor '{}N' in it", kName);
  return std::make_shared<const SteeringVectors>(std::move(all));
}

const Tensor* Steering::at(int64_t layer) const {
  return layer >= first && layer <= last && scale != 0 ? vectors->of_layer(layer) : nullptr;
}

std::string Steering::identity() const {
  return fmt::format("{} {} {} {}", vectors->identity(), scale, first, last);
}

}  // namespace lathe
