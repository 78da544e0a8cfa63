// Known model shapes by name, for benchmarks, `lathe inspect` and recipes that begin from one.
#pragma once

#include <span>
#include <string_view>

#include "lathe/model/model_config.h"

namespace lathe {

struct Preset {
  std::string_view name;
  std::string_view summary;
  int64_t batch_size, seq_len;  // of one training step when the preset is benchmarked
  ModelConfig (*config)();
  // What its paper says: "540.35B parameters"; empty for models of our own.
  std::string_view published = {}, source = {};
};

std::span<const Preset> presets();
const Preset& find_preset(std::string_view name);  // Error kConfig

}  // namespace lathe
