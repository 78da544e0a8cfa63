// What a changed recipe means for a run that is continued.
//
// Every key states in its visit() (OnResume) what a change of it means: free, a continuation, a
// branch or another model. Keys that act only through the learning rate continue a run if the rates
// of all steps taken are bit for bit the same with the new value; otherwise the change is a branch.
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

// The form of a recipe that a checkpoint keeps for comparison: every key, including those of a
// model that started from a folder.
nlohmann::ordered_json comparable_recipe(const Recipe& recipe);

// The keys that differ between the old and the new comparable_recipe(), in the recipe's order. A
// key that `before` lacks had its default. The learning rates of steps 1 to `steps_taken`
// distinguish continuations from branches.
std::vector<RecipeChange> changes_between(const nlohmann::ordered_json& before, const Recipe& now,
                                          int64_t steps_taken);

struct ResumePoint {
  int64_t step = 0;        // taken so far
  std::string checkpoint;  // its folder
  bool branch = false;     // changes that make the rest another run are allowed
};
// The changes that make the rest a branch, as text, for the lineage. Throws kConfig, naming every
// change that is refused, why, and what to do.
std::vector<std::string> accept_changes(const std::vector<RecipeChange>& changes,
                                        const ResumePoint& from);

}  // namespace lathe
