#pragma once

#include "lathe/config/component.h"

namespace lathe {

struct PositionShape;

// The keys of the position "shaw".
struct ShawConfig {
  int64_t shaw_distance = 16;
  void visit(Visitor& v);
  void check(const PositionShape& shape, const KeyErrors& keys) const;
};

}  // namespace lathe
