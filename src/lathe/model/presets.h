// Known model shapes by name, for benchmarks, `lathe inspect` and recipes that start from one.
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
  // The size that the paper states: "540.35B parameters"; empty for our own models.
  std::string_view published = {}, source = {};
};

std::span<const Preset> presets();
const Preset& find_preset(std::string_view name);  // Error kConfig

}  // namespace lathe
