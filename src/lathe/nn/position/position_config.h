// The section [model.position] of a recipe.
#pragma once

#include "lathe/config/component.h"

namespace lathe {

struct PositionConfig : ComponentChoice {
  PositionConfig();
  void visit(Visitor& v);
};

}  // namespace lathe
