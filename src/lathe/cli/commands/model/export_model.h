// What `lathe export` and `lathe merge` share: a model, with adapters merged into it, as a Hugging
// Face folder.
#pragma once

#include <string>
#include <vector>

#include "lathe/cli/frame/command.h"
#include "lathe/config/visit.h"

namespace lathe {

struct ExportOptions {
  std::string model, out, dtype = "float32";
  std::vector<std::string> adapter;
  int64_t shard_mib = 5120;
  bool overwrite = false;

  void visit(Visitor& v);
};

int run_export(const ExportOptions& options, CommandContext& context);

}  // namespace lathe
