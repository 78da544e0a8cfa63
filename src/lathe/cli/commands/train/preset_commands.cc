// `lathe sft MODEL DATA` and its kin: a recipe whose defaults work, and `lathe train`.

#include <nlohmann/json.hpp>

#include "lathe/base/catalogue.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/train/train_run.h"
#include "lathe/train/presets.h"

namespace lathe {
namespace {

struct PresetOptions {
  std::string model;
  std::vector<std::string> data;
  RunOptions run;

  void visit(Visitor& v) {
    v.positional("model", model, "folder of the model to start from");
    v.positional("data", data, "files of rows: JSON lines or arrays, compressed or not");
    run.visit(v);
  }
};

int run_preset(const PresetOptions& o, CommandContext& context) {
  const TrainPreset& preset = find_in(train_presets(), "command", context.name);
  return run_recipe(read_recipe(preset_recipe(preset, o.model, o.data), context.overrides), o.run,
                    context);
}

}  // namespace

std::vector<Command> preset_commands() {
  std::vector<Command> all;
  for (const TrainPreset& preset : train_presets())
    all.push_back(make_command<PresetOptions>(
        {.name = std::string(preset.name),
         .summary = std::string(preset.summary),
         .help = fmt::format(
             "A preset of `lathe train`: rows with {}. Every key of the recipe\ncan be given as "
             "--section.key=value; --show prints the recipe, to be kept and changed.\n\n"
             "  lathe {} runs/demo/model rows.jsonl\n"
             "  lathe {} runs/demo/model rows.jsonl --optim.lr=1e-5 --train.out=runs/mine\n"
             "  lathe {} runs/demo/model rows.jsonl --show > mine.toml\n",
             preset.data, preset.name, preset.name, preset.name),
         .takes_overrides = true},
        run_preset));
  return all;
}

}  // namespace lathe
