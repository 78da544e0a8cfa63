#include "lathe/nn/embedding.h"
#include "lathe/nn/position/position.h"
#include "lathe/ops/elementwise.h"

namespace lathe {
namespace {

class LearnedPosition : public Position {
 public:
  explicit LearnedPosition(const PositionOptions& o)
      : table_(o.max_positions, o.hidden_size, o.init_std) {}

  Var add_to_embedding(const Forward& f, const Var& x) override {
    return ops::add(x, table_.forward(f, f.positions));
  }
  int64_t limit() const override { return table_.weight.shape[0]; }
  std::string_view kind() const override { return "LearnedPosition"; }
  void visit(ModuleVisitor& v) override { table_.visit(v); }

 private:
  Embedding table_;
};

}  // namespace

std::unique_ptr<Position> make_learned_position(const PositionOptions& options) {
  return std::make_unique<LearnedPosition>(options);
}

}  // namespace lathe
