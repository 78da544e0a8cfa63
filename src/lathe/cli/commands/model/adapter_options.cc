#include "lathe/cli/commands/model/adapter_options.h"

#include <charconv>
#include <tuple>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"

namespace lathe {
namespace {

// "3", "3-7".
std::pair<int64_t, int64_t> layers_from(const std::string& text) {
  int64_t first = -1, last = -1;
  const char* end = text.data() + text.size();
  auto parsed = std::from_chars(text.data(), end, first);
  last = first;
  if (parsed.ec == std::errc() && parsed.ptr != end && *parsed.ptr == '-')
    parsed = std::from_chars(parsed.ptr + 1, end, last);
  require(parsed.ec == std::errc() && parsed.ptr == end && first >= 0 && last >= first,
          ErrorKind::kUsage, "--steering-layers",
          "'{}' is not a range of layers; write it as 4-9, counted from 0", text);
  return {first, last};
}

}  // namespace

void AdapterOptions::visit(Visitor& v) {
  v.field("adapter", adapter,
          "folder of an adapter, as PEFT saves it; several act one after the other");
  v.field("steering", steering,
          "file of steering vectors, safetensors or GGUF, added behind layers");
  v.field("steering_scale", steering_scale, "factor of the steering vectors");
  v.field("steering_layers", steering_layers,
          "behind which layers, as 4-9, counted from 0; default: all that have a vector");
}

std::optional<Steering> AdapterOptions::load_vectors(const Transformer& model) const {
  require(steering || !steering_layers, ErrorKind::kUsage, "--steering-layers",
          "has no effect without --steering");
  require(steering || steering_scale == 1, ErrorKind::kUsage, "--steering-scale",
          "has no effect without --steering");
  if (!steering) return std::nullopt;
  Steering vectors{.vectors = load_steering(*steering), .scale = steering_scale};
  const std::string why = vectors.vectors->why_not(model.config());
  require(why.empty(), ErrorKind::kData, *steering, "{}", why);
  if (steering_layers) std::tie(vectors.first, vectors.last) = layers_from(*steering_layers);
  const int64_t layers = model.config().num_hidden_layers;
  require(!steering_layers || vectors.last < layers, ErrorKind::kUsage, "--steering-layers",
          "goes to {}, but the last layer is {}", vectors.last, layers - 1);
  return vectors;
}

Adaptation AdapterOptions::load(Transformer& model, const Log& log) const {
  Adaptation what{.steering = load_vectors(model)};
  for (const std::string& folder : adapter) {
    what.loras.push_back(load_lora(folder, model, log));
    log.info("{}: adapts {} parameters with {}", folder,
             what.loras.back()->products().size() + what.loras.back()->lookups().size(),
             human_bytes(static_cast<double>(what.loras.back()->bytes())));
  }
  return what;
}

AppliedModelAdapters AdapterOptions::apply(Transformer& model, const Log& log) const {
  AppliedModelAdapters what;
  auto vectors = load_vectors(model);
  for (const std::string& folder : adapter) {
    what.all.push_back(load_adapter(folder, model, log));
    log.info("{}: {} with {}", folder, what.all.back()->config().peft_type,
             human_bytes(static_cast<double>(what.all.back()->bytes())));
  }
  if (!what.all.empty() || vectors)
    what.acting = std::make_unique<AppliedAdapters>(what.all, std::move(vectors));
  return what;
}

}  // namespace lathe
