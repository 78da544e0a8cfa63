// What a model reads and predicts: which stacks of blocks it has, and which tokens attend to which.
#pragma once

#include <span>

#include "lathe/base/catalogue.h"

namespace lathe {

struct Body {
  bool causal = true;    // the main stack's tokens see earlier ones only
  bool prefix = false;   // except that those of a prefix see each other
  bool encoder = false;  // a second, bidirectional stack, whose output the main one attends to
};

std::span<const CatalogueEntry<Body>> bodies();

}  // namespace lathe
