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
  v.field("adapter", adapter, "folder of a LoRA adapter, as PEFT saves it; several add up");
  v.field("steering", steering,
          "file of steering vectors, safetensors or GGUF, added behind layers");
  v.field("steering_scale", steering_scale, "factor of the steering vectors");
  v.field("steering_layers", steering_layers,
          "behind which layers, as 4-9, counted from 0; default: all that have a vector");
}

Adaptation AdapterOptions::load(Transformer& model, const Log& log) const {
  require(steering || !steering_layers, ErrorKind::kUsage, "--steering-layers",
          "has no effect without --steering");
  require(steering || steering_scale == 1, ErrorKind::kUsage, "--steering-scale",
          "has no effect without --steering");
  Adaptation what;
  for (const std::string& folder : adapter) {
    what.loras.push_back(load_lora(folder, model, log));
    log.info("{}: adapts {} parameters with {}", folder,
             what.loras.back()->products().size() + what.loras.back()->lookups().size(),
             human_bytes(static_cast<double>(what.loras.back()->bytes())));
  }
  if (!steering) return what;
  what.steering = Steering{.vectors = load_steering(*steering), .scale = steering_scale};
  const std::string why = what.steering->vectors->why_not(model.config());
  require(why.empty(), ErrorKind::kData, *steering, "{}", why);
  if (steering_layers)
    std::tie(what.steering->first, what.steering->last) = layers_from(*steering_layers);
  const int64_t layers = model.config().num_hidden_layers;
  require(!steering_layers || what.steering->last < layers, ErrorKind::kUsage, "--steering-layers",
          "goes to {}, but the last layer is {}", what.steering->last, layers - 1);
  return what;
}

}  // namespace lathe
