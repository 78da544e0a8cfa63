#include "lathe/base/catalogue.h"
#include "lathe/nn/position/position.h"
#include "lathe/nn/position/position_config.h"

namespace lathe {

// One per file in position/.
PositionComponent rope_position();
PositionComponent learned_position();
PositionComponent sinusoidal_position();
PositionComponent alibi_position();
PositionComponent t5_position();
PositionComponent shaw_position();
PositionComponent no_position();

std::span<const PositionComponent> positions() {
  static const PositionComponent kPositions[] = {
      rope_position(), learned_position(), sinusoidal_position(), alibi_position(),
      t5_position(),   shaw_position(),    no_position(),
  };
  return kPositions;
}

PositionConfig::PositionConfig() : ComponentChoice("rope", positions()) {}

void PositionConfig::visit(Visitor& v) {
  v.choice("kind", kind, names_of(positions()), "position encoding");
  components.visit(v);
}

}  // namespace lathe
