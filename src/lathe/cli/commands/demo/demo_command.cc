// lathe demo: the stages of a model's life in one command (stages.h), and what is said at the end.

#include "lathe/base/parallel.h"
#include "lathe/base/strings.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/demo/stages.h"
#include "lathe/lab/run_page.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

void print_closing(DemoState& state, double seconds, std::ostream& out) {
  const std::string run = state.folder().string();
  out << fmt::format("\nDone in {}: from raw text to a model that writes.\n\nLook at\n",
                     human_time(seconds))
      << fmt::format("  {0}/report.html     curves, texts, where the time went\n", run)
      << fmt::format("  {0}/recipe.toml     the whole run in forty lines\n\nTry next\n", run)
      << fmt::format("  lathe generate {0}/model --prompt '{1}' --temperature 0.8 --top-p 0.95\n",
                     run, state["openings"][0].get<std::string>())
      << fmt::format(
             "  lathe inspect {0}/model                        the model as a tree, and what it "
             "costs\n",
             run)
      << fmt::format("  lathe lineage {0}/model                        what it was made from\n",
                     run)
      << fmt::format("  lathe train {0}/recipe.toml --train.out={0}-muon --optim.name=muon\n", run)
      << "                                                 change one line of the recipe; "
         "Ctrl-C, then --resume\n"
      << fmt::format("  lathe report {0}-muon                          and draw that run as well\n",
                     run)
      << "\ndocs/tour.md follows one token through all of it. (`lathe` is build/lathe.)\n";
}

void finish(DemoState& state, CommandContext& context) {
  const double seconds = state.seconds_so_far();
  state["complete"] = true;
  state["seconds"] = seconds;
  state["summary"] = fmt::format(
      "{} of text, a tokenizer of {} tokens, {} parameters, trained from scratch on {} threads: {} "
      "in total.",
      human_bytes(state["bytes"].get<double>()), state["vocab_size"].get<int64_t>(),
      human_count(state["parameters"].get<double>()), thread_count(), human_time(seconds));
  state.save();
  write_report(state.folder(), state.folder() / "report.html");
  if (context.json) {
    Json result = {{"out", state.folder().string()},
                   {"model", state.path("model")},
                   {"report", state.path("report.html")},
                   {"seconds", seconds}};
    for (const char* key : {"parameters", "steps", "val_loss", "val_bits_per_byte"})
      if (state.contains(key)) result[key] = state[key];
    context.print_json(result);
    return;
  }
  print_closing(state, seconds, context.out);
}

int run_demo(const DemoOptions& options, CommandContext& context) {
  context.begin_to_save();
  DemoState state(options, context.log);
  const std::vector<DemoStage> stages = demo_stages(options, context, state);
  for (size_t i = 0; i < stages.size(); ++i)
    state.run(stages[i], static_cast<int>(i) + 1, static_cast<int>(stages.size()));
  finish(state, context);
  return 0;
}

}  // namespace

Command demo_command() {
  return make_command<DemoOptions>(
      {.name = "demo",
       .summary = "train a model from raw text in minutes, let it write, and draw a report",
       .help = "Cleans a text, trains a tokenizer, writes token shards, measures the machine, "
               "chooses a Llama-style\n"
               "model that fits the time, trains it, lets it write, and draws OUT/report.html. "
               "Ctrl-C stops it; the\n"
               "same command continues it. A finished run is never overwritten: the next run goes "
               "to OUT-2.\n\n"
               "  lathe demo\n"
               "  lathe demo --minutes 3 --text my-book.txt --out runs/book\n"},
      run_demo);
}

}  // namespace lathe
