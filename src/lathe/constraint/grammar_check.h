// What must hold for a grammar that is to be run. Internal to constraint/.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "lathe/constraint/grammar.h"

namespace lathe::constraint {

// Throws kConfig as GrammarBuilder::build() says. `rules`: where each begins, and its name. Repeats whose part may be
// empty get a minimum of 0, which allows the same texts; nodes that lead nowhere are cut off.
void check_grammar(Grammar& grammar, const std::vector<std::pair<NodeId, std::string>>& rules);

}  // namespace lathe::constraint
