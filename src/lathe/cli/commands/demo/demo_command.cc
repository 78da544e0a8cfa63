// lathe demo: the stages of a model's life in one command. Each stage is what a command of its own
// does, and says so; demo.json in the run's folder remembers which are done, so that an interrupted
// demo goes on where it stopped and `lathe report` can draw the page again.

#include <chrono>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lathe/base/parallel.h"
#include "lathe/base/strings.h"
#include "lathe/chat/continue_text.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/demo/load.h"
#include "lathe/cli/commands/demo/plan.h"
#include "lathe/cli/commands/demo/text.h"
#include "lathe/cli/commands/train/train_display.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/cli/frame/parse.h"
#include "lathe/config/json_text.h"
#include "lathe/config/recipe_file.h"
#include "lathe/io/json_file.h"
#include "lathe/io/manifest.h"
#include "lathe/kernels/machine.h"
#include "lathe/lab/run_page.h"
#include "lathe/model/folder.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

struct DemoOptions {
  double minutes = 8;
  std::optional<std::string> text;
  std::string out = "runs/demo";
  bool fresh = false;

  template <class V>
  void visit(V& v) {
    v.field("minutes", minutes, "how long it may take; a model that fits is chosen", above(0));
    v.field("text", text, "file or folder of text to learn (default: the Debian package fortunes)");
    v.field("out", out, "folder of the run; when it holds a finished one, OUT-2 and so on");
    v.field("fresh", fresh, "begin anew beside an unfinished run instead of going on with it");
  }
};

// The part of the time that is planned for: machines are sometimes busier than when they were
// measured, and one that is busy already changes more.
constexpr double kPlanned = 0.8, kPlannedWhenBusy = 0.65;
constexpr double kForWriting = 0.04;
constexpr int64_t kVocabulary = 4096;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

bool is_empty_or_absent(const fs::path& folder) {
  std::error_code error;
  return !fs::exists(folder, error) ||
         (fs::is_directory(folder, error) && fs::is_empty(folder, error));
}

// OUT, or the first of OUT-2, OUT-3, … that is free or, without `fresh`, holds an unfinished demo.
fs::path choose_folder(const DemoOptions& o, const Log& log) {
  for (int n = 1;; ++n) {
    const fs::path folder = n == 1 ? o.out : fmt::format("{}-{}", o.out, n);
    if (is_empty_or_absent(folder)) return folder;
    std::error_code error;
    require(fs::exists(folder / "demo.json", error), ErrorKind::kUsage, folder.string(),
            "holds something that is not a demo; choose another folder with --out");
    const bool complete = read_json_file(folder / "demo.json").value("complete", false);
    if (!complete && !o.fresh) {
      log.info("going on with the unfinished demo in {} (--fresh would begin anew)",
               folder.string());
      return folder;
    }
    log.info("{} holds {} demo and is left as it is", folder.string(),
             complete ? "a finished" : "an unfinished");
  }
}

class Demo {
 public:
  Demo(const DemoOptions& options, CommandContext& context)
      : options_(options), context_(context), out_(choose_folder(options, context.log)) {
    fs::create_directories(out_);
    if (fs::exists(out_ / "demo.json")) state_ = read_json_file(out_ / "demo.json");
    if (state_.is_object() && !state_["stages"].empty()) {
      check_same_wishes();
    } else {
      state_ = {{"lathe_demo", 1},
                {"minutes", o().minutes},
                {"text", o().text.value_or("")},
                {"complete", false},
                {"stages", Json::array()}};
      save();
    }
  }

  int run() {
    const Stage stages[] = {
        {"text", &Demo::text_stage},         {"tokenizer", &Demo::tokenizer_stage},
        {"shards", &Demo::shard_stage},      {"plan", &Demo::plan_stage},
        {"training", &Demo::training_stage}, {"writing", &Demo::writing_stage}};
    int number = 0;
    for (const Stage& s : stages) run_stage(s, ++number, static_cast<int>(std::size(stages)));
    finish();
    return 0;
  }

 private:
  struct Stage {
    const char* name;
    std::string (Demo::*work)();  // returns what was done, in a line
  };

  const DemoOptions& o() const { return options_; }
  std::string path(const std::string& name) const { return (out_ / name).string(); }
  void save() { write_json_file(out_ / "demo.json", state_); }

