#include <nlohmann/json.hpp>

#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/model/model_input.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/io/manifest.h"
#include "lathe/io/output_folder.h"
#include "lathe/model/adapter/merge.h"
#include "lathe/model/folder.h"
#include "lathe/model/load_model.h"

namespace lathe {
namespace {

struct MergeOptions {
  std::string model, out, dtype = "float32";
  std::vector<std::string> adapter;
  int64_t shard_mib = 5120;
  bool overwrite = false;

  void visit(Visitor& v) {
    v.positional("model", model, kModelHelp);
    v.field("adapter", adapter, "folder of a LoRA adapter, as PEFT saves it; several add up");
    v.field("out", out, "folder to write", required());
    v.choice("dtype", dtype, weight_type_names(), "type of the weights on disk");
    v.field("shard_mib", shard_mib, "largest size of one weight file, in MiB",
            between(1, kMostShardMib));
    v.field("overwrite", overwrite, "replace an existing folder if it is a model folder");
  }
};

int run_merge(const MergeOptions& o, CommandContext& context) {
  require(!o.adapter.empty(), ErrorKind::kUsage, "merge",
          "no adapter is given; name at least one with --adapter DIR");
  std::vector<std::filesystem::path> inputs = {o.model};
  inputs.insert(inputs.end(), o.adapter.begin(), o.adapter.end());
  AtomicDirectory folder = make_output_folder({o.out, o.overwrite, inputs});
  auto model = load_model(o.model, {.dtype = DType::kF32, .log = context.log});
  const bool tied = model->config().tie_word_embeddings;
  // All are read for the base, whose head may be tied, before one is merged.
  std::vector<std::shared_ptr<const LoraAdapter>> adapters;
  for (const std::string& each : o.adapter)
    adapters.push_back(load_lora(each, *model, context.log));
  model = merge_adapters(std::move(model), adapters);
  const bool untied = tied && !model->config().tie_word_embeddings;
  throw_if_interrupted();
  save_model(*model, folder.temporary(),
             {.dtype = weight_type(o.dtype), .shard_bytes = o.shard_mib << 20, .like = o.model});
  throw_if_interrupted();
  Manifest manifest = new_manifest("model", context.command_line());
  add_input(manifest, o.model, "model");
  for (const std::string& each : o.adapter) add_input(manifest, each, "adapter");
  add_outputs_of_folder(manifest, folder.temporary());
  write_manifest(manifest_path(folder.temporary(), true), manifest, manifest_path(o.out, true));
  folder.commit(throw_if_interrupted);
  if (context.json) {
    context.print_json({{"out", o.out},
                        {"dtype", o.dtype},
                        {"params", model->parameter_count()},
                        {"adapters", o.adapter},
                        {"untied", untied}});
  } else {
    context.log.info("wrote {} ({} parameters, {}{})", o.out, model->parameter_count(), o.dtype,
                     untied ? "; the head is no longer tied to the token table" : "");
  }
  return 0;
}

}  // namespace

Command merge_command() {
  return make_command<MergeOptions>(
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
