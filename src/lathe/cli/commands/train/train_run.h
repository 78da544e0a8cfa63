// Carries out a recipe: what `lathe train` and the presets share.
#pragma once

#include <optional>

#include "lathe/cli/frame/command.h"
#include "lathe/train/recipe.h"

namespace lathe {

struct RunOptions {
  bool resume = false;
  bool branch = false;
  std::optional<int64_t> from_step;
  bool show = false;
  bool check = false;

  void visit(Visitor& v);
};

// Returns the exit code. Errors: kUsage for options that do not go together, and those of the run.
int run_recipe(const Recipe& recipe, const RunOptions& options, CommandContext& context);

}  // namespace lathe
