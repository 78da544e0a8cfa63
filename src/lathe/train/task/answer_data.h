// The rows of prompts and answers of a recipe's section [data], as micro-batches.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/train/example/example_file.h"
#include "lathe/train/recipe.h"
#include "lathe/train/train_callbacks.h"

namespace lathe {

// Examples that share one sequence: one, or with data.packing as many as fit into seq_len tokens.
using Pack = std::vector<const Example*>;

// Each example in the first pack with the least room that it fits into, longest first (best fit
// decreasing); packs in the order of their first examples.
std::vector<Pack> pack_examples(const std::vector<Example>& examples, int64_t seq_len);

// What read_examples() is told by a recipe; `rows` limits how many are read.
ExampleOptions example_options(const Recipe& recipe, ExampleKind kind,
                               std::optional<int64_t> rows = {});

// The rows of `files`, as the surroundings of a run read them. Errors: those of read_examples().
std::shared_ptr<const ExampleSet> examples_for(const TrainCallbacks& callbacks,
                                               const std::vector<std::string>& files,
                                               const ExampleOptions& options);

// Const members are thread-safe.
class AnswerData {
 public:
  AnswerData(const Recipe& recipe, std::shared_ptr<const ExampleSet> set);
  AnswerData(const AnswerData&) = delete;
  AnswerData& operator=(const AnswerData&) = delete;

  // The micro-batches of a step, from 1: batch_size packs each, in the order of the recipe.
  std::vector<std::vector<const Example*>> micro_batches(int64_t step) const;
  // The packs [first, first + count) in the order of the file, for validation.
  std::vector<const Example*> packs(int64_t first, int64_t count) const;

  int64_t size() const { return std::ssize(packs_); }
  const ExampleSet& set() const { return *set_; }
  const std::vector<Pack>& all_packs() const { return packs_; }

 private:
  const Pack& pack_at(int64_t position) const;

  std::shared_ptr<const ExampleSet> set_;
  std::vector<Pack> packs_;
  const int64_t batch_size_, micro_batches_;
  const bool shuffle_;
  const uint64_t seed_;
};

}  // namespace lathe
