#pragma once

#include <optional>
#include <string>

#include "lathe/nn/position/rope_scaling.h"

namespace lathe {

struct PositionShape;

// The keys of the position "rope".
struct RopeConfig {
  double rope_theta = 10000.0;
  std::optional<double> rope_local_base_freq;
  std::string rope_layout = "half";
  std::string rope_places = "text";
  double partial_rotary_factor = 1.0;
  RopeScalingConfig scaling;

  void visit(Visitor& v);
  void resolve(const PositionShape& shape);
  void check(const PositionShape& shape, const KeyErrors& keys) const;
  // The number R of channels that rotate, of `channels` that can.
  int64_t rotary_width(int64_t channels) const;
  // Two positions for every token: rope.cc.
  bool blank() const { return rope_places == "blank"; }
};

}  // namespace lathe
