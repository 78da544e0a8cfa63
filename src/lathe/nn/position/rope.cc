// Angles are position · theta^(-2i/D). Frequencies and angles are rounded to f32, as transformers
// does: a model was trained with exactly those angles, and at position 1,000 the rounding is 1e-5
// radians. Cos and sin tables grow (by doubling) to the largest position seen, so that a model
// which allows 131,072 positions does not pay for them when it is given ten tokens.

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "lathe/nn/position/position.h"
#include "lathe/ops/attention.h"

namespace lathe {
namespace {

class Rope : public Position {
 public:
  explicit Rope(const PositionOptions& o)
      : width_(o.head_dim), theta_(o.rope_theta), layout_(o.rope_layout) {
    require(width_ % 2 == 0, ErrorKind::kConfig, "position.kind",
            "rope rotates pairs of channels, so head_dim must be even, got {}", width_);
  }

  std::pair<Var, Var> apply_to_heads(const Forward& f, const Var& q, const Var& k) override {
    const auto& ids = f.positions;
    int32_t last = 0;
    for (int32_t p : ids.span<int32_t>()) last = std::max(last, p);
    const DType type = q.value.dtype() == DType::kF64 ? DType::kF64 : DType::kF32;
    const ops::RopeTables& tables = tables_for(last + 1, type, q.value.device());
    return {ops::rope(q, tables, ids, layout_), ops::rope(k, tables, ids, layout_)};
  }
  std::string_view kind() const override { return "Rope"; }

 private:
  const ops::RopeTables& tables_for(int64_t count, DType type, Device device) {
    if (tables_.cos.defined() && tables_.cos.size(0) >= count && tables_.cos.dtype() == type)
      return tables_;
    const auto rows = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(count)));
    Tensor cosines({rows, width_ / 2}, DType::kF64, device),
        sines(cosines.shape(), DType::kF64, device);
    std::vector<float> frequencies;
    for (int64_t i = 0; i < width_ / 2; ++i)
      frequencies.push_back(1.0f /
                            std::pow(static_cast<float>(theta_),
                                     static_cast<float>(2 * i) / static_cast<float>(width_)));
    for (int64_t p = 0; p < rows; ++p) {
      for (int64_t i = 0; i < width_ / 2; ++i) {
        const float angle = static_cast<float>(p) * frequencies[static_cast<size_t>(i)];
        cosines.data<double>()[p * (width_ / 2) + i] = std::cos(static_cast<double>(angle));
        sines.data<double>()[p * (width_ / 2) + i] = std::sin(static_cast<double>(angle));
      }
    }
    tables_ = {cosines.to(type), sines.to(type)};
    return tables_;
  }

  int64_t width_;
  double theta_;
  kernels::RopeLayout layout_;
  ops::RopeTables tables_;
};

}  // namespace

std::unique_ptr<Position> make_rope(const PositionOptions& options) {
  return std::make_unique<Rope>(options);
}

}  // namespace lathe
