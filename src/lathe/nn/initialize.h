// The values of fresh parameters.
#pragma once

#include "lathe/base/rng.h"
#include "lathe/nn/parameter.h"

namespace lathe {

// Fills the parameter's tensor as its Initializer says; element i is a function of (stream, i).
void draw(Parameter& p, const Rng& stream);

}  // namespace lathe
