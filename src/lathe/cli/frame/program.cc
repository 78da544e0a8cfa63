#include "lathe/cli/frame/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <new>
#include <nlohmann/json.hpp>
#include <optional>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/base/strings.h"
#include "lathe/base/utf8.h"
#include "lathe/cli/frame/help.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/cli/frame/parse.h"
#include "lathe/config/read_write.h"
#include "lathe/io/manifest.h"
#include "lathe/kernels/kernels.h"

namespace lathe {
namespace {

using Arguments = std::vector<std::string>;

const Command& find_command(std::span<const Command> commands, const std::string& word,
                            const std::string& parent) {
  Arguments names;
  for (const auto& command : commands) {
    if (command.text.name == word) return command;
    names.push_back(command.text.name);
  }
  fail(ErrorKind::kUsage, "command line", "unknown command '{}{}'.{} Commands: {}", parent, word,
       did_you_mean(word, names), join(names, ", "));
}

// Whether `word` goes on down the tree: a group has no other arguments.
bool leads_to_child(const Command& command, const std::string& word) {
  if (command.children.empty() || word.starts_with("-")) return false;
  return !command.bind || std::ranges::any_of(command.children, [&](const Command& child) {
    return child.text.name == word;
  });
}

// Follows words of `rest` down the tree; removes them and adds them to `name`.
const Command& descend(std::span<const Command> commands, Arguments& rest, std::string& name) {
  const Command* command = nullptr;
  do {
    const Command& next = find_command(commands, rest.front(), name.empty() ? "" : name + " ");
    name += (name.empty() ? "" : " ") + next.text.name;
    rest.erase(rest.begin());
    command = &next;
    commands = next.children;
  } while (!rest.empty() && leads_to_child(*command, rest.front()));
  return *command;
}

bool takes_a_value(const std::string& argument) {
  return std::ranges::any_of(describe(GlobalOptions()), [&](const FieldInfo& field) {
    return field.type != "boolean" && argument == option_name(field.key);
  });
}

// `lathe --threads 2 train x` means `lathe train x --threads 2`.
Arguments with_command_first(std::span<const std::string> arguments) {
  size_t i = 0;
  while (i < arguments.size() && arguments[i].starts_with("-"))
    i += takes_a_value(arguments[i]) ? 2 : 1;
  i = std::min(i, arguments.size());
  Arguments out(arguments.begin() + static_cast<ptrdiff_t>(i), arguments.end());
  const auto separator = std::find(out.begin(), out.end(), "--");
  out.insert(separator, arguments.begin(), arguments.begin() + static_cast<ptrdiff_t>(i));
  return out;
}

int run_help(const Program& program, Arguments rest, std::ostream& out) {
  if (rest.empty()) {
    out << program_help(program.commands);
    return 0;
  }
  if (rest.front() == "--markdown") {
    out << commands_markdown(program.commands);
    return 0;
  }
  for (const HelpPage& page : program.pages) {
    if (rest.front() != page.option) continue;
    out << page.text();
    return 0;
  }
  std::string name;
  const Command& command = descend(program.commands, rest, name);
  out << command_help(command, name);
  return 0;
}

Log make_log(const ProgramOutput& output) {
  return Log([&err = output.err, bar = output.progress.kind == ProgressStyle::Kind::kBar](
                 LogLevel level, const std::string& text) {
    if (level == LogLevel::kDebug) return;
    // A bar may be on this line: wipe it, the bar's next update draws it again below.
    err << (bar ? "\r\x1b[K" : "") << (level == LogLevel::kWarning ? "warning: " : "") << text
        << '\n'
        << std::flush;
  });
}

// Where a command writes: its option `out`.
std::vector<std::filesystem::path> outputs_of(ConfigRef options) {
  const auto values = write_config(options);
  const auto out = values.find("out");
  if (out == values.end() || !out->is_string()) return {};
  const auto name = out->get<std::string>();
  require(!name.empty(), ErrorKind::kUsage, "command line",
          "--out is empty; give the path to write");
  return {name};
}

int run_command(std::span<const Command> commands, Arguments rest, std::string& name,
                std::span<const std::string> arguments, const ProgramOutput& output) {
  const Command& command = descend(commands, rest, name);
  if (!command.bind) {
    const bool asked = std::find(rest.begin(), rest.end(), "--help") != rest.end() ||
                       std::find(rest.begin(), rest.end(), "-h") != rest.end();
    (asked ? output.out : output.err) << command_help(command, name);
    return asked ? 0 : exit_code(ErrorKind::kUsage);
  }
  BoundCommand bound = command.bind();
  const ParsedLine parsed = parse_arguments(command, bound, rest, name);
  if (parsed.help) {
    output.out << command_help(command, name);
    return 0;
  }
  const GlobalOptions& global = parsed.global;
  if (global.threads) set_thread_count(static_cast<int>(*global.threads));
  if (global.cpu_level) kernels::select_cpu_level(*global.cpu_level);
  CommandContext context{.name = name,
                         .arguments = {"lathe"},
                         .overrides = parsed.overrides,
                         .given = parsed.given,
                         .json = global.json,
                         .out = output.out,
                         .log = make_log(output),
                         .progress = output.progress};
  context.arguments.insert(context.arguments.end(), arguments.begin(), arguments.end());
  if (global.json) context.progress.kind = ProgressStyle::Kind::kOff;
  const auto outputs = outputs_of(bound.options);
  std::optional<SavesWhenStopped> saves;
  std::optional<StopWatch> watch;
  if (output.owns_process) watch.emplace(outputs);
  context.begin_to_save = [&] {
    saves.emplace();
    watch.reset();
  };
  return bound.run(context);
}

int dispatch(const Program& program, std::span<const std::string> arguments, std::string& name,
             const ProgramOutput& output) {
  Arguments rest = with_command_first(arguments);
  if (rest.empty() || rest.front() == "--help" || rest.front() == "-h") {
    output.out << program_help(program.commands);
    return 0;
  }
  if (rest.front() == "--version") {
    output.out << "lathe " << lathe_version() << '\n';
    return 0;
  }
  if (rest.front() == "help") {
    rest.erase(rest.begin());
    return run_help(program, rest, output.out);
  }
  require(!rest.front().starts_with("-"), ErrorKind::kUsage, "command line",
          "unknown option '{}'; `lathe help` lists the commands", rest.front());
  return run_command(program.commands, rest, name, arguments, output);
}

}  // namespace

int run_program(const Program& program, std::span<const std::string> arguments,
                const ProgramOutput& output) {
  std::string name;
  const auto complain = [&](const std::string& text, int code) {
    output.err << (name.empty() ? "lathe" : "lathe " + name)
               << ": error: " << replace_invalid_utf8(text) << '\n'
               << std::flush;
    return code;
  };
  try {
    const int code = dispatch(program, arguments, name, output);
    output.out.flush();
    require(output.out.good(), ErrorKind::kIo, "standard output",
            "cannot be written; the disk may be full or the reader may be gone");
    return code;
  } catch (const Error& e) {
    return complain(e.what(), exit_code(e.kind()));
  } catch (const std::bad_alloc&) {
    return complain(
        "[memory] there is not enough memory for this; use a smaller batch, a shorter context or a "
        "smaller model",
        1);
  } catch (const std::filesystem::filesystem_error& e) {
    return complain(fmt::format("[{}] {}; check the path and its permissions", e.path1().string(),
                                e.code().message()),
                    1);
  } catch (const std::exception& e) {
    return complain(
        fmt::format("[internal] {}; please report this with the command line", e.what()), 1);
  }
}

}  // namespace lathe
