#include "lathe/nn/position/learned.h"

#include "lathe/nn/embedding.h"
#include "lathe/nn/position/position.h"
#include "lathe/ops/elementwise.h"

namespace lathe {
namespace {

class LearnedPosition : public Position {
 public:
  LearnedPosition(const PositionShape& s, const LearnedPositionConfig& config)
      : offset_(config.offset),
        table_(s.max_positions + config.offset, s.hidden_size, s.init_std) {}

  Var add_to_embedding(const Forward& f, const Var& x) const override {
    Tensor rows = f.rows->positions;
    if (offset_ != 0) {
      rows = rows.clone();
      for (int32_t& p : rows.span<int32_t>()) p += static_cast<int32_t>(offset_);
    }
    return ops::add(x, table_.forward(f, rows));
  }
  int64_t limit() const override { return table_.weight.shape[0] - offset_; }
  std::string_view kind() const override { return "LearnedPosition"; }
  void visit(ModuleVisitor& v) override { table_.visit(v); }

 private:
  int64_t offset_;
  Embedding table_;
};

}  // namespace

void LearnedPositionConfig::visit(Visitor& v) {
  v.field("offset", offset, "learned: the row of position 0 (OPT has 2 rows before it)",
          at_least(0));
}

PositionComponent learned_position() {
  return position_component<LearnedPosition, LearnedPositionConfig>(
      {.name = "learned",
       .summary = "a learned vector per position",
       .source = "Radford et al. 2018 (GPT)"});
}

}  // namespace lathe
