// What `lathe export` and `lathe merge` share: a model, with adapters merged into it, as a Hugging
// Face folder.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lathe/cli/frame/command.h"
#include "lathe/config/visit.h"
#include "lathe/model/adapter/combine.h"

namespace lathe {

struct ExportOptions {
  std::string model, out, dtype = "float32";
  std::vector<std::string> adapter;
  int64_t shard_mib = 5120;
  bool overwrite = false;

  void visit(Visitor& v);
};

// With `combination`, its adapters are combined into one first; else they act one after the other.
int run_export(const ExportOptions& options, CommandContext& context,
               const std::optional<Combination>& combination = {});

}  // namespace lathe
