#include "lathe/cli/frame/help.h"

#include <fmt/format.h>

#include <algorithm>

#include "lathe/base/strings.h"
#include "lathe/cli/frame/parse.h"
#include "lathe/config/read_write.h"

namespace lathe {
namespace {

struct Row {
  std::string left, right;
};

std::string table(const std::vector<Row>& rows) {
  size_t width = 0;
  for (const auto& row : rows) width = std::max(width, std::min<size_t>(row.left.size(), 30));
  std::string text;
  for (const auto& row : rows) {
    const bool fits = row.left.size() <= width;
    text +=
        fmt::format("  {:<{}}{}{}\n", row.left, width,
                    fits ? std::string(2, ' ') : fmt::format("\n{:{}}", "", width + 4), row.right);
  }
  return text;
}

std::string upper(std::string text) {
  for (char& c : text) c = c == '_' ? '-' : static_cast<char>(std::toupper(c));
  return text;
}

bool is_list(const FieldInfo& field) { return field.type.starts_with("list"); }

bool is_map(const FieldInfo& field) { return field.type.starts_with("map"); }

std::string placeholder(const FieldInfo& field) {
  if (!field.choices.empty()) return join(field.choices, "|");
  if (is_map(field)) return "N=X";
  if (field.type.find("integer") != std::string::npos) return "N";
  if (field.type.find("number") != std::string::npos) return "X";
  return "TEXT";
}

std::string left_of(const FieldInfo& field) {
  if (field.positional) return upper(field.key) + (is_list(field) ? "..." : "");
  const std::string name = option_name(field.key);
  if (field.type == "boolean")
    return field.value == "true" ? fmt::format("--no-{}", name.substr(2)) : name;
  return name + " " + placeholder(field);
}

std::string without_quotes(const std::string& literal) {
  return literal.size() >= 2 && literal[0] == '"' ? literal.substr(1, literal.size() - 2) : literal;
}

std::string right_of(const FieldInfo& field) {
  std::string notes = field.limits;
  const auto add = [&](const std::string& note) { notes += (notes.empty() ? "" : "; ") + note; };
  if (field.positional && !field.choices.empty()) add(join(field.choices, ", "));
  if ((is_list(field) || is_map(field)) && !field.positional) add("may be repeated");
  if (field.required && !field.positional) add("required");
  const bool has_default = !field.required && !field.positional && field.type != "boolean" &&
                           !field.value.empty() && field.value != "\"\"" && field.value != "[]" &&
                           field.value != "{}";
  if (has_default) add("default " + without_quotes(field.value));
  if (field.type == "boolean" && field.value == "true") add("on by default, this turns it off");
  return notes.empty() ? field.help : fmt::format("{} ({})", field.help, notes);
}

// What a text is written for: this machine's levels are no news in a page that others read.
enum class Reader : uint8_t { kHere, kEverywhere };

std::vector<Row> global_rows(Reader reader) {
  std::vector<Row> rows;
  for (FieldInfo& field : describe(GlobalOptions())) {
    if (field.key == "cpu_level") {
      if (reader == Reader::kHere) field.limits = "here " + join(field.choices, ", ");
      field.choices = {"LEVEL"};
    }
    rows.push_back({left_of(field), right_of(field)});
  }
  rows.push_back({"-h, --help", "show this help"});
  return rows;
}

std::string usage(const Command& command, const std::string& name) {
  std::string text = "usage: lathe " + name;
  if (!command.bind) return text + " COMMAND [options]\n";
  const auto fields = describe(command.bind().options);
  for (const auto& field : fields)
    if (field.positional)
      text += fmt::format(fmt::runtime(field.required ? " {}" : " [{}]"), left_of(field));
  for (const auto& field : fields)
    if (field.required && !field.positional) text += fmt::format(" {}", left_of(field));
  if (command.text.takes_overrides) text += " [--section.key=value ...]";
  return text + " [options]\n";
}

std::string ending_in_newline(std::string text) {
  if (!text.empty() && text.back() != '\n') text += '\n';
  return text;
}

std::string help_of(const Command& command, const std::string& name, Reader reader) {
  std::string text = fmt::format("lathe {}: {}\n\n", name, command.text.summary);
  text += usage(command, name);
  if (!command.text.help.empty()) text += fmt::format("\n{}", ending_in_newline(command.text.help));
  if (!command.children.empty()) {
    std::vector<Row> rows;
    for (const auto& child : command.children)
      rows.push_back({child.text.name, child.text.summary});
    text += fmt::format(
        "\n{}:\n{}", command.bind ? "other commands, in place of the first argument" : "commands",
        table(rows));
  }
  if (!command.bind) return text;
  std::vector<Row> arguments, options;
  for (const auto& field : describe(command.bind().options))
    (field.positional ? arguments : options).push_back({left_of(field), right_of(field)});
  if (command.text.takes_overrides)
    options.push_back({"--section.key=value", "replaces a key of the recipe"});
  for (const Row& row : global_rows(reader)) options.push_back(row);
  if (!arguments.empty()) text += fmt::format("\narguments:\n{}", table(arguments));
  return text + "\noptions:\n" + table(options);
}

}  // namespace

std::string program_help(std::span<const Command> commands) {
  std::vector<Row> rows;
  for (const auto& command : commands) rows.push_back({command.text.name, command.text.summary});
  return "lathe: the whole life of a language model, from raw text to a model that talks\n\n"
         "usage: lathe COMMAND [options]\n\ncommands:\n" +
         table(rows) +
         "\n"
         "`lathe help COMMAND` explains a command; `lathe --version` prints the version.\n\n"
         "options of every command:\n" +
         table(global_rows(Reader::kHere));
}

std::string command_help(const Command& command, const std::string& name) {
  return help_of(command, name, Reader::kHere);
}

std::string commands_markdown(std::span<const Command> commands) {
  std::string text =
      "# Commands\n\nWritten by `lathe help --markdown`; change the commands, not this page.\n";
  for_each_command(commands, "", [&](const Command& command, const std::string& name) {
    text += fmt::format("\n## lathe {}\n\n```\n{}```\n", name,
                        help_of(command, name, Reader::kEverywhere));
  });
  return text;
}

}  // namespace lathe
