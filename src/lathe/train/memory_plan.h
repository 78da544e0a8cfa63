// What a run takes of this machine's memory, before it takes it: its first steps run without arithmetic
// and on memory that holds nothing (kernels/dry_run.h). So every model, objective, adapter and optimiser
// is planned by the very code that trains it, a model of any size in seconds.
//
//   plan = the program and its data + Σ over blocks of the most that each was asked for
//
// What kernels take for themselves while they run is not in it: some MiB for each thread. Pages that are
// shared with the file of a mapped model are not either.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/train/recipe.h"
#include "lathe/train/train_callbacks.h"

namespace lathe {

struct MemoryPart {
  std::string name;
  int64_t bytes = 0;
};

// Of the moment at which tensors of steps take most. The last parts are "kept for later": blocks that are free
// then, but were needed before and stay with the process; "tasks of [eval]", where there are some: what measuring them
// takes beyond all that; and "program and data".
struct MemoryPlan {
  std::vector<MemoryPart> parts;

  int64_t bytes_of(std::string_view name) const;  // 0 without such a part
  int64_t total() const;
};

// Of the first `steps` steps of the recipe, or of all if it has fewer. Of rewards only the models are
// asked: no command is started. Errors: those of make_task(), but not that the machine is too small.
MemoryPlan plan_memory(Recipe recipe, const ReadExamples& read_examples, int64_t steps);

// What the process took of memory so far, in the same parts, at the moment of the most: also "kernels".
std::vector<MemoryPart> memory_taken();

// Examples without a file: as long as train.seq_len lets them be, prompt and answer half of it each,
// with rollouts the prompt as long as objective.max_completion_length leaves it.
ReadExamples longest_examples(const Recipe& recipe);

// A recipe that fits: what was changed, as "train.batch_size=2", and its plan.
struct MemoryFit {
  std::vector<std::string> changes;
  MemoryPlan plan;
};
struct MemoryFitting {
  MemoryPlan unchanged;          // of the recipe as it is
  std::optional<MemoryFit> fit;  // nullopt if none of those tried does
};
// The first of these whose longest_examples() fit into `bytes`: the recipe as it is; smaller
// micro-batches and more of them, which gives the same steps; in addition train.recompute = "full"; in
// addition optim.paged, where the state is a twentieth of it all or more; in addition shorter texts. Each is planned once; `before_each` is called before, and may throw. Errors:
// those of read_recipe() and plan_memory().
MemoryFitting fit_memory(const nlohmann::ordered_json& recipe, int64_t bytes,
                         const std::function<void()>& before_each = {});

}  // namespace lathe
