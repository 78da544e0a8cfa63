// Angles are position · frequency. Frequencies and angles are rounded to f32, as transformers does:
// a model was trained with exactly those angles, and at position 1,000 the rounding is 1e-5
// radians. Cos and sin tables grow (by doubling) to the largest position seen, so that a model
// which allows 131,072 positions does not pay for them when it is given ten tokens; they are made
// again when the length of the text changes the frequencies themselves (dynamic, longrope).

#include <algorithm>
#include <bit>
#include <cmath>

#include "lathe/nn/position/position.h"
#include "lathe/ops/attention.h"

namespace lathe {
namespace {

// The tables of one set of frequencies.
class RotaryTables {
 public:
  const ops::RopeTables& of(const RopeFrequencies& f, int64_t count, DType type, Device device) {
    const bool usable = tables_.cos.defined() && tables_.cos.size(0) >= count &&
                        tables_.cos.dtype() == type && frequencies_ == f.values;
    if (usable) return tables_;
    frequencies_ = f.values;
    const auto rows = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(count)));
    const auto half = static_cast<int64_t>(f.values.size());
    Tensor cosines({rows, half}, DType::kF64, device), sines(cosines.shape(), DType::kF64, device);
    double *cosine = cosines.data<double>(), *sine = sines.data<double>();
    for (int64_t p = 0; p < rows; ++p) {
      for (const float frequency : f.values) {
        const float angle = static_cast<float>(p) * frequency;
        *cosine++ = std::cos(static_cast<double>(angle)) * f.attention_factor;
        *sine++ = std::sin(static_cast<double>(angle)) * f.attention_factor;
      }
    }
    tables_ = {cosines.to(type), sines.to(type)};
    return tables_;
  }

 private:
  std::vector<float> frequencies_;
  ops::RopeTables tables_;
};

class Rope : public Position {
 public:
  explicit Rope(const PositionOptions& o)
      : options_(o),
        frequencies_of_(find_in(rope_scalings(), "position.scaling.kind", o.scaling.kind).make) {
    require(o.rotary_width % 2 == 0 && o.rotary_width > 0, ErrorKind::kConfig, "position.kind",
            "rope rotates pairs of channels, so their number must be even, got {}", o.rotary_width);
  }

  std::pair<Var, Var> apply_to_heads(const Forward& f, const AttentionSite& site, const Var& q,
                                     const Var& k) override {
    const auto& ids = f.positions;
    int64_t count = 0;
    for (int32_t p : ids.span<int32_t>()) count = std::max<int64_t>(count, p + 1);
    const DType type = q.value.dtype() == DType::kF64 ? DType::kF64 : DType::kF32;
    const bool own = site.local && options_.rope_local_theta.has_value();
    const RopeFrequencies frequencies =
        own ? rope_scalings().front().make({}, options_.rotary_width, *options_.rope_local_theta,
                                           count)
            : frequencies_of_(options_.scaling, options_.rotary_width, options_.rope_theta, count);
    const ops::RopeTables& tables =
        (own ? local_ : global_).of(frequencies, count, type, q.value.device());
    return {ops::rope(q, tables, ids, options_.rope_layout),
            ops::rope(k, tables, ids, options_.rope_layout)};
  }
  std::string_view kind() const override { return "Rope"; }

 private:
  PositionOptions options_;
  RopeFrequenciesOf frequencies_of_;
  RotaryTables global_, local_;
};

}  // namespace

std::unique_ptr<Position> make_rope(const PositionOptions& options) {
  return std::make_unique<Rope>(options);
}

}  // namespace lathe
