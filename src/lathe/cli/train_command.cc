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
  bool show = false;

  template <class V>
  void visit(V& v) {
    v.positional("recipe", recipe, "recipe file, .toml or .json");
    v.field("resume", resume,
            "go on from the newest checkpoint of train.out; begin when there is none");
    v.field("show", show, "print the whole recipe with every default and stop");
  }
};

void show_recipe(Recipe& r, std::ostream& out) {
  out << "[model]\n"
      << config_to_toml(r.model) << "\n[data]\n"
      << config_to_toml(r.data) << "\n[train]\n"
      << config_to_toml(r.train) << "\n[optim]\n"
      << config_to_toml(r.optim) << "\n[schedule]\n"
      << config_to_toml(r.schedule);
}

int run_train(const TrainOptions& o, CommandContext& context) {
  Json tree = load_recipe(o.recipe);
  for (const std::string& assignment : context.overrides) apply_override(tree, assignment);
  Recipe recipe = read_recipe(tree);
  if (o.show) {
    show_recipe(recipe, context.out);
    return 0;
  }
  TrainDisplay display(recipe, context);
  Trainer trainer(recipe, display.hooks());
  display.announce(trainer);
  trainer.run(o.resume ? Trainer::Start::kResume : Trainer::Start::kFresh);
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
       .takes_overrides = true},
      run_train);
}

}  // namespace lathe
