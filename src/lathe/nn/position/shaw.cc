// Trained vectors for each distance up to a largest one, added to keys and to values; each layer
// has its own, and all its heads share them.

#include "lathe/nn/position/shaw.h"

#include <vector>

#include "lathe/nn/position/position.h"

namespace lathe {
namespace {

struct Relations {
  Parameter keys, values;  // [2w+1, D], [2w+1, Dv]
};

class ShawOfPass : public PassPositions {
 public:
  explicit ShawOfPass(const std::vector<Relations>& layers) : layers_(layers) {}
  void add_to_scores(const Forward& f, const AttentionSite& site, const Var&,
                     ops::AttentionInputs& inputs) const override {
    const Relations& r = layers_[static_cast<size_t>(site.layer)];
    inputs.shaw_keys = f.use_wide(r.keys);
    inputs.shaw_values = f.use_wide(r.values);
  }

 private:
  const std::vector<Relations>& layers_;
};

class ShawPosition : public Position {
 public:
  ShawPosition(const PositionShape& s, const ShawConfig& config) {
    for (int64_t layer = 0; layer < s.layers; ++layer) {
      Relations& r = layers_.emplace_back();
      for (auto [p, width] : {std::pair{&r.keys, s.key_width}, {&r.values, s.value_width}}) {
        *p = Parameter({2 * config.shaw_distance + 1, width},
                       {Initializer::Kind::kNormal, s.init_std});
        p->is_table = p->full_precision = true;
      }
    }
  }

  std::unique_ptr<PassPositions> begin(const Forward&, const Tensor&) const override {
    return std::make_unique<ShawOfPass>(layers_);
  }
  std::string_view kind() const override { return "ShawPosition"; }
  void visit(ModuleVisitor& v) override {
    for (size_t i = 0; i < layers_.size(); ++i) {
      v.parameter(fmt::format("{}.keys", i), layers_[i].keys);
      v.parameter(fmt::format("{}.values", i), layers_[i].values);
    }
  }

 private:
  std::vector<Relations> layers_;
};

}  // namespace

void ShawConfig::visit(Visitor& v) {
  v.field("shaw_distance", shaw_distance, "shaw: larger distances are clipped to this",
          at_least(1));
}

void ShawConfig::check(const PositionShape& shape, const KeyErrors& keys) const {
  if (!shape.keeps_heads)
    keys.refuse(
        "kind",
        "shaw adds vectors to keys and values, which latent attention does not keep; use \"rope\"");
}

PositionComponent shaw_position() {
  return position_component<ShawPosition, ShawConfig>(
      {.name = "shaw",
       .summary = "learned vectors for each distance, added to keys and to values",
       .source = "Shaw et al. 2018, arXiv:1803.02155"});
}

}  // namespace lathe
