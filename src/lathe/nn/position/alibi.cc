// A penalty on every score that grows with the distance, by another slope in each head. The usual
// form adds -slope · distance to the scaled score. Falcon's adds slope · key position, in bf16, to
// the score before it is scaled: the softmax does not see the part that all keys of a query share,
// but the rounding is in what its models learned.

#include <algorithm>
#include <bit>

#include "lathe/nn/position/position.h"

namespace lathe {
namespace {

struct AlibiConfig {
  std::string alibi = "distance";

  bool by_key() const { return alibi == "falcon"; }
  void visit(Visitor& v) {
    v.choice("alibi", alibi, {"distance", "falcon"},
             "alibi: -slope·distance, or as Falcon has it: slope·key in bf16, scaled as q·k is");
  }
  void check(const PositionShape& shape, const KeyErrors& keys) const {
    if (by_key() && shape.sees_later)
      keys.refuse("alibi",
                  fmt::format("\"falcon\" favours later keys, and in body = \"{}\" some tokens "
                              "see what comes after them; use \"distance\"",
                              shape.body));
  }
};

class Alibi : public Position {
 public:
  Alibi(const PositionShape& shape, const AlibiConfig& config)
      : heads_(shape.heads), by_key_(config.by_key()), causal_(!shape.sees_later) {}

  void add_to_scores(const Forward&, const AttentionSite& site, const Var& q, const Var& k,
                     ops::AttentionInputs& inputs) override {
    const int64_t keys = k.shape()[1];
    if (by_key_) {
      inputs.key_bias = key_bias(keys, site.scale, q.value);
      return;
    }
    const bool usable =
        table_.table.defined() && reach_ >= keys &&
        table_.table.value.device() == q.value.device() &&
        (table_.table.value.dtype() == DType::kF64) == (q.value.dtype() == DType::kF64);
    if (!usable) {
      reach_ = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(keys)));
      table_ = ops::alibi_bias(heads_, reach_, q.value, causal_);
    }
    inputs.distance_bias = table_;
  }
  std::string_view kind() const override { return "ALiBi"; }

 private:
  Tensor key_bias(int64_t keys, double scale, const Tensor& like) const {
    const Tensor bias({heads_, keys}, DType::kF64, like.device());
    double* to = bias.data<double>();
    for (const double slope : ops::alibi_slopes(heads_)) {
      const float rounded = to_float(to_bf16(static_cast<float>(slope)));
      for (int64_t s = 0; s < keys; ++s)
        *to++ = scale * static_cast<double>(to_float(to_bf16(rounded * static_cast<float>(s))));
    }
    return bias.to(like.dtype() == DType::kF64 ? DType::kF64 : DType::kF32);
  }

  int64_t heads_;
  bool by_key_, causal_;
  int64_t reach_ = 0;
  ops::DistanceBias table_;  // for distances below reach_
};

}  // namespace

PositionComponent alibi_position() {
  return position_component<Alibi, AlibiConfig>(
      {.name = "alibi",
       .summary = "scores fall with the distance, by another slope in each head",
       .source = "Press et al. 2022, arXiv:2108.12409",
       .examples = {{"falcon", R"({"alibi": "falcon"})"}}});
}

}  // namespace lathe
