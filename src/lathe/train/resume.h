// What a changed recipe means to a run that goes on.
//
// Every key says in its visit() (OnResume) what a change of it is: free, a continuation, a branch or
// another model. Keys that act through the learning rate alone continue a run when the rates of all
// steps taken are to the bit what they would have been; otherwise the change is a branch.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lathe/config/visit.h"
#include "lathe/train/recipe.h"

namespace lathe {

struct RecipeChange {
  std::string key;          // "optim.lr"
  std::string before, now;  // as JSON
  OnResume kind;
  std::string text() const;  // "optim.lr: 0.01, now 0.5"
};

// What a checkpoint keeps of a recipe to compare with: every key, of a model that began from a
// folder, too.
nlohmann::ordered_json comparable_recipe(const Recipe& recipe);

// The keys that differ between comparable_recipe() of before and of now, in the recipe's order. A
// key that `before` lacks had its default. Continuations are told apart from branches by the
// learning rates of steps 1 to `steps_taken`.
std::vector<RecipeChange> changes_between(const nlohmann::ordered_json& before, const Recipe& now,
                                          int64_t steps_taken);

struct ResumePoint {
  int64_t step = 0;        // taken so far
  std::string checkpoint;  // its folder
  bool branch = false;     // changes that make another run of the rest are asked for
};
// The changes that make the rest a branch, as text, for the lineage. Error kConfig naming every
// change that is refused, why, and what to do.
std::vector<std::string> accept_changes(const std::vector<RecipeChange>& changes,
                                        const ResumePoint& from);

}  // namespace lathe
