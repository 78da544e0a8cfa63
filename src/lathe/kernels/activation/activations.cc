#include "lathe/kernels/activation/activations.h"

#include "lathe/base/error.h"
#include "lathe/base/strings.h"

namespace lathe::kernels {

std::string_view ActivationId::name() const { return Activations::kNames[index]; }

std::vector<std::string> activation_names() {
  return {std::begin(Activations::kNames), std::end(Activations::kNames)};
}

ActivationId find_activation(std::string_view name) {
  for (int i = 0; i < Activations::kCount; ++i)
    if (Activations::kNames[i] == name) return ActivationId{static_cast<uint8_t>(i)};
  const auto names = activation_names();
  fail(ErrorKind::kConfig, "activation", "no activation '{}'.{} Known: {}", name,
       did_you_mean(name, names), join(names, ", "));
}

}  // namespace lathe::kernels
