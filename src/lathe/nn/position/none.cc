#include "lathe/nn/position/position.h"

namespace lathe {
namespace {

class NoPosition : public Position {
 public:
  explicit NoPosition(const PositionShape&) {}
  bool follows_distances() const override { return true; }
  std::string_view kind() const override { return "NoPosition"; }
};

}  // namespace

PositionComponent no_position() {
  return position_component<NoPosition>(
      {.name = "none",
       .summary = "no positions: only the causal mask tells the order",
       .source = "Kazemnejad et al. 2023, arXiv:2305.19466"});
}

}  // namespace lathe
