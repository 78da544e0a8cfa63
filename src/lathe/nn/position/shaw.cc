// Trained vectors for each distance up to a largest one, added to keys and to values; each layer has
// its own, and all its heads share them.

#include <vector>

#include "lathe/nn/position/position.h"

namespace lathe {
namespace {

class ShawPosition : public Position {
 public:
  explicit ShawPosition(const PositionOptions& o) {
    for (int64_t layer = 0; layer < o.layers; ++layer) {
      Relations& r = layers_.emplace_back();
      for (auto [p, width] : {std::pair{&r.keys, o.key_width}, {&r.values, o.value_width}}) {
        *p = Parameter({2 * o.shaw_distance + 1, width}, {Initializer::Kind::kNormal, o.init_std});
        p->is_table = p->full_precision = true;
      }
    }
  }

  void add_to_scores(const Forward& f, const AttentionSite& site, const Var&, const Var&,
                     ops::AttentionInputs& inputs) override {
    Relations& r = layers_[static_cast<size_t>(site.layer)];
    inputs.shaw_keys = f.use_wide(r.keys);
    inputs.shaw_values = f.use_wide(r.values);
  }
  std::string_view kind() const override { return "ShawPosition"; }
  void visit(ModuleVisitor& v) override {
    for (size_t i = 0; i < layers_.size(); ++i) {
      v.parameter(fmt::format("{}.keys", i), layers_[i].keys);
      v.parameter(fmt::format("{}.values", i), layers_[i].values);
    }
  }

 private:
  struct Relations {
    Parameter keys, values;  // [2w+1, D], [2w+1, Dv]
  };
  std::vector<Relations> layers_;
};

}  // namespace

std::unique_ptr<Position> make_shaw_position(const PositionOptions& options) {
  return std::make_unique<ShawPosition>(options);
}

}  // namespace lathe
