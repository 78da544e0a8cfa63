#include "lathe/kernels/activation/activations.h"

#include "lathe/base/catalogue.h"

namespace lathe::kernels {

std::string_view ActivationId::name() const { return Activations::kNames[index]; }

std::vector<std::string> activation_names() {
  return {std::begin(Activations::kNames), std::end(Activations::kNames)};
}

ActivationId find_activation(std::string_view name) {
  for (int i = 0; i < Activations::kCount; ++i)
    if (Activations::kNames[i] == name) return ActivationId{static_cast<uint8_t>(i)};
  fail_unknown_name(ErrorKind::kConfig, "activation", name, activation_names());
}

}  // namespace lathe::kernels
