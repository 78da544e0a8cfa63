#include "lathe/base/error.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/model/export_model.h"

namespace lathe {
namespace {

int run_merge(const ExportOptions& options, CommandContext& context) {
  require(!options.adapter.empty(), ErrorKind::kUsage, "merge",
          "no adapter is given; name at least one with --adapter DIR");
  return run_export(options, context);
}

}  // namespace

Command merge_command() {
  return make_command<ExportOptions>(
      {.name = "merge",
       .summary = "make LoRA adapters part of a model's weights",
       .help =
           "Adds the adapters' updates to the weights and writes a folder that transformers can "
           "load, with\nthe logits that the model has with the adapters. A head that is tied to "
           "the token table is untied\nwhere an adapter acts on one of the two. Quantised "
           "weights are decoded first.\n\n"
           "  lathe merge runs/demo/model --adapter runs/adapter --out /tmp/merged\n"},
      run_merge);
}

}  // namespace lathe
