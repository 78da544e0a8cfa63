// The provenance of what a run writes (its inputs, the recipe, and the branches that it took) and
// the files that record it.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/io/manifest.h"
#include "lathe/model/folder.h"
#include "lathe/train/recipe.h"

namespace lathe {

// How far a run has come.
struct RunTotals {
  int64_t steps = 0, updates = 0;  // updates without those that were skipped
  int64_t tokens = 0;
  double flops = 0;  // of the model, forward and backward
};

struct Lineage {
  std::string command = {};
  int64_t threads = 0;                     // of the run, wherever a file is written
  std::vector<ArtefactRef> inputs = {};    // shards, tokenizer, model.from, hashed at the start
  std::string data_hash = {};              // TaskInputs::data_hash
  ModelFiles files = {};                   // Task::files
  std::vector<std::string> branches = {};  // "after step 12: optim.lr: 0.01, now 0.001"

  // The manifest of an artefact of `kind` ("checkpoint", "model").
  Manifest manifest(std::string_view kind, const Recipe& recipe, const RunTotals& totals) const;
  // CheckpointOptions::complete. Runs on the writing thread: reads only what a run does not change.
  void complete_checkpoint(const Recipe& recipe, const std::filesystem::path& folder,
                           const std::filesystem::path& final_path,
                           const nlohmann::ordered_json& state) const;
  // A folder of an artefact of `kind`, which `write` fills; it replaces an existing one.
  void write_result(std::string_view kind, const Recipe& recipe,
                    const std::filesystem::path& target, const RunTotals& totals,
                    const std::function<void(const std::filesystem::path& folder)>& write) const;
};

}  // namespace lathe
