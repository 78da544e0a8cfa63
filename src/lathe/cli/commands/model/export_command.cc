#include <nlohmann/json.hpp>

#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/model/model_input.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/io/manifest.h"
#include "lathe/io/output_folder.h"
#include "lathe/model/folder.h"
#include "lathe/model/load_model.h"

namespace lathe {
namespace {

struct ExportOptions {
  std::string model, out, dtype = "float32";
  int64_t shard_mib = 5120;
  bool overwrite = false;

  void visit(Visitor& v) {
    v.positional("model", model, kModelHelp);
    v.field("out", out, "folder to write", required());
    v.choice("dtype", dtype, weight_type_names(), "type of the weights on disk");
    v.field("shard_mib", shard_mib, "largest size of one weight file, in MiB",
            between(1, kMostShardMib));
    v.field("overwrite", overwrite, "replace an existing folder if it is a model folder");
  }
};

int run_export(const ExportOptions& o, CommandContext& context) {
  AtomicDirectory folder = make_output_folder({o.out, o.overwrite, {o.model}});
  const auto model = load_model(o.model, {.dtype = DType::kF32, .log = context.log});
  throw_if_interrupted();
  save_model(*model, folder.temporary(),
             {.dtype = weight_type(o.dtype), .shard_bytes = o.shard_mib << 20, .like = o.model});
  throw_if_interrupted();
  Manifest manifest = new_manifest("model", context.command_line());
  add_input(manifest, o.model, "model");
  add_outputs_of_folder(manifest, folder.temporary());
  write_manifest(manifest_path(folder.temporary(), true), manifest, manifest_path(o.out, true));
  folder.commit(throw_if_interrupted);
  if (context.json) {
    context.print_json({{"out", o.out}, {"dtype", o.dtype}, {"params", model->parameter_count()}});
  } else {
    context.log.info("wrote {} ({} parameters, {})", o.out, model->parameter_count(), o.dtype);
  }
  return 0;
}

}  // namespace

Command export_command() {
  return make_command<ExportOptions>(
      {.name = "export",
       .summary = "write a model as a Hugging Face folder",
       .help = "Transformers can load the folder if it has the model's family; other models have "
               "model_type lathe.\n\n"
               "  lathe export runs/demo/model --out /tmp/mine --dtype bfloat16\n"},
      run_export);
}

}  // namespace lathe
