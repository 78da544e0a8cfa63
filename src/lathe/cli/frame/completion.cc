#include "lathe/cli/frame/completion.h"

#include <fmt/format.h>

#include <algorithm>

#include "lathe/base/strings.h"
#include "lathe/cli/frame/global_options.h"
#include "lathe/cli/frame/parse.h"
#include "lathe/config/read_write.h"
#include "lathe/train/recipe.h"

namespace lathe {
namespace {

struct Word {
  std::string text, help;
};

struct Completions {
  std::string name;         // "tokenizer train"
  std::vector<Word> words;  // children, options
  std::vector<FieldInfo> fields;
  bool takes_overrides = false;
};

std::vector<Completions> all_completions(std::span<const Command> commands) {
  std::vector<Completions> all(1);
  for (const auto& command : commands)
    all[0].words.push_back({command.text.name, command.text.summary});
  all[0].words.push_back({"help", "explain a command"});
  for_each_command(commands, "", [&](const Command& command, const std::string& name) {
    Completions entry{name, {}, {}, command.text.takes_overrides};
    for (const auto& child : command.children)
      entry.words.push_back({child.text.name, child.text.summary});
    if (command.bind) entry.fields = describe(command.bind().options);
    for (FieldInfo& field : describe(GlobalOptions())) entry.fields.push_back(std::move(field));
    for (const auto& field : entry.fields) {
      if (!field.positional)
        entry.words.push_back({option_name(field.key), field.help});
      else
        for (const auto& choice : field.choices) entry.words.push_back({choice, field.help});
    }
    entry.words.push_back({"--help", "explain this command"});
    all.push_back(std::move(entry));
  });
  return all;
}

// Every key that `--section.key=value` may set.
std::vector<FieldInfo> recipe_fields() {
  Recipe recipe;
  std::vector<FieldInfo> fields = describe(recipe);
  recipe.from = "";  // a model that begins from a folder has keys of its own
  for (FieldInfo& field : describe(recipe))
    if (std::ranges::find(fields, field.key, &FieldInfo::key) == fields.end())
      fields.push_back(std::move(field));
  return fields;
}

std::vector<std::string> choices_of(const FieldInfo& field) {
  return field.type == "boolean" ? std::vector<std::string>{"true", "false"} : field.choices;
}

std::string joined_words(const Completions& entry) {
  std::vector<std::string> texts;
  for (const Word& word : entry.words) texts.push_back(word.text);
  return join(texts, " ");
}

// Finds the longest command name that the words so far begin with, then offers its words; files are
// offered where nothing of ours fits. Bash breaks a line at "=", zsh does not: both ways to see
// `--key=value` end in the same `key`, `current` and what stands `before` it in the same word.
constexpr const char* kBashBegin = R"(
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    next="${name:+$name }$word"
    [[ "$names" == *"|$next|"* ]] || break
    name="$next"
  done
  if [[ "$current" == "=" ]]; then
    key="$previous" current=""
  elif [[ "$previous" == "=" ]]; then
    key="${COMP_WORDS[COMP_CWORD-2]}"
  elif [[ "$current" == --*=* ]]; then
    key="${current%%=*}" before="${current%%=*}=" current="${current#*=}"
  fi
)";
constexpr const char* kBashEnd = R"(
  COMPREPLY=($(compgen -P "$before" -W "$words" -- "$current"))
  [[ ${#COMPREPLY[@]} -gt 0 ]] || COMPREPLY=($(compgen -P "$before" -f -- "$current"))
  # The value of a key comes without a space.
  [[ ${#COMPREPLY[@]} -eq 1 && "${COMPREPLY[0]}" == *= ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -o filenames -F _lathe lathe
)";

std::string bash_script(const std::vector<Completions>& all) {
  std::string cases, choices, names, takers, keys, values;
  for (const auto& entry : all) {
    names += "|" + entry.name;
    if (entry.takes_overrides) takers += "|" + entry.name;
    cases += fmt::format("    \"{}\") words=\"{}\" ;;\n", entry.name, joined_words(entry));
    for (const auto& field : entry.fields)
      if (!field.choices.empty() && !field.positional)
        choices += fmt::format("    \"{} {}\") words=\"{}\" ;;\n", entry.name,
                               option_name(field.key), join(field.choices, " "));
  }
  for (const FieldInfo& field : recipe_fields()) {
    keys += fmt::format(" --{}=", field.key);
    if (const auto list = choices_of(field); !list.empty())
      values += fmt::format("      --{}) words=\"{}\" ;;\n", field.key, join(list, " "));
  }
  return "# lathe completion bash > ~/.local/share/bash-completion/completions/lathe\n"
         "_lathe() {\n"
         "  local current=\"${COMP_WORDS[COMP_CWORD]}\" previous=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
         "  local name=\"\" key=\"\" before=\"\" next word words=\"\" names=\"" +
         names + "|\"" + kBashBegin + "  case \"$name\" in\n" + cases +
         "  esac\n"
         "  [[ -z \"$key\" ]] || words=\"\"\n"
         "  case \"$name ${key:-$previous}\" in\n" +
         choices +
         "    \" \") ;;\n"
         "  esac\n"
         "  if [[ \"" +
         takers +
         "|\" == *\"|$name|\"* ]]; then\n"
         "    [[ -n \"$key\" || \"$current\" != --* ]] || words+=\"" +
         keys + "\"\n    case \"$key\" in\n" + values + "    esac\n  fi" + kBashEnd;
}

// Quoted for a single-quoted string of bash, zsh and fish.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'')
      out += "'\\''";
    else
      out += c == '\n' ? ' ' : c;
  }
  return out + "'";
}

std::string fish_condition(const Completions& entry) {
  if (entry.name.empty()) return "__fish_use_subcommand";
  return "__fish_seen_subcommand_from " + entry.name.substr(entry.name.rfind(' ') + 1);
}

std::string fish_script(const std::vector<Completions>& all) {
  std::string text = "# lathe completion fish > ~/.config/fish/completions/lathe.fish\n";
  const std::vector<FieldInfo> recipe = recipe_fields();
  for (const auto& entry : all) {
    const std::string condition = quoted(fish_condition(entry));
    for (const auto& [word, help] : entry.words) {
      const bool option = word.starts_with("--");
      text += fmt::format("complete -c lathe -n {} {} {} -d {}\n", condition, option ? "-l" : "-a",
                          option ? word.substr(2) : word, quoted(help));
    }
    if (!entry.takes_overrides) continue;
    for (const FieldInfo& field : recipe) {
      const auto choices = choices_of(field);
      text += fmt::format("complete -c lathe -n {} -l {} -r{} -d {}\n", condition, field.key,
                          choices.empty() ? "" : " -f -a " + quoted(join(choices, " ")),
                          quoted(field.help));
    }
  }
  return text;
}

}  // namespace

std::string completion_script(std::span<const Command> commands, const std::string& shell) {
  const auto all = all_completions(commands);
  if (shell == "fish") return fish_script(all);
  if (shell == "zsh")  // zsh runs bash completions through its own compatibility layer
    return "# lathe completion zsh > ~/.zfunc/_lathe.zsh, then source it\n"
           "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n" +
           bash_script(all);
  return bash_script(all);
}

}  // namespace lathe
