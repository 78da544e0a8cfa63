// CLI11 recognises the options; it is given the fields of visit() as options that keep their raw
// text. The conversion is ours, because limits, choices and the words of errors belong to the
// field. What CLI11 does not know comes back as a remainder: positional arguments, overrides, and
// mistakes.

#include "lathe/cli/frame/parse.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <sstream>

#include "lathe/base/env.h"
#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/config/literal.h"
#include "lathe/config/read_write.h"
#include "lathe/config/recipe_file.h"

namespace lathe {
namespace {

constexpr std::string_view kWhere = "command line";
using Values = std::vector<std::string>;

bool parse_scalar(const std::string& text, std::string& out) {
  out = text;
  return true;
}
bool parse_scalar(const std::string& text, bool& out) {
  out = text == "true";
  return text == "true" || text == "false";
}
template <class Number>
bool parse_scalar(const std::string& text, Number& out) {
  return parse_number(text, out);
}
// "7=1.5": one entry of a map.
bool parse_scalar(const std::string& text, std::pair<int64_t, double>& out) {
  const size_t at = std::min(text.find('='), text.size());
  return at < text.size() && parse_number(std::string_view(text).substr(0, at), out.first) &&
         parse_number(std::string_view(text).substr(at + 1), out.second);
}

// Walks the fields and hands each to `on`, with its dotted key.
class Walker : public Visitor {
 public:
  explicit Walker(std::function<void(const std::string&, const FieldSpec&)> on)
      : on_(std::move(on)) {}

 protected:
  void on_field(const FieldSpec& field) override { on_(prefix_ + std::string(field.name), field); }
  void begin_group(std::string_view name, std::string_view) override {
    lengths_.push_back(prefix_.size());
    prefix_ += fmt::format("{}.", name);
  }
  void end_group() override {
    prefix_.resize(lengths_.back());
    lengths_.pop_back();
  }

 private:
  std::function<void(const std::string&, const FieldSpec&)> on_;
  std::string prefix_;
  std::vector<size_t> lengths_;
};

void for_each_field(ConfigRef options,
                    std::function<void(const std::string&, const FieldSpec&)> on) {
  Walker walker(std::move(on));
  options.visit(walker);
}

bool is_boolean(const FieldSpec& field) { return type_name(field.value) == "boolean"; }
bool is_list(const FieldSpec& field) { return type_name(field.value).starts_with("list"); }

class Assigner {
 public:
  Assigner(const FieldSpec& field, const std::string& shown_name, const Values& values)
      : field_(field), shown_name_(shown_name), values_(values) {}

  void assign() {
    std::visit([&](auto* out) { set(*out); }, field_.value);
  }

 private:
  template <class T>
  void set(T& out) {
    T value{};
    const std::string& text = values_.back();  // given twice: the last counts
    if (!parse_scalar(text, value) || !allowed(field_, value)) refuse(text);
    out = value;
  }
  template <class T>
  void set(std::optional<T>& out) {
    set(out.emplace());
  }
  template <class T>
  void set(std::vector<T>& out) {
    out.clear();
    for (const auto& text : values_) {
      T value{};
      if (!parse_scalar(text, value) || !allowed(field_, value)) refuse(text);
      out.push_back(value);
    }
  }
  void set(std::map<int64_t, double>& out) {
    out.clear();
    for (const auto& text : values_) {
      std::pair<int64_t, double> entry;
      if (!parse_scalar(text, entry) || !allowed(field_, entry.second)) refuse(text);
      out.insert_or_assign(entry.first, entry.second);
    }
  }
  [[noreturn]] void refuse(const std::string& text) const {
    fail(ErrorKind::kUsage, kWhere, "{} is '{}', expected {}.{}", shown_name_, text,
         expectation(field_), did_you_mean(text, field_.choices));
  }

  const FieldSpec& field_;
  const std::string& shown_name_;
  const Values& values_;
};

// "--max_new_tokens=3" -> "--max-new-tokens=3"; what comes after "=" and dotted keys stay as they
// are.
std::string with_dashes(const std::string& argument) {
  if (!argument.starts_with("--")) return argument;
  const size_t end = std::min(argument.find('='), argument.size());
  if (argument.find('.') < end) return argument;
  std::string out = argument;
  std::replace(out.begin(), out.begin() + static_cast<ptrdiff_t>(end), '_', '-');
  return out;
}

std::string advice(const std::string& name) { return fmt::format("; see `lathe help {}`", name); }

void refuse_option(const std::string& argument, const Values& known, const std::string& name) {
  const std::string option = argument.substr(0, argument.find('='));
  fail(ErrorKind::kUsage, kWhere, "unknown option '{}'.{}{}", option, did_you_mean(option, known),
       known.size() <= 12 ? fmt::format(" Options: {}", join(known, ", "))
                          : fmt::format(" `lathe help {}` lists them", name));
}

bool contains(const Values& keys, const std::string& key) {
  return std::ranges::find(keys, key) != keys.end();
}

void require_given(const FieldSpec& field, const std::string& shown, bool given,
                   const std::string& command) {
  require(given || !field.limits.is_required || is_optional(field.value), ErrorKind::kUsage, kWhere,
          "{} is missing ({}){}", shown, field.help, advice(command));
}

// The named fields of a struct as options of CLI11.
class OptionSet {
 public:
  // Adds the options to `app` and their names to `known`.
  OptionSet(CLI::App& app, ConfigRef fields, Values& known) : fields_(fields) {
    for_each_field(fields, [&](const std::string& key, const FieldSpec& field) {
      if (field.positional) return;
      const std::string option = option_name(key);
      known.push_back(option);
      options_.push_back(is_boolean(field)
                             ? app.add_flag(fmt::format("{},!--no-{}", option, option.substr(2)))
                             : app.add_option(option)->expected(1)->multi_option_policy(
                                   CLI::MultiOptionPolicy::TakeAll));
    });
  }

