// What a model is put together from, and which choices go together.
//
// One list of dimensions (norm, position, …), each with its choices: the catalogues of nn/ and the
// settings beside them. `lathe inspect --matrix`, docs/combinations.md and the generic tests over
// combinations (tests/model/grid.h) all follow from it, so a component that is added to a catalogue
// appears in all of them. Whether choices go together is not written down anywhere: a tiny model of
// them is built, and what validate() says is the answer.
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
  std::vector<Choice> choices;  // the first goes with every choice of the others
};

// In the order in which choices are applied.
std::vector<Dimension> dimensions();

// A model of two layers with sizes so small that a test can afford hundreds of them; family "lathe".
inline constexpr int64_t kTinyVocabulary = 13;
ModelConfig tiny_config();

// Why there is no such model: the message of the Error that building it throws; empty when it works.
// Allocates nothing.
std::string refusal_of(const ModelConfig& config);

// A choice of one dimension met by a choice of another, everything else as in tiny_config().
struct Meeting {
  size_t dimension, choice, other_dimension, other_choice;
  std::string refusal;  // empty: it works
};

// Every pair of choices of different dimensions, dimension < other_dimension.
std::vector<Meeting> all_meetings(const std::vector<Dimension>& dimensions);

}  // namespace lathe
