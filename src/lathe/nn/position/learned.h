#pragma once

#include "lathe/config/visit.h"

namespace lathe {

// The keys of the position "learned".
struct LearnedPositionConfig {
  int64_t offset = 0;
  void visit(Visitor& v);
};

}  // namespace lathe
