// PE[p, 2i] = sin(p / 10000^(2i/C)), PE[p, 2i + 1] = cos of the same.

#include <cmath>

#include "lathe/nn/position/position.h"
#include "lathe/ops/elementwise.h"

namespace lathe {
namespace {

class SinusoidalPosition : public Position {
 public:
  explicit SinusoidalPosition(const PositionShape&) {}

  Var add_to_embedding(const Forward& f, const Var& x) const override {
    const int64_t width = x.shape()[-1];
    const Tensor waves(x.shape(), DType::kF64, x.value.device());
    double* to = waves.data<double>();
    for (const int32_t p : f.rows->positions.span<int32_t>()) {
      for (int64_t c = 0; c < width; ++c) {
        const double turn = static_cast<double>(c / 2 * 2) / static_cast<double>(width);
        const double angle = p * std::pow(10000.0, -turn);
        *to++ = c % 2 == 0 ? std::sin(angle) : std::cos(angle);
      }
    }
    return ops::add(x, waves.to(x.value.dtype()));
  }
  std::string_view kind() const override { return "SinusoidalPosition"; }
};

}  // namespace

PositionComponent sinusoidal_position() {
  return position_component<SinusoidalPosition>(
      {.name = "sinusoidal",
       .summary = "sines and cosines of fixed wavelengths, added to the embedding",
       .source = "Vaswani et al. 2017, arXiv:1706.03762"});
}

}  // namespace lathe
