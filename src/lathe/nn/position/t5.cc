#include "lathe/nn/position/position.h"

namespace lathe {
namespace {

// The table is made in every layer: each adds its part to the gradient of the weight.
class T5OfPass : public PassPositions {
 public:
  T5OfPass(const Parameter& weight, const ops::BucketSpec& buckets)
      : weight_(weight), buckets_(buckets) {}
  void add_to_scores(const Forward& f, const AttentionSite&, const Var&,
                     ops::AttentionInputs& inputs) const override {
    inputs.distance_bias = ops::distance_bias_from_buckets(f.use(weight_), buckets_);
  }

 private:
  const Parameter& weight_;
  const ops::BucketSpec& buckets_;
};

struct T5Config {
  int64_t relative_attention_num_buckets = 32, relative_attention_max_distance = 128;

  void visit(Visitor& v) {
    v.field("relative_attention_num_buckets", relative_attention_num_buckets,
            "t5: buckets of distances", at_least(2));
    v.field("relative_attention_max_distance", relative_attention_max_distance,
            "t5: distances from here on share the last bucket", at_least(2));
  }
  void check(const PositionShape& shape, const KeyErrors& keys) const {
    const int64_t buckets = relative_attention_num_buckets;
    // A bidirectional stack has half of the buckets for each direction.
    if (!shape.causal && buckets < 4)
      keys.refuse("relative_attention_num_buckets",
                  fmt::format("{} buckets for two directions; use at least 4", buckets));
    const int64_t exact = buckets / (shape.causal ? 2 : 4);
    if (relative_attention_max_distance <= exact)
      keys.refuse(
          "relative_attention_max_distance",
          fmt::format("{} is within the {} buckets that hold one distance each; use a larger one",
                      relative_attention_max_distance, exact));
  }
};

class T5Position : public Position {
 public:
  T5Position(const PositionShape& shape, const T5Config& config)
      : buckets_{.buckets = config.relative_attention_num_buckets,
                 .max_distance = config.relative_attention_max_distance,
                 .bidirectional = !shape.causal},
        weight_({buckets_.buckets, shape.heads}, {Initializer::Kind::kNormal, shape.init_std}) {
    weight_.is_table = true;
    weight_.full_precision = true;  // added to scores, which are f32
  }

  std::unique_ptr<PassPositions> begin(const Forward&, const Tensor&) const override {
    return std::make_unique<T5OfPass>(weight_, buckets_);
  }
  std::string_view kind() const override { return "T5Position"; }
  void visit(ModuleVisitor& v) override { v.parameter("weight", weight_); }

 private:
  ops::BucketSpec buckets_;
  Parameter weight_;  // [buckets, H]
};

}  // namespace

PositionComponent t5_position() {
  return position_component<T5Position, T5Config>(
      {.name = "t5",
       .summary = "a learned bias for each bucket of distances, the same in every layer",
       .source = "Raffel et al. 2020, arXiv:1910.10683"});
}

}  // namespace lathe
