#include "lathe/cli/frame/program.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <new>
#include <nlohmann/json.hpp>
#include <sstream>

#include "io/temp_folder.h"
#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/base/strings.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/frame/completion.h"
#include "lathe/cli/frame/help.h"
#include "lathe/config/read_write.h"
#include "lathe/kernels/kernels.h"

namespace lathe {
namespace {

struct ToyOptions {
  std::string input;
  std::vector<std::string> more;
  int64_t max_new_tokens = 5;
  double temperature = 1.0;
  std::string prompt;
  std::string mode = "greedy";
  std::vector<std::string> stop;
  std::optional<int64_t> seed;
  bool stream = false;
  bool cache = true;
  void visit(Visitor& v) {
    v.positional("input", input, "what to read");
    v.positional("more", more, "what else to read", Limits{});
    v.field("max_new_tokens", max_new_tokens, "how many to make", at_least(1));
    v.field("temperature", temperature, "randomness", at_least(-1));
    v.field("prompt", prompt, "text to go on from");
    v.choice("mode", mode, {"greedy", "sample"}, "how to choose");
    v.field("stop", stop, "where to stop");
    v.field("seed", seed, "random seed");
    v.field("stream", stream, "print as it comes");
    v.field("cache", cache, "keep keys and values");
  }
};

int run_toy(const ToyOptions& o, CommandContext& context) {
  if (o.input == "bad_alloc") throw std::bad_alloc();
  if (o.input == "io") fail(ErrorKind::kIo, "x.bin", "cannot be opened");
  if (o.input == "interrupted") fail(ErrorKind::kInterrupted, "train", "stopped at step 3");
  nlohmann::ordered_json j;
  j["options"] = write_config(o);
  j["overrides"] = context.overrides;
  j["given"] = context.given;
  j["json"] = context.json;
  j["name"] = context.name;
  j["command"] = context.command_line();
  context.print_json(j);
  return 0;
}

struct Result {
  int code;
  std::string out, err;
};

const std::vector<Command>& toy_commands() {
  static const std::vector<Command> kToys = {
      make_command<ToyOptions>({.name = "toy",
                                .summary = "do a toy thing",
                                .help = "  lathe toy a.txt\n",
                                .takes_overrides = true},
                               run_toy),
      command_group(
          {.name = "group", .summary = "several", .help = ""},
          {make_command<ToyOptions>({.name = "inner", .summary = "one", .help = ""}, run_toy)}),
      with_children(
          make_command<ToyOptions>({.name = "both", .summary = "itself and another"}, run_toy),
          {make_command<ToyOptions>({.name = "inner", .summary = "one", .help = ""}, run_toy)}),
  };
  return kToys;
}

Result run(const std::vector<std::string>& arguments,
           const std::vector<Command>& commands = toy_commands()) {
  std::ostringstream out, err;
  const int code = run_program({commands}, arguments, {out, err, {}});
  return {code, out.str(), err.str()};
}

nlohmann::json options_of(const std::vector<std::string>& arguments) {
  const Result r = run(arguments);
  EXPECT_EQ(r.code, 0) << r.err;
  return r.code == 0 ? nlohmann::json::parse(r.out)["options"] : nlohmann::json();
}

TEST(Program, OptionsOfEveryKind) {
  auto o = options_of({"toy", "in", "--max-new-tokens", "7", "x", "--temperature=0.5", "--mode",
                       "sample", "--stop", "a", "y", "--stop=b", "--seed", "3", "--stream",
                       "--no-cache"});
  EXPECT_EQ(o["input"], "in");
  EXPECT_EQ(o["more"], (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(o["max_new_tokens"], 7);
  EXPECT_EQ(o["temperature"], 0.5);
  EXPECT_EQ(o["mode"], "sample");
  EXPECT_EQ(o["stop"], (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(o["seed"], 3);
  EXPECT_EQ(o["stream"], true);
  EXPECT_EQ(o["cache"], false);
  o = options_of({"toy", "in", "--max_new_tokens=2", "--max-new-tokens", "3"});
  EXPECT_EQ(o["max_new_tokens"], 3) << "underscores are accepted, the last one counts";
  EXPECT_FALSE(o.contains("seed"));
}

struct MapOptions {
  std::map<int64_t, double> bias;
  void visit(Visitor& v) { v.field("bias", bias, "added by id", between(-100, 100)); }
};

Result run_map(const std::vector<std::string>& arguments) {
  std::ostringstream out, err;
  const std::vector<Command> commands = {make_command<MapOptions>(
      {.name = "map", .summary = "one map", .help = ""},
      [](const MapOptions& o, CommandContext& c) { return c.print_json(write_config(o)), 0; })};
  const int code = run_program({commands}, arguments, {out, err, {}});
  return {code, out.str(), err.str()};
}

TEST(Program, ACommandMayLeadToOthers) {
  const auto called = [](const std::vector<std::string>& arguments) {
    const auto j = nlohmann::json::parse(run(arguments).out);
    return j["name"].get<std::string>() + ": " + j["options"]["input"].get<std::string>();
  };
  EXPECT_EQ(called({"both", "a.txt"}), "both: a.txt");
  EXPECT_EQ(called({"both", "--seed", "3", "inner"}), "both: inner");
  EXPECT_EQ(called({"both", "inner", "a.txt"}), "both inner: a.txt");
  EXPECT_EQ(called({"both", "./inner"}), "both: ./inner");
  const std::string help = run({"both", "--help"}).out;
  EXPECT_NE(help.find("usage: lathe both INPUT"), std::string::npos) << help;
  EXPECT_NE(help.find("in place of the first argument:\n  inner"), std::string::npos) << help;
}

TEST(Program, MapsAreIntegersWithNumbers) {
  EXPECT_EQ(run_map({"map", "--bias", "15=-3.5", "--bias=7=2"}).out,
            "{\"bias\":{\"7\":2.0,\"15\":-3.5}}\n");
  EXPECT_NE(run_map({"help", "map"})
                .out.find("--bias N=X         added by id (between -100 and 100; may be repeated)"),
            std::string::npos)
      << run_map({"help", "map"}).out;
  for (const char* bad : {"15", "15=", "=3", "x=3", "1.5=3", "15=x", "15=101", "15=nan"}) {
    const Result r = run_map({"map", "--bias", bad});
    EXPECT_EQ(r.code, 2) << bad;
    EXPECT_NE(r.err.find("--bias"), std::string::npos) << r.err;
  }
}

TEST(Program, ValuesThatLookLikeOptions) {
  EXPECT_EQ(options_of({"toy", "in", "--temperature", "-1"})["temperature"], -1);
  EXPECT_EQ(options_of({"toy", "in", "--temperature=-0.5"})["temperature"], -0.5);
  EXPECT_EQ(options_of({"toy", "in", "--prompt=--hello"})["prompt"], "--hello");
  EXPECT_EQ(options_of({"toy", "in", "--prompt", "a b\n\"c\""})["prompt"], "a b\n\"c\"");
  EXPECT_EQ(options_of({"toy", "in", "--prompt", ""})["prompt"], "");
  EXPECT_EQ(options_of({"toy", "in", "--prompt=[x, y]"})["prompt"], "[x, y]");
  EXPECT_EQ(options_of({"toy", "--", "--in"})["input"], "--in");
  EXPECT_EQ(options_of({"toy", "-"})["input"], "-");
}

TEST(Program, OverridesAreCollected) {
  const auto r = run({"toy", "in", "--train.steps=3", "--model.norm.kind=rms", "--a.b=x=y.z"});
  const auto j = nlohmann::json::parse(r.out);
  EXPECT_EQ(j["overrides"],
            (std::vector<std::string>{"train.steps=3", "model.norm.kind=rms", "a.b=x=y.z"}));
  EXPECT_EQ(run({"toy", "in", "--train.steps", "3"}).err,
            "lathe toy: error: [command line] '--train.steps' has no value, expected "
            "--train.steps=value\n");
  EXPECT_NE(run({"group", "inner", "in", "--train.steps=3"}).err.find("unknown option"),
            std::string::npos);
}

TEST(Program, TheOptionsGivenAreKnown) {
  const auto given = [](const std::vector<std::string>& arguments) {
    return nlohmann::json::parse(run(arguments).out)["given"];
  };
  EXPECT_EQ(given({"toy", "in"}), std::vector<std::string>{});
  EXPECT_EQ(given({"toy", "in", "--seed=1", "--no-cache", "--max_new_tokens", "5", "--json"}),
            (std::vector<std::string>{"max_new_tokens", "seed", "cache"}))
      << "also with the value of the default";
}

struct SettingsOptions {
  std::vector<std::string> models;
  int64_t max_queue = 5;
  std::string host = "here";
  bool follow = false;
  std::vector<std::string> keys;
  std::optional<std::string> config;
  void visit(Visitor& v) {
    v.positional("models", models, "what to serve");
    v.field("max_queue", max_queue, "how many wait", at_least(1));
    v.field("host", host, "where");
    v.field("follow", follow, "go on");
    v.field("keys", keys, "who may");
    v.field("config", config, "file");
  }
};

int run_settings(const SettingsOptions& o, CommandContext& context) {
  context.print_json({{"options", write_config(o)}, {"given", context.given}});
  return 0;
}

TEST(Program, OptionsFromTheLineTheEnvironmentAndAFile) {
  const std::vector<Command> commands = {make_command<SettingsOptions>(
      {.name = "hold", .summary = "x", .takes_settings = true}, run_settings)};
  const TempFolder folder;
  const std::string file = (folder / "a.toml").string();
  std::ofstream(file)
      << "models = [\"a\", \"b\"]\nmax_queue = 7\nhost = \"file\"\nkeys = [\"k\"]\n";
  const auto options = [&](std::vector<std::string> line) {
    const Result r = run(std::move(line), commands);
    EXPECT_EQ(r.code, 0) << r.err;
    return r.code == 0 ? nlohmann::json::parse(r.out)["options"] : nlohmann::json();
  };
  const auto from_file = options({"hold", "--config", file, "--max-queue", "9"});
  EXPECT_EQ(from_file["models"], (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(from_file["max_queue"], 9);
  EXPECT_EQ(from_file["host"], "file");

  ::setenv("LATHE_HOLD_CONFIG", file.c_str(), 1);
  ::setenv("LATHE_HOLD_HOST", "environment", 1);
  ::setenv("LATHE_HOLD_FOLLOW", "true", 1);
  ::setenv("LATHE_HOLD_KEYS", "one,two", 1);
  const auto from_all = options({"hold", "c"});
  EXPECT_EQ(from_all["models"], (std::vector<std::string>{"c"}));
  EXPECT_EQ(from_all["max_queue"], 7);
  EXPECT_EQ(from_all["host"], "environment");
  EXPECT_EQ(from_all["follow"], true);
  EXPECT_EQ(from_all["keys"], (std::vector<std::string>{"one", "two"}));
  ::setenv("LATHE_HOLD_MAX_QUEUE", "none", 1);
  const Result wrong = run({"hold", "c"}, commands);
  EXPECT_EQ(wrong.code, 2);
  EXPECT_NE(wrong.err.find("LATHE_HOLD_MAX_QUEUE is 'none'"), std::string::npos) << wrong.err;
  for (const char* name : {"CONFIG", "HOST", "FOLLOW", "KEYS", "MAX_QUEUE"})
    ::unsetenv((std::string("LATHE_HOLD_") + name).c_str());
  EXPECT_EQ(run({"hold"}, commands).code, 2);

  std::ofstream(file) << "max_queu = 7\n";
  const Result unknown = run({"hold", "c", "--config", file}, commands);
  EXPECT_NE(unknown.err.find("max_queu"), std::string::npos);
  EXPECT_NE(unknown.code, 0);
}

TEST(Program, UsageErrorsExitWithTwoAndNameTheFix) {
  const struct {
    std::vector<std::string> arguments;
    std::string error;
  } table[] = {
      {{"tyo"},
       "lathe: error: [command line] unknown command 'tyo'. Did you mean 'toy'? Commands: toy, "
       "group, both\n"},
      {{"group", "inenr"},
       "lathe group: error: [command line] unknown command 'group inenr'. Did you mean 'inner'? "
       "Commands: inner\n"},
      {{"toy"},
       "lathe toy: error: [command line] input is missing (what to read); see `lathe help toy`\n"},
      {{"toy", "in", "--max-new-tokens", "0"},
       "lathe toy: error: [command line] --max-new-tokens is '0', expected an integer, at least "
       "1.\n"},
      {{"toy", "in", "--max-new-tokens", "1e3"},
       "lathe toy: error: [command line] --max-new-tokens is '1e3', expected an integer, at least "
       "1.\n"},
      {{"toy", "in", "--mode", "sampel"},
       "lathe toy: error: [command line] --mode is 'sampel', expected one of 'greedy', 'sample'. "
       "Did you mean 'sample'?\n"},
      {{"toy", "in", "--temprature", "1"},
       "lathe toy: error: [command line] unknown option '--temprature'. Did you mean "
       "'--temperature'? Options: --help, --json, --threads, --cpu-level, --max-new-tokens, "
       "--temperature, "
       "--prompt, --mode, --stop, --seed, --stream, --cache\n"},
      {{"--wrong"},
       "lathe: error: [command line] unknown option '--wrong'; `lathe help` lists the commands\n"},
      {{"toy", "in", "--threads", "0"},
       "lathe toy: error: [command line] --threads is '0', expected an integer, between 1 and "
       "1024.\n"},
  };
  for (const auto& row : table) {
    const Result r = run(row.arguments);
    EXPECT_EQ(r.code, 2);
    EXPECT_EQ(r.out, "");
    EXPECT_EQ(r.err, row.error);
  }
  EXPECT_EQ(run({"toy", "in", "--prompt"}).code, 2);
}

TEST(Program, ErrorsOfTheCommandItself) {
  Result r = run({"toy", "io"});
  EXPECT_EQ(r.code, 1);
  EXPECT_EQ(r.err, "lathe toy: error: [x.bin] cannot be opened\n");
  EXPECT_EQ(run({"toy", "interrupted"}).code, 130);
  r = run({"group", "inner", "bad_alloc"});
  EXPECT_EQ(r.code, 1);
  EXPECT_TRUE(r.err.starts_with("lathe group inner: error: [memory] there is not enough memory"));
}

TEST(Program, GlobalOptionsBeforeOrAfterTheCommand) {
  const int before = thread_count();
  auto j = nlohmann::json::parse(run({"--threads", "1", "--json", "toy", "in"}).out);
  EXPECT_EQ(j["json"], true);
  EXPECT_EQ(j["name"], "toy");
  EXPECT_EQ(j["command"], "lathe --threads 1 --json toy in");
  EXPECT_EQ(thread_count(), 1);
  set_thread_count(before);
}

// Whoever reads lines finds the object by its first character.
TEST(Program, JsonIsOneLine) {
  std::ostringstream out;
  CommandContext context{
      .name = "toy", .arguments = {}, .overrides = {}, .out = out, .log = {}, .progress = {}};
  context.print_json({{"text", "two\nlines"}, {"list", {1, 2, 3}}, {"inner", {{"a", 1.5}}}});
  EXPECT_EQ(out.str(), "{\"text\":\"two\\nlines\",\"list\":[1,2,3],\"inner\":{\"a\":1.5}}\n");
}

TEST(Program, TheCpuLevel) {
  const std::string best = kernels::cpu_kernels().level;
  EXPECT_EQ(run({"--cpu-level", "baseline", "toy", "in"}).code, 0);
  EXPECT_EQ(kernels::cpu_kernels().level, "baseline");
  EXPECT_EQ(run({"toy", "in", "--cpu-level=" + best}).code, 0);
  EXPECT_EQ(kernels::cpu_kernels().level, best);
  const Result r = run({"toy", "in", "--cpu-level", "basline"});
  EXPECT_EQ(r.code, 2);
  EXPECT_EQ(r.err, "lathe toy: error: [command line] --cpu-level is 'basline', expected one of '" +
                       join(kernels::cpu_levels(), "', '") + "'. Did you mean 'baseline'?\n");
  EXPECT_EQ(kernels::cpu_kernels().level, best);
}

TEST(Program, HelpComesFromTheCatalogue) {
  EXPECT_EQ(run({}).out, run({"--help"}).out);
  EXPECT_NE(run({"help"}).out.find("toy    do a toy thing"), std::string::npos);
  EXPECT_TRUE(run({"--version"}).out.starts_with("lathe "));
  EXPECT_EQ(run({"group"}).code, 2);
  EXPECT_NE(run({"group", "--help"}).out.find("inner  one"), std::string::npos);
  EXPECT_EQ(run({"toy", "--help"}).out, run({"help", "toy"}).out);
  EXPECT_EQ(
      run({"help", "toy"}).out,
      "lathe toy: do a toy thing\n\n"
      "usage: lathe toy INPUT [MORE...] [--section.key=value ...] [options]\n\n"
      "  lathe toy a.txt\n\n"
      "arguments:\n"
      "  INPUT    what to read\n"
      "  MORE...  what else to read\n\n"
      "options:\n"
      "  --max-new-tokens N    how many to make (at least 1; default 5)\n"
      "  --temperature X       randomness (at least -1; default 1.0)\n"
      "  --prompt TEXT         text to go on from\n"
      "  --mode greedy|sample  how to choose (default greedy)\n"
      "  --stop TEXT           where to stop (may be repeated)\n"
      "  --seed N              random seed\n"
      "  --stream              print as it comes\n"
      "  --no-cache            keep keys and values (on by default, this turns it off)\n"
      "  --section.key=value   replaces a key of the recipe\n"
      "  --json                print one JSON object on standard output and nothing else\n"
      "  --threads N           number of threads; all cores if not given (between 1 and 1024)\n"
      "  --cpu-level LEVEL     instruction set of the kernels; the best that the machine supports "
      "if not given (here " +
          join(kernels::cpu_levels(), ", ") +
          ")\n"
          "  -h, --help            show this help\n");
}

TEST(Program, CompletionScriptsNameEverything) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = completion_script(toy_commands(), shell);
    for (const char* word : {"toy", "inner", "max-new-tokens", "temperature"})
      EXPECT_NE(script.find(word), std::string::npos) << shell << " lacks " << word;
  }
}

// The help names the levels of this machine, a page that is read elsewhere does not.
TEST(Program, PagesDoNotDependOnTheMachine) {
  const std::string page = run({"help", "--markdown"}).out;
  EXPECT_NE(page.find("--cpu-level LEVEL"), std::string::npos);
  EXPECT_EQ(page.find("baseline"), std::string::npos);
}

// Every command of the real catalogue must describe itself without errors.
TEST(Program, TheCatalogueIsWellFormed) {
  std::ostringstream out, err;
  EXPECT_EQ(
      run_program(lathe_program(), std::vector<std::string>{"help", "--markdown"}, {out, err, {}}),
      0)
      << err.str();
  for (const auto& command : commands()) {
    EXPECT_FALSE(command.text.summary.empty()) << command.text.name;
    EXPECT_TRUE(command.bind != nullptr || !command.children.empty()) << command.text.name;
    EXPECT_NE(out.str().find("## lathe " + command.text.name), std::string::npos);
  }
}

}  // namespace
}  // namespace lathe
