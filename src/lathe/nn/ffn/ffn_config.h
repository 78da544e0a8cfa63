// The section [model.ffn] of a recipe.
#pragma once

#include "lathe/config/component.h"

namespace lathe {

struct FeedForwardConfig : ComponentChoice {
  FeedForwardConfig();
  void visit(Visitor& v);
};

}  // namespace lathe
