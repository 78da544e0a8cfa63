// The components that a model is made of, and which of them work together.
//
// There is one list of dimensions (norm, position, …), each with its choices: the catalogues of nn/
// and some further settings. `lathe inspect --matrix`, docs/combinations.md and the generic tests
// over combinations (tests/model/grid.h) all follow from it, so a component that is added to a
// catalogue appears in all of them. Whether two choices work together is not written down anywhere:
// a tiny model is built from them, and validate() decides.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lathe/model/model_config.h"

namespace lathe {

struct Choice {
  std::string name;
  std::function<void(ModelConfig&)> apply;
};

struct Dimension {
  std::string name, key;        // "norm", "norm.kind": the key that tells most choices apart
  std::vector<Choice> choices;  // the first works with every choice of the others
};

// In the order in which choices are applied.
std::vector<Dimension> dimensions();

// A model of two layers that is small enough for a test to build hundreds of them; family "lathe".
inline constexpr int64_t kTinyVocabulary = 13;
ModelConfig tiny_config();

// Why there is no such model: the message of the Error that building it throws, or empty if it
// works. Allocates nothing.
std::string refusal_of(const ModelConfig& config);

// A choice of one dimension combined with a choice of another; everything else is as in
// tiny_config().
struct Meeting {
  size_t dimension, choice, other_dimension, other_choice;
  std::string refusal;  // empty: it works
};

// Every pair of choices of different dimensions, dimension < other_dimension.
std::vector<Meeting> all_meetings(const std::vector<Dimension>& dimensions);

}  // namespace lathe
