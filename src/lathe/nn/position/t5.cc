#include "lathe/nn/position/position.h"

namespace lathe {
namespace {

class T5Position : public Position {
 public:
  explicit T5Position(const PositionOptions& o)
      : buckets_(o.buckets),
        weight_({o.buckets.buckets, o.heads}, {Initializer::Kind::kNormal, o.init_std}) {
    weight_.is_table = true;
    weight_.full_precision = true;  // added to scores, which are f32
  }

  void add_to_scores(const Forward& f, const AttentionSite&, const Var&, const Var&,
                     ops::AttentionInputs& inputs) override {
    inputs.distance_bias = ops::distance_bias_from_buckets(f.use(weight_), buckets_);
  }
  std::string_view kind() const override { return "T5Position"; }
  void visit(ModuleVisitor& v) override { v.parameter("weight", weight_); }

 private:
  ops::BucketSpec buckets_;
  Parameter weight_;  // [buckets, H]
};

}  // namespace

std::unique_ptr<Position> make_t5_position(const PositionOptions& options) {
  return std::make_unique<T5Position>(options);
}

}  // namespace lathe