  void check_same_wishes() const {
    require(state_.value("minutes", 0.0) == o().minutes &&
                state_.value("text", "") == o().text.value_or(""),
            ErrorKind::kUsage, out_.string(),
            "was begun with --minutes {}{}; give the same to go on with it, or --fresh to begin "
            "anew beside it",
            state_.value("minutes", 0.0),
            state_.value("text", "").empty() ? "" : " --text " + state_["text"].get<std::string>());
  }

  bool is_done(const std::string& name) const {
    for (const Json& s : state_["stages"])
      if (s.at("name") == name) return true;
    return false;
  }

  double seconds_so_far() const {
    double sum = 0;
    for (const Json& s : state_["stages"]) sum += s.at("seconds").get<double>();
    return sum;
  }

  void run_stage(const Stage& stage, int number, int count) {
    if (is_done(stage.name)) {
      context_.log.info("[{}/{}] {}: done before", number, count, stage.name);
      return;
    }
    throw_if_interrupted();
    context_.log.info("[{}/{}] {}", number, count, stage.name);
    const auto start = Clock::now();
    const double before = state_.value("unfinished_seconds", 0.0);
    try {
      const std::string detail = (this->*stage.work)();
      const double seconds = before + seconds_since(start);
      state_["unfinished_seconds"] = 0.0;
      state_["stages"].push_back({{"name", stage.name}, {"seconds", seconds}, {"detail", detail}});
      save();
      context_.log.info("      {} ({})", detail, human_time(seconds));
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::kInterrupted) throw;
      state_["unfinished_seconds"] = before + seconds_since(start);
      save();
      fail(ErrorKind::kInterrupted, "demo",
           "stopped during '{}'; the same command goes on from there", stage.name);
    }
  }

  // Runs another command as if it had been typed, and returns what it prints with --json.
  Json run_command(const Command& command, const std::string& name,
                   const std::vector<std::string>& arguments) {
    std::string shown = "lathe " + name;
    for (const std::string& a : arguments)
      shown += a.find_first_of(" <|") == std::string::npos ? " " + a : " '" + a + "'";
    context_.log.info("      $ {}", shown);
    BoundCommand bound = command.bind();
    const ParsedLine parsed = parse_arguments(command, bound, arguments, name);
    std::ostringstream out;
    CommandContext inner{.name = name,
                         .arguments = {"lathe", name},
                         .overrides = parsed.overrides,
                         .given = parsed.given,
                         .json = true,
                         .out = out,
                         .log = context_.log,
                         .progress = context_.progress};
    inner.arguments.insert(inner.arguments.end(), arguments.begin(), arguments.end());
    bound.run(inner);
    return parse_json(out.str(), name);
  }

  std::string text_stage() {
    const DemoText text = read_demo_text(o().text);
    write_corpus(text, path("corpus.txt"));
    state_["source"] = text.source;
    state_["bytes"] = text.bytes;
    state_["openings"] = text.openings;
    return fmt::format("{} in {} documents from {}, cleaned into {}",
                       human_bytes(static_cast<double>(text.bytes)), text.documents.size(),
                       text.source, path("corpus.txt"));
  }

  std::string tokenizer_stage() {
    // Small texts get fewer tokens: each should be seen often enough to learn what it means.
    const int64_t wanted =
        std::clamp<int64_t>(state_["bytes"].get<int64_t>() / 200, 512, kVocabulary);
    const Command group = tokenizer_command();
    const auto train =
        std::ranges::find(group.children, "train", [](const Command& c) { return c.text.name; });
    const Json r =
        run_command(*train, "tokenizer train",
                    {path("corpus.txt"), "--vocab-size", std::to_string(wanted), "--special-token",
                     std::string(kEndOfText), "--out", path("tokenizer")});
    state_["vocab_size"] = r.at("vocab_size");
    return fmt::format("byte-level BPE, {} tokens, from {} distinct words",
                       r.at("vocab_size").get<int64_t>(), r.at("distinct_words").get<int64_t>());
  }

  std::string shard_stage() {
    const bool small = state_["bytes"].get<int64_t>() < 1 << 20;
    const Json r = run_command(shard_command(), "shard",
                               {path("corpus.txt"), "--tokenizer", path("tokenizer"), "--out",
                                path("data"), "--split", "separator", "--separator",
                                std::string(kEndOfText), "--val-fraction", small ? "0.1" : "0.05"});
    state_["train_tokens"] = r.at("tokens");
    state_["valid_tokens"] = r.at("valid").at("tokens");
    return fmt::format("{} tokens to learn from, {} held back for validation, {:.2f} bytes a token",
                       human_count(r.at("tokens").get<double>()),
                       human_count(r.at("valid").at("tokens").get<double>()),
                       r.at("bytes_per_token").get<double>());
  }

  // Says so in one line when the machine seems busy. Returns the part of the time to plan for.
  double part_to_plan(const MachineLoad& load) {
    const auto reason = why_busy(load);
    if (!reason) return kPlanned;
    state_["machine"]["busy"] = *reason;
    context_.log.warn(
        "the machine seems busy: {}; the plan keeps {:.0f} % of the time in reserve and the model "
        "is smaller than it could be",
        *reason, 100 * (1 - kPlannedWhenBusy));
    return kPlannedWhenBusy;
  }

  void measure_machine(const MachineLoad& load, std::string& precision) {
    const double f32 = load.best * 1e-9, bf16 = kernels::measure_matrix_rate(DType::kBF16) * 1e-9;
    precision = bf16 > 1.2 * f32 ? "bf16" : "fp32";
    const Manifest machine = new_manifest("demo", "");
    state_["machine"] = {
        {"processor", machine.cpu},
        {"threads", thread_count()},
        {"kernels", std::string(kernels::cpu_kernels().level)},
        {"matrix products, fp32", fmt::format("{:.0f} GFLOP/s", f32)},
        {"matrix products, bf16", fmt::format("{:.0f} GFLOP/s", bf16)},
        {"memory, reading", fmt::format("{:.1f} GB/s", kernels::measure_read_bandwidth() * 1e-9)}};
    context_.log.info(
        "      this machine multiplies matrices at {:.0f} GFLOP/s in fp32, {:.0f} in bf16: "
        "training in {}",
        f32, bf16, precision);
  }

  std::string plan_stage() {
    DemoLimits limits;
    const auto start = Clock::now();
    const MachineLoad load = measure_load();
    measure_machine(load, limits.precision);
    const double part = part_to_plan(load) - kForWriting;
    const double spent =
        seconds_so_far() + state_.value("unfinished_seconds", 0.0) + seconds_since(start);
    limits.seconds = std::max(1.0, part * 60 * o().minutes - spent);
    limits.vocab_size = state_["vocab_size"].get<int64_t>();
    limits.train_tokens = state_["train_tokens"].get<int64_t>();
    limits.valid_tokens = state_["valid_tokens"].get<int64_t>();
    DataConfig data;
    data.train = {path("data")};
    data.valid = {path("data-valid")};
    data.tokenizer = path("tokenizer");
    DemoPlan plan = plan_demo(
        limits, data, [&](const std::string& line) { context_.log.info("      {}", line); });
    plan.recipe.train.out = out_.string();
    plan.recipe.train.sample_prompt = state_["openings"][0].get<std::string>();
    write_file_atomically(out_ / "recipe.toml", demo_recipe_toml(plan.recipe));
    state_["parameters"] = plan.parameters;
    state_["steps"] = plan.recipe.train.steps;
    return fmt::format("{} parameters, {} steps of {} tokens, as {} says",
                       human_count(static_cast<double>(plan.parameters)), plan.recipe.train.steps,
                       plan.recipe.train.batch_size * plan.recipe.train.seq_len,
                       path("recipe.toml"));
  }

  std::string training_stage() {
    context_.log.info("      $ lathe train {}", path("recipe.toml"));
    const Recipe recipe = read_recipe(load_recipe(out_ / "recipe.toml"));
    TrainDisplay display(recipe, context_);
    Trainer trainer(recipe, display.hooks());
    display.announce(trainer);
    trainer.run(Trainer::Start::kResume);
    display.finish();
    const RunData run = read_run(out_);
    const ValidationPoint& first = run.validations.front();
    const ValidationPoint& last = run.validations.back();
    state_["val_loss"] = last.loss;
    if (std::isfinite(last.bits_per_byte)) state_["val_bits_per_byte"] = last.bits_per_byte;
    return fmt::format("validation loss {:.2f} after {:.0f} steps, {:.2f} at the end{}", first.loss,
                       first.step, last.loss,
                       std::isfinite(last.bits_per_byte)
                           ? fmt::format(" ({:.2f} bits a byte)", last.bits_per_byte)
                           : "");
  }

  Json write_text(Transformer& model, const Tokenizer& tokenizer, const std::string& prompt,
                  const GenerationConfig& config, const std::string& setting) {
    const std::string text = continue_text(model, tokenizer, prompt, config, throw_if_interrupted);
    context_.log.info("      {}:\n        {}{}", setting, prompt, text);
    return {{"setting", setting}, {"prompt", prompt}, {"text", text}};
  }

  std::string writing_stage() {
    const auto model = load_model(out_ / "model", {});
    const Tokenizer tokenizer = load_tokenizer(path("tokenizer"));
    const auto openings = state_["openings"].get<std::vector<std::string>>();
    const std::vector<std::pair<std::string, GenerationConfig>> settings = {
        {"greedy: --temperature 0", {.max_new_tokens = 70, .temperature = 0}},
        {"--temperature 0.8 --top-p 0.95",
         {.max_new_tokens = 70, .temperature = 0.8, .top_p = 0.95, .seed = 1}},
        {"--temperature 1.0 --min-p 0.05",
         {.max_new_tokens = 70, .temperature = 1.0, .min_p = 0.05, .seed = 2}},
        {"--temperature 0.7 --dry-multiplier 0.8",
         {.max_new_tokens = 70, .temperature = 0.7, .dry_multiplier = 0.8, .seed = 3}},
    };
    state_["generations"] = Json::array();
    for (size_t i = 0; i < settings.size(); ++i)
      state_["generations"].push_back(write_text(*model, tokenizer, openings[i % openings.size()],
                                                 settings[i].second, settings[i].first));
    return fmt::format("{} texts with different sampling", settings.size());
  }

  void finish() {
    const double seconds = seconds_so_far();
    state_["complete"] = true;
    state_["seconds"] = seconds;
    state_["summary"] = fmt::format(
        "{} of text, a tokenizer of {} tokens, {} parameters, trained from nothing on {} threads: "
        "{} in all.",
        human_bytes(state_["bytes"].get<double>()), state_["vocab_size"].get<int64_t>(),
        human_count(state_["parameters"].get<double>()), thread_count(), human_time(seconds));
    save();
    write_report(out_, out_ / "report.html");
    if (context_.json) {
      Json result = {{"out", out_.string()},
                     {"model", path("model")},
                     {"report", path("report.html")},
                     {"seconds", seconds}};
      for (const char* key : {"parameters", "steps", "val_loss", "val_bits_per_byte"})
        if (state_.contains(key)) result[key] = state_[key];
      context_.print_json(result);
      return;
    }
    print_closing(seconds);
  }

  void print_closing(double seconds) {
    const std::string run = out_.string();
    context_.out
        << fmt::format("\nDone in {}: from raw text to a model that writes.\n\nLook at\n",
                       human_time(seconds))
        << fmt::format("  {0}/report.html     curves, texts, where the time went\n", run)
        << fmt::format("  {0}/recipe.toml     the whole run in forty lines\n\nTry next\n", run)
        << fmt::format("  lathe generate {0}/model --prompt '{1}' --temperature 0.8 --top-p 0.95\n",
                       run, state_["openings"][0].get<std::string>())
        << fmt::format(
               "  lathe inspect {0}/model                        the model as a tree, and what it "
               "costs\n",
               run)
        << fmt::format("  lathe lineage {0}/model                        what it was made from\n",
                       run)
        << fmt::format("  lathe train {0}/recipe.toml --train.out={0}-muon --optim.name=muon\n",
                       run)
        << "                                                 change one line of the recipe; "
           "Ctrl-C, then --resume\n"
        << fmt::format("  lathe report {0}-muon                          and draw that run, too\n",
                       run)
        << "\ndocs/tour.md follows one token through all of it. (`lathe` is build/lathe.)\n";
  }

  const DemoOptions& options_;
  CommandContext& context_;
  fs::path out_;
  Json state_;
};

int run_demo(const DemoOptions& options, CommandContext& context) {
  context.begin_to_save();
  return Demo(options, context).run();
}

}  // namespace

Command demo_command() {
  return make_command<DemoOptions>(
      {.name = "demo",
       .summary = "raw text to a trained model that writes, in minutes, with a report",
       .help =
           "Cleans a text, trains a tokenizer, writes token shards, measures the machine, chooses "
           "a Llama-style\n"
           "model that fits the time, trains it, lets it write, and draws OUT/report.html. Ctrl-C "
           "stops it; the\n"
           "same command goes on. A finished run is never overwritten: the next goes to OUT-2.\n\n"
           "  lathe demo\n"
           "  lathe demo --minutes 3 --text my-book.txt --out runs/book\n"},
      run_demo);
}

}  // namespace lathe
