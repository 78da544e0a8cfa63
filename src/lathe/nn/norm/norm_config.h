// The section [model.norm] of a recipe.
#pragma once

#include "lathe/config/component.h"

namespace lathe {

struct NormConfig : ComponentChoice {
  std::string placement = "pre";
  double eps = 1e-5;
  bool bias = false;
  bool final = true;
  bool embedding = false;

  NormConfig();
  void visit(Visitor& v);
};

}  // namespace lathe
