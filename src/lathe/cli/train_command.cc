#include <nlohmann/json.hpp>

#include "lathe/base/strings.h"
#include "lathe/cli/commands.h"
#include "lathe/cli/interrupt.h"
#include "lathe/cli/train_hooks.h"
#include "lathe/config/config.h"
#include "lathe/config/recipe.h"
#include "lathe/train/trainer.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct TrainOptions {
  std::string recipe;
  bool resume = false;
  bool branch = false;
  bool show = false;

  template <class V>
  void visit(V& v) {
    v.positional("recipe", recipe, "recipe file, .toml or .json");
    v.field("resume", resume,
            "go on from the newest checkpoint of train.out; begin when there is none");
    v.field("branch", branch,
            "with --resume: also with changes that make another run of the rest (learning rate, "
            "batch, data); the lineage names them");
    v.field("show", show,
            "print the whole recipe with every default, as a recipe file (--json: as JSON), and "
            "stop");
  }
};

Trainer::Start start_of(const TrainOptions& o) {
  require(o.resume || !o.branch, ErrorKind::kUsage, "command line",
          "--branch says how a run goes on; write --resume --branch");
  if (!o.resume) return Trainer::Start::kFresh;
  return o.branch ? Trainer::Start::kBranch : Trainer::Start::kResume;
}

int run_train(const TrainOptions& o, CommandContext& context) {
  const Trainer::Start start = start_of(o);
  Json tree = load_recipe(o.recipe);
  for (const std::string& assignment : context.overrides) apply_override(tree, assignment);
  Recipe recipe = read_recipe(tree);
  if (o.show) {
    if (context.json) {
      context.print_json(write_recipe(recipe));
    } else {
      context.out << config_to_toml(recipe);
    }
    return 0;
  }
  TrainDisplay display(recipe, context);
  Trainer trainer(recipe, display.hooks());
  display.announce(trainer);
  trainer.run(start);
  display.finish();
  if (context.json) context.print_json(display.summary());
  return 0;
}

}  // namespace

Command train_command() {
  return make_command<TrainOptions>(
      {.name = "train",
       .summary = "train a model as a recipe says",
       .help = "Every key of the recipe can also be given as --section.key=value. Writes into "
               "train.out: metrics.jsonl,\n"
               "tensorboard/, checkpoints/, and at the end model/, a Hugging Face folder. Ctrl-C "
               "writes a checkpoint;\n"
               "--resume goes on to the same bits.\n\n"
               "  lathe train recipes/small.toml\n"
               "  lathe train recipes/small.toml --optim.lr=1e-3 --train.out=runs/hot\n"
               "  lathe train recipes/small.toml --resume\n"
               "  lathe train recipes/small.toml --show        # every key, its default and its "
               "meaning\n",
       .takes_overrides = true,
       .saves_when_stopped = true},
      run_train);
}

}  // namespace lathe
