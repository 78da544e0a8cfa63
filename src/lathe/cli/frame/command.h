// The description of a command. Parsing, help, the pages under docs/ and shell completion all read
// it, so a command is one file and one line in commands.cc:
//
//   struct CountOptions {
//     std::string file;
//     int64_t top = 10;
//     void visit(Visitor& v) {
//       v.positional("file", file, "text to count");
//       v.field("top", top, "how many words to print", at_least(1));  // --top 10
//     }
//   };
//   int run_count(const CountOptions& options, CommandContext& context);
//
//   Command count_command() {
//     return make_command<CountOptions>(
//         {.name = "count", .summary = "count words", .help = "…\n\n  lathe count book.txt\n"},
//         run_count);
//   }
//
// A field `val_fraction` becomes `--val-fraction X`, a bool `--flag` / `--no-flag`, a list an
// option that may be repeated. Groups give dotted options (`--optim.lr`).
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/cli/frame/progress.h"
#include "lathe/config/visit.h"

namespace lathe {

// What every command is given in addition to its own options.
struct CommandContext {
  std::string name;                     // "tokenizer train"
  std::vector<std::string> arguments;   // the whole command line, for manifests
  std::vector<std::string> overrides;   // "section.key=value" from `--section.key=value`
  std::vector<std::string> given = {};  // keys of the options that the line sets, "top_p"
  bool json = false;                    // print one JSON object on `out` and nothing else
  std::ostream& out;                    // results
  Log log;                              // messages, to stderr
  ProgressStyle progress;               // how a Progress of this command is shown
  // Called by a command that will have something to save: from then on Ctrl-C waits for it to check
  // interrupt_requested() instead of ending the process within half a second.
  std::function<void()> begin_to_save = [] {};

  std::string command_line() const;
  // One object on one line; call it once, when json is set.
  void print_json(const nlohmann::ordered_json& object);
};

struct CommandText {
  std::string name;              // one word
  std::string summary;           // one line, lower case, no full stop
  std::string help = {};         // what it does and examples
  bool takes_overrides = false;  // collect `--section.key=value` instead of refusing it
  // Options that the line does not give come from the environment, LATHE_NAME_OPTION (a list with commas), and then from
  // the TOML file that the field `config` names.
  bool takes_settings = false;
};

// A command with a fresh set of its options.
struct BoundCommand {
  std::shared_ptr<void> owner;  // of the options that `options` refers to
  ConfigRef options;
  std::function<int(CommandContext&)> run;  // returns the exit code; throws Error
};

struct Command {
  CommandText text;
  std::function<BoundCommand()> bind;  // empty for a word that only groups others
  std::vector<Command> children;
};

template <class Options>
Command make_command(CommandText text, int (*run)(const Options&, CommandContext&)) {
  return {std::move(text),
          [run] {
            auto options = std::make_shared<Options>();
            return BoundCommand{options, ConfigRef(*options),
                                [options, run](CommandContext& c) { return run(*options, c); }};
          },
          {}};
}

// A command whose first argument may also be the name of another: `lathe eval MODEL`, `lathe eval make`.
inline Command with_children(Command command, std::vector<Command> children) {
  command.children = std::move(children);
  return command;
}

// A word that only groups others, as in `lathe tokenizer train`.
inline Command command_group(CommandText text, std::vector<Command> children) {
  return {std::move(text), {}, std::move(children)};
}

// Calls f(command, full name) for every command and, after each, its children.
template <class F>
void for_each_command(std::span<const Command> commands, const std::string& prefix, F&& f) {
  for (const auto& command : commands) {
    const std::string name = prefix + command.text.name;
    f(command, name);
    for_each_command(command.children, name + " ", f);
  }
}

}  // namespace lathe