  // Sets the fields from what `app` parsed and adds the keys of those that the line gave to `given`, which has those that
  // were set before.
  void assign(const std::string& command, Values& given) const {
    size_t index = 0;
    for_each_field(fields_, [&](const std::string& key, const FieldSpec& field) {
      if (field.positional) return;
      const CLI::Option& option = *options_[index++];
      const std::string shown = option_name(key);
      if (option.count() > 0) {
        Assigner(field, shown, option.results()).assign();
        if (!contains(given, key)) given.push_back(key);
      } else {
        require_given(field, shown, contains(given, key), command);
      }
    });
  }

 private:
  ConfigRef fields_;
  std::vector<CLI::Option*> options_;  // in the order of visit()
};

// Gives the positional arguments to the positional fields: one each, a list takes the rest. `given`: keys set before.
void assign_positionals(ConfigRef options, const Values& arguments, const Values& given,
                        const std::string& name) {
  size_t next = 0;
  for_each_field(options, [&](const std::string& key, const FieldSpec& field) {
    if (!field.positional) return;
    if (next == arguments.size()) return require_given(field, key, contains(given, key), name);
    const size_t count = is_list(field) ? arguments.size() - next : 1;
    const Values values(arguments.begin() + static_cast<ptrdiff_t>(next),
                        arguments.begin() + static_cast<ptrdiff_t>(next + count));
    next += count;
    Assigner(field, key, values).assign();
  });
  require(next == arguments.size(), ErrorKind::kUsage, kWhere, "unexpected argument '{}'{}",
          next < arguments.size() ? arguments[next] : "", advice(name));
}

// "LATHE_SERVE_MAX_QUEUE"
std::string variable_of(const std::string& command, const std::string& key) {
  std::string out = "LATHE_";
  for (const char c : command + "_" + key)
    out += c == ' ' || c == '.' || c == '-' ? '_' : static_cast<char>(std::toupper(c));
  return out;
}

Values between_commas(const std::string& text) {
  Values out;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) out.push_back(part);
  return out;
}

std::optional<std::string> last_value(const CLI::App& app, const std::string& option) {
  const Values values = app.get_option(option)->results();
  return values.empty() ? std::nullopt : std::optional(values.back());
}

// Values from the file that `config` names, and over them those of the environment.
Values read_settings(ConfigRef options, std::optional<std::string> config,
                     const std::string& command) {
  Values given;
  if (!config) config = environment(variable_of(command, "config"));
  if (config) {
    const auto tree = load_recipe(*config);
    read_config_in_place(options, tree, *config, {.partial = true});
    for (const auto& [key, value] : tree.items()) given.push_back(key);
  }
  for_each_field(options, [&](const std::string& key, const FieldSpec& field) {
    const std::string variable = variable_of(command, key);
    const auto value = environment(variable);
    if (!value) return;
    Assigner(field, variable, is_list(field) ? between_commas(*value) : Values{*value}).assign();
    given.push_back(key);
  });
  return given;
}

}  // namespace

std::string option_name(std::string_view key) {
  std::string name = "--";
  for (const char c : key) name += c == '_' ? '-' : c;
  return name;
}

ParsedLine parse_arguments(const Command& command, BoundCommand& bound,
                           std::span<const std::string> arguments, const std::string& name) {
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  ParsedLine parsed;
  Values known = {"--help"};
  CLI::Option* help = app.add_flag("-h,--help");
  const OptionSet global(app, parsed.global, known), own(app, bound.options, known);

  const auto separator = std::find(arguments.begin(), arguments.end(), "--");
  Values line;
  for (auto it = arguments.begin(); it != separator; ++it) line.push_back(with_dashes(*it));
  std::reverse(line.begin(), line.end());  // what App::parse(vector) takes
  try {
    app.parse(line);
  } catch (const CLI::ParseError& e) {
    fail(ErrorKind::kUsage, kWhere, "{}{}", e.what(), advice(name));
  }
  parsed.help = help->count() > 0;
  if (parsed.help) return parsed;

  Values positionals;
  for (const auto& rest : app.remaining()) {
    const bool dashed = rest.size() > 1 && rest[0] == '-' && !std::isdigit(rest[1]);
    if (!dashed) {
      positionals.push_back(rest);
    } else if (command.text.takes_overrides && rest.starts_with("--") &&
               rest.find('.') < rest.find('=')) {
      require(rest.find('=') != std::string::npos, ErrorKind::kUsage, kWhere,
              "'{}' has no value, expected {}=value", rest, rest);
      parsed.overrides.push_back(rest.substr(2));
    } else {
      refuse_option(rest, known, name);
    }
  }
  if (separator != arguments.end())
    positionals.insert(positionals.end(), separator + 1, arguments.end());

  if (command.text.takes_settings)
    parsed.given = read_settings(bound.options, last_value(app, "--config"), name);
  assign_positionals(bound.options, positionals, parsed.given, name);
  own.assign(name, parsed.given);
  Values of_global;
  global.assign(name, of_global);
  return parsed;
}

}  // namespace lathe
