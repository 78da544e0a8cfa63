// A penalty on every score that grows with the distance, by another slope in each head. The usual
// form adds -slope · distance to the scaled score. Falcon's adds slope · key position, in bf16, to
// the score before it is scaled: the softmax does not see the part that all keys of a query share,
// but the rounding is in what its models learned.

#include <algorithm>
#include <vector>

#include "lathe/nn/position/position.h"

namespace lathe {
namespace {

class AlibiOfPass : public PassPositions {
 public:
  explicit AlibiOfPass(ops::DistanceBias table) : table_(std::move(table)) {}
  void add_to_scores(const Forward&, const AttentionSite&, const Var&,
                     ops::AttentionInputs& inputs) const override {
    inputs.distance_bias = table_;
  }

 private:
  ops::DistanceBias table_;
};

// [H,S], before the scale of the scores.
std::vector<double> rounded_by_key(int64_t heads, int64_t keys) {
  std::vector<double> biases;
  for (const double slope : ops::alibi_slopes(heads)) {
    const float rounded = to_float(to_bf16(static_cast<float>(slope)));
    for (int64_t s = 0; s < keys; ++s)
      biases.push_back(static_cast<double>(to_float(to_bf16(rounded * static_cast<float>(s)))));
  }
  return biases;
}

class AlibiByKeyOfPass : public PassPositions {
 public:
  AlibiByKeyOfPass(int64_t heads, int64_t keys, const Tensor& like)
      : biases_(rounded_by_key(heads, keys)),
        shape_{heads, keys},
        dtype_(like.dtype() == DType::kF64 ? DType::kF64 : DType::kF32),
        device_(like.device()) {}
  void add_to_scores(const Forward&, const AttentionSite& site, const Var&,
                     ops::AttentionInputs& inputs) const override {
    const Tensor scaled(shape_, DType::kF64, device_);
    std::ranges::transform(biases_, scaled.data<double>(),
                           [&](double bias) { return site.scale * bias; });
    inputs.key_bias = scaled.to(dtype_);
  }

 private:
  std::vector<double> biases_;
  Shape shape_;
  DType dtype_;
  Device device_;
};

struct AlibiConfig {
  std::string alibi = "distance";

  bool by_key() const { return alibi == "falcon"; }
  void visit(Visitor& v) {
    v.choice("alibi", alibi, {"distance", "falcon"},
             "alibi: -slope·distance, or as in Falcon: slope·key in bf16, scaled like q·k");
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

  std::unique_ptr<PassPositions> begin(const Forward& f, const Tensor& x) const override {
    int64_t keys = f.rows->keys().longest();
    if (const auto& streaming = f.pass->streaming)  // none is farther away
      keys = std::min(keys, streaming->window + streaming->sinks);
    if (by_key_) return std::make_unique<AlibiByKeyOfPass>(heads_, keys, x);
    return std::make_unique<AlibiOfPass>(ops::alibi_bias(heads_, keys, x, causal_));
  }
  bool follows_distances() const override { return !by_key_; }
  std::string_view kind() const override { return "ALiBi"; }

 private:
  int64_t heads_;
  bool by_key_, causal_;
};

}  // namespace

PositionComponent alibi_position() {
  return position_component<Alibi, AlibiConfig>(
      {.name = "alibi",
       .summary = "scores fall with the distance, with a different slope in each head",
       .source = "Press et al. 2022, arXiv:2108.12409",
       .examples = {{"falcon", R"({"alibi": "falcon"})"}}});
}

}  // namespace lathe
