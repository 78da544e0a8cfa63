#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/model/export_model.h"

namespace lathe {

Command export_command() {
  return make_command<ExportOptions>(
      {.name = "export",
       .summary = "write a model as a Hugging Face folder",
       .help = "Transformers can load the folder if it has the model's family; other models have "
               "model_type lathe.\n\n"
               "  lathe export runs/demo/model --out /tmp/mine --dtype bfloat16\n"},
      [](const ExportOptions& o, CommandContext& context) { return run_export(o, context); });
}

}  // namespace lathe
