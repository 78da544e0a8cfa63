#include "lathe/cli/commands/model/export_model.h"

#include <nlohmann/json.hpp>

#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/model/model_input.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/io/manifest.h"
#include "lathe/io/output_folder.h"
#include "lathe/model/adapter/merge.h"
#include "lathe/model/folder.h"
#include "lathe/model/load_model.h"
#include "lathe/model/scores.h"

namespace lathe {
namespace {

// With room for those that an adapter brings along, as a reward model's does.
std::unique_ptr<Transformer> with_scores(std::unique_ptr<Transformer> model,
                                         const std::vector<std::string>& adapters) {
  for (const std::string& each : adapters)
    if (const ScoreShape scores = scores_of_adapter(each);
        scores.labels > 0 && model->config().num_labels == 0)
      model = share_with_scores(*model, scores, Rng(0));
  return model;
}

std::unique_ptr<Transformer> load(const ExportOptions& o, const Log& log,
                                  const std::optional<Combination>& combination) {
  auto model = with_scores(load_model(o.model, {.dtype = DType::kF32, .log = log}), o.adapter);
  std::vector<std::shared_ptr<const Adapter>> adapters;
  for (const std::string& each : o.adapter) adapters.push_back(load_adapter(each, *model, log));
  if (combination) adapters = {combine(adapters, *combination, *model)};
  return merge_adapters(std::move(model), adapters);
}

AtomicDirectory output_folder(const ExportOptions& o) {
  std::vector<std::filesystem::path> sources = {o.model};
  sources.insert(sources.end(), o.adapter.begin(), o.adapter.end());
  return make_output_folder({o.out, o.overwrite, sources});
}

Manifest manifest_of(const ExportOptions& o, const CommandContext& context) {
  Manifest manifest = new_manifest("model", context.command_line());
  add_input(manifest, o.model, "model");
  for (const std::string& each : o.adapter) add_input(manifest, each, "adapter");
  return manifest;
}

}  // namespace

void ExportOptions::visit(Visitor& v) {
  v.positional("model", model, kModelHelp);
  v.field("out", out, "folder to write", required());
  v.field(
      "adapter", adapter,
      "folder of an adapter, as PEFT saves it, to make part of the weights; several act one after "
      "the other");
  v.choice("dtype", dtype, weight_type_names(), "type of the weights on disk");
  v.field("shard_mib", shard_mib, "largest size of one weight file, in MiB",
          between(1, kMostShardMib));
  v.field("overwrite", overwrite, "replace an existing folder if it is a model folder");
}

int run_export(const ExportOptions& o, CommandContext& context,
               const std::optional<Combination>& combination) {
  AtomicDirectory folder = output_folder(o);
  const bool tied = read_model_config(o.model).tie_word_embeddings;
  const auto model = load(o, context.log, combination);
  const bool untied = tied && !model->config().tie_word_embeddings;
  throw_if_interrupted();
  save_model(*model, folder.temporary(),
             {.dtype = weight_type(o.dtype), .shard_bytes = o.shard_mib << 20, .like = o.model});
  throw_if_interrupted();
  Manifest manifest = manifest_of(o, context);
  add_outputs_of_folder(manifest, folder.temporary());
  write_manifest(manifest_path(folder.temporary(), true), manifest, manifest_path(o.out, true));
  folder.commit(throw_if_interrupted);
  if (context.json) {
    context.print_json({{"out", o.out},
                        {"dtype", o.dtype},
                        {"params", model->parameter_count()},
                        {"untied", untied}});
  } else {
    context.log.info("wrote {} ({} parameters, {}{})", o.out, model->parameter_count(), o.dtype,
                     untied ? "; the head is no longer tied to the token table" : "");
  }
  return 0;
}

}  // namespace lathe
