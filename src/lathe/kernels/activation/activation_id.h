// Which activation, without the formulas: what everything above the kernels needs to know of the
// catalogue, so that adding one recompiles only the kernels that compute it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lathe::kernels {

struct ActivationId {
  uint8_t index = 0;  // in the catalogue of activations.h
  std::string_view name() const;
  bool operator==(const ActivationId&) const = default;
};

// By recipe name; throws kConfig with the list of names if there is no such name.
ActivationId find_activation(std::string_view name);
std::vector<std::string> activation_names();

}  // namespace lathe::kernels
