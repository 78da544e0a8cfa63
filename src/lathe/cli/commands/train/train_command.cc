#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/train/train_run.h"

namespace lathe {
namespace {

struct TrainOptions {
  std::string recipe;
  RunOptions run;

  void visit(Visitor& v) {
    v.positional("recipe", recipe, "recipe file, .toml or .json");
    run.visit(v);
  }
};

int run_train(const TrainOptions& o, CommandContext& context) {
  return run_recipe(read_recipe(o.recipe, context.overrides), o.run, context);
}

}  // namespace

Command train_command() {
  return make_command<TrainOptions>(
      {.name = "train",
       .summary = "train a model from a recipe",
       .help = "Every key of the recipe can also be given as --section.key=value. Writes into "
               "train.out: metrics.jsonl,\n"
               "tensorboard/, checkpoints/, and at the end model/, a Hugging Face folder. Ctrl-C "
               "writes a checkpoint;\n"
               "--resume continues to exactly the same result.\n\n"
               "  lathe train recipes/small.toml\n"
               "  lathe train recipes/small.toml --optim.lr=1e-3 --train.out=runs/hot\n"
               "  lathe train recipes/small.toml --resume\n"
               "  lathe train recipes/small.toml --resume --branch --optim.lr=1e-4\n"
               "  lathe train recipes/small.toml --check       # memory, time, epochs\n"
               "  lathe train recipes/small.toml --show        # every key, its default and its "
               "meaning\n",
       .takes_overrides = true},
      run_train);
}

}  // namespace lathe
