#include "lathe/nn/embedding.h"
#include "lathe/nn/position/position.h"
#include "lathe/ops/elementwise.h"

namespace lathe {
namespace {

class LearnedPosition : public Position {
 public:
  explicit LearnedPosition(const PositionOptions& o)
      : offset_(o.offset), table_(o.max_positions + o.offset, o.hidden_size, o.init_std) {}

  Var add_to_embedding(const Forward& f, const Var& x) override {
    Tensor rows = f.positions;
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

std::unique_ptr<Position> make_learned_position(const PositionOptions& options) {
  return std::make_unique<LearnedPosition>(options);
}

}  // namespace lathe
