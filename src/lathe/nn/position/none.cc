#include "lathe/nn/position/position.h"

namespace lathe {
namespace {

class NoPosition : public Position {
 public:
  std::string_view kind() const override { return "NoPosition"; }
};

}  // namespace

std::unique_ptr<Position> make_no_position(const PositionOptions&) {
  return std::make_unique<NoPosition>();
}

}  // namespace lathe
