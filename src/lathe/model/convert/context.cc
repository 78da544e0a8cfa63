// Longer texts. What has to change depends on how the model knows where a token stands:
//
//   rope      position.scaling with factor = new length / old, as --rope-scaling says (the formulas
//             are in nn/position/rope_scaling.cc); a model that is stretched already is stretched
//             further in the same way, by factors that multiply
//   learned   the table is interpolated linearly: row p of the N new ones lies at p·(L-1)/(N-1) of
//             the L old ones, so the first and the last stay what they were and none is made up
//   others    nothing but the limit: distances (alibi, t5, shaw) and sines have no table of places
//
// Quality at the new length comes from some training there, except for `dynamic`, which needs none.

#include <algorithm>
#include <cmath>

#include "lathe/base/error.h"
#include "lathe/model/convert/conversion.h"
#include "lathe/nn/position/learned.h"
#include "lathe/nn/position/rope.h"

namespace lathe {
namespace {

const RopeConfig& rope_of(const ModelConfig& c) { return c.position.get<RopeConfig>(); }

double factor_of(const ModelConfig& c) {
  return rope_of(c).scaling.factor_for(c.max_position_embeddings);
}

// The longest text that the model reads now. Where the trained length is not written down beside
// the limit, the limit is the trained length, and the model reads factor times as much.
int64_t reach_of(const ModelConfig& c) {
  const auto* rope = c.position.chosen<RopeConfig>();
  if (rope == nullptr) return c.max_position_embeddings;
  const RopeStretch& stretch = find_rope_scaling(rope->scaling.kind);
  const bool limit_is_trained =
      stretch.measures_limit ||
      (stretch.measures_origin && !rope->scaling.original_max_position_embeddings);
  if (!limit_is_trained) return c.max_position_embeddings;
  constexpr double kLargest = 9e15;  // a whole number still, whatever the factor
  return std::llround(
      std::min(kLargest, factor_of(c) * static_cast<double>(c.max_position_embeddings)));
}

class ContextConversion : public Conversion {
 public:
  ContextConversion(int64_t length, std::optional<std::string> scaling)
      : length_(length), scaling_(std::move(scaling)) {}

  ModelConfig config(const ModelConfig& from) const override {
    require(length_ >= reach_of(from), ErrorKind::kConfig, "--context",
            "{} is less than the {} tokens that the model reads now; a shorter limit needs no "
            "conversion",
            length_, reach_of(from));
    const bool rope = from.position.chosen<RopeConfig>() != nullptr;
    require(rope || !scaling_, ErrorKind::kConfig, "--rope-scaling",
            "the model's positions are {}, which are not rotary; leave it out", from.position.kind);
    ModelConfig to = from;
    to.max_position_embeddings = length_;
    if (rope) stretch(from, to);
    return to;
  }

  void fill(Transformer& from, Transformer& to) const override {
    const auto* learned = from.config().position.chosen<LearnedPositionConfig>();
    carry_over(from, to, [&](const Parameter* old, Parameter& fresh) {
      const bool table = fresh.name == "position.weight" || fresh.name == "encoder.position.weight";
      if (learned == nullptr || !table) return false;
      interpolate(old->value.tensor(), fresh.value.tensor(), learned->offset);
      return true;
    });
  }

  std::string note(const ModelConfig& from) const override {
    if (from.position.chosen<LearnedPositionConfig>() != nullptr)
      return fmt::format("the table of learned positions is interpolated from {} rows to {}",
                         from.max_position_embeddings, length_);
    if (from.position.chosen<RopeConfig>() == nullptr)
      return fmt::format("with {} positions only the limit changes", from.position.kind);
    if (!asked().stretches())
      return "only the limit changes; the model was not trained on the new positions";
    if (find_rope_scaling(*scaling_).measures_limit)
      return "dynamic scaling is measured from max_position_embeddings, which therefore stays";
    return fmt::format("rotary scaling {}, factor {}; some training on long texts helps", *scaling_,
                       factor_of(config(from)));
  }

 private:
  RopeScalingConfig asked() const {
    RopeScalingConfig scaling;
    scaling.kind = *scaling_;
    return scaling;
  }

  void stretch(const ModelConfig& from, ModelConfig& to) const {
    const RopeScalingConfig& now = rope_of(from).scaling;
    RopeScalingConfig& next = to.position.get<RopeConfig>().scaling;
    require(scaling_.has_value(), ErrorKind::kConfig, "--context",
            "the model has rotary positions; give --rope-scaling to say how they are stretched: {}",
            now.stretches() ? now.kind : "linear, ntk, dynamic, yarn, llama3, or none");
    const RopeStretch& stretch = find_rope_scaling(*scaling_);
    require(!stretch.has_divisors, ErrorKind::kConfig, "--rope-scaling",
            "{} needs a divisor for each channel, which has to be searched for; use yarn",
            *scaling_);
    if (!asked().stretches() && !now.stretches()) return;
    require(!now.stretches() || now.kind == *scaling_, ErrorKind::kConfig, "--rope-scaling",
            "the model already uses {}; only the same scaling can be extended", now.kind);
    next.kind = *scaling_;
    next.factor =
        factor_of(from) * static_cast<double>(length_) / static_cast<double>(reach_of(from));
    if (stretch.measures_origin)
      next.original_max_position_embeddings =
          now.original_max_position_embeddings.value_or(from.max_position_embeddings);
    if (stretch.measures_limit) to.max_position_embeddings = from.max_position_embeddings;
  }

  // Tables [offset + L, C] and [offset + N, C]; the first `offset` rows belong to no position.
  static void interpolate(const Tensor& from, const Tensor& to, int64_t offset) {
    const int64_t old_rows = from.size(0) - offset, rows = to.size(0) - offset, width = to.size(1);
    to.narrow(0, 0, offset).copy_from(from.narrow(0, 0, offset));
    const float* in = from.data<float>() + offset * width;
    float* out = to.data<float>() + offset * width;
    for (int64_t p = 0; p < rows; ++p) {
      // p·(L-1)/(N-1) as a whole number and a rest, exactly
      const int64_t steps = std::max<int64_t>(rows - 1, 1);
      const int64_t below = p * (old_rows - 1) / steps;
      const double rest =
          static_cast<double>(p * (old_rows - 1) % steps) / static_cast<double>(steps);
      const int64_t above = std::min(below + 1, old_rows - 1);
      for (int64_t c = 0; c < width; ++c)
        out[p * width + c] =
            static_cast<float>((1.0 - rest) * in[below * width + c] + rest * in[above * width + c]);
    }
  }

  int64_t length_;
  std::optional<std::string> scaling_;
};

}  // namespace

std::unique_ptr<Conversion> make_context_conversion(const ConversionOptions& options) {
  if (!options.context) return nullptr;
  return std::make_unique<ContextConversion>(*options.context, options.rope_scaling);
}

}  // namespace lathe
