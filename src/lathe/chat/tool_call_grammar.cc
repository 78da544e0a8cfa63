#include "lathe/chat/tool_call_grammar.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/base/utf8.h"
#include "lathe/constraint/schema_grammar.h"

namespace lathe {
namespace {

using constraint::CharSet;
using constraint::ExprId;
using constraint::GrammarBuilder;
using constraint::RuleId;
using Json = nlohmann::ordered_json;

struct Tool {
  std::string name;
  Json parameters;
};

bool is_name_character(char c) {
  return c == '_' || c == '-' || c == '.' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
         (c >= 'A' && c <= 'Z');
}

Tool tool_at(const Json& tools, size_t i) {
  const std::string where = fmt::format("tools[{}]", i);
  const Json& tool = tools[i];
  const bool is_function = tool.is_object() && tool.value("type", Json("function")) == "function" &&
                           tool.contains("function") && tool["function"].is_object();
  require(is_function, ErrorKind::kConfig, where,
          "expected {{\"type\": \"function\", \"function\": {{\"name\": …}}}}");
  const Json& function = tool["function"];
  const Json name = function.value("name", Json());
  require(name.is_string() && !name.get<std::string>().empty() &&
              name.get<std::string>().size() <= 256 &&
              std::ranges::all_of(name.get<std::string>(), is_name_character),
          ErrorKind::kConfig, where,
          "`function.name` is {}, expected letters, digits, '_', '-' and '.', at most 256",
          name.dump(-1, ' ', false, Json::error_handler_t::replace));
  Json parameters = function.value("parameters", Json());
  if (parameters.is_null())
    parameters = {
        {"type", "object"}, {"properties", Json::object()}, {"additionalProperties", false}};
  require(parameters.is_object(), ErrorKind::kConfig, where,
          "`function.parameters` is a {}, expected a JSON Schema", parameters.type_name());
  if (!parameters.contains("type")) parameters["type"] = "object";
  require(parameters["type"] == "object", ErrorKind::kConfig, where,
          "`function.parameters.type` is {}, expected \"object\": arguments have names",
          parameters["type"].dump(-1, ' ', false, Json::error_handler_t::replace));
  return {name.get<std::string>(), std::move(parameters)};
}

std::vector<Tool> tools_of(const Json& tools) {
  require(tools.is_array() && !tools.empty(), ErrorKind::kConfig, "tools",
          "expected a list of one tool at least");
  std::vector<Tool> out;
  for (size_t i = 0; i < tools.size(); ++i) {
    out.push_back(tool_at(tools, i));
    const auto same = std::ranges::find(out, out.back().name, &Tool::name);
    require(same + 1 == out.end(), ErrorKind::kConfig, fmt::format("tools[{}]", i),
            "a tool before it has the name '{}', too", out.back().name);
  }
  return out;
}

std::vector<Tool> chosen(std::vector<Tool> tools, const ToolChoice& choice) {
  if (choice.kind != ToolChoice::Kind::kNamed) return tools;
  std::vector<std::string> names;
  for (const Tool& tool : tools) names.push_back(tool.name);
  std::erase_if(tools, [&](const Tool& tool) { return tool.name != choice.name; });
  require(!tools.empty(), ErrorKind::kConfig, "tool_choice", "no tool is called '{}'.{}",
          choice.name, did_you_mean(choice.name, names));
  return tools;
}

class CallGrammar {
 public:
  CallGrammar(const ToolCallSyntax& syntax, std::vector<Tool> tools, bool several)
      : syntax_(syntax), several_(several && syntax.next.has_value()) {
    std::vector<ExprId> calls;
    for (const Tool& tool : tools) calls.push_back(call(tool));
    const RuleId rule = b_.declare("a call");
    b_.define(rule, b_.choice(std::move(calls)));
    call_ = b_.use(rule);
  }

  constraint::Grammar calls_only() { return whole(calls_behind(syntax_.open)); }

  // Text, which may turn into calls.
  constraint::Grammar text_or_calls() {
    const ToolCallSyntax::Trigger trigger = syntax_.trigger();
    const ExprId calls = calls_behind(trigger.rest);
    const ExprId any = b_.repeat(b_.one_of(CharSet::all()), 0, constraint::kUnbounded);
    if (trigger.text.bytes.starts_with(constraint::kTokenMark))
      return whole(b_.sequence({any, b_.optional(b_.sequence({marked(trigger.text), calls}))}));
    return whole(text_until(trigger, calls, any));
  }

 private:
  ExprId call(const Tool& tool) {
    try {
      const ExprId arguments = constraint::schema_expr(b_, tool.parameters);
      return b_.sequence({b_.text(tool.name), marked(syntax_.middle), arguments});
    } catch (const Error& e) {
      fail(ErrorKind::kConfig, "tools", "the parameters of '{}': {}", tool.name, e.what());
    }
  }

  // Calls whose first one is opened by `open`.
  ExprId calls_behind(const MarkedText& open) {
    std::vector<ExprId> parts = {marked(open), call_};
    if (several_)
      parts.push_back(
          b_.repeat(b_.sequence({marked(*syntax_.next), call_}), 0, constraint::kUnbounded));
    parts.push_back(marked(syntax_.close));
    return b_.sequence(std::move(parts));
  }

  ExprId marked(const MarkedText& text) {
    std::vector<ExprId> parts;
    std::string_view rest = text.bytes;
    const std::string stops = {constraint::kTokenMark, MarkedText::kCallId};
    while (!rest.empty()) {
      const size_t letters = std::min(rest.find_first_of(stops), rest.size());
      size_t size = letters;
      if (letters > 0) {
        parts.push_back(b_.text(rest.substr(0, letters)));
      } else if (rest[0] == MarkedText::kCallId) {
        size = 1;
        const ExprId character = b_.one_of({{'0', '9'}, {'A', 'Z'}, {'a', 'z'}});
        constexpr uint32_t kLength = MarkedText::kCallIdLength;
        parts.push_back(b_.repeat(character, kLength, kLength));
      } else {
        size = constraint::kTokenBytes;
        parts.push_back(b_.token(constraint::token_from_bytes(rest)));
      }
      rest.remove_prefix(size);
    }
    return b_.sequence(std::move(parts));
  }

  // Text that does not contain the letters of the trigger, or only not as its beginning behind blanks; behind them
  // come calls. One rule for each number of its characters that was just read, as in the search of
  // Knuth, Morris and Pratt (1977).
  ExprId text_until(const ToolCallSyntax::Trigger& trigger, ExprId calls, ExprId any) {
    const std::vector<CharSet> wanted = characters_of(trigger.text.bytes);
    std::vector<RuleId> rules;
    for (size_t i = 0; i < wanted.size(); ++i)
      rules.push_back(b_.declare(fmt::format("text before a call, {} characters read", i)));
    for (size_t read = 0; read < wanted.size(); ++read) {
      std::vector<ExprId> ways = {b_.nothing()};
      CharSet others = CharSet::all();
      const auto add = [&](const CharSet& set, ExprId next) {
        ways.push_back(b_.sequence({b_.one_of(set), next}));
        others = others.without(set);
      };
      add(wanted[read], read + 1 == wanted.size() ? calls : b_.use(rules[read + 1]));
      if (trigger.only_first && read == 0) add(CharSet::of(" \n\t").with(others), b_.use(rules[0]));
      if (!trigger.only_first)
        for (size_t i = 0; i < wanted.size(); ++i)
          if (wanted[i].with(others).ranges() == wanted[i].ranges())
            add(wanted[i], b_.use(rules[after(wanted, read, wanted[i])]));
      ways.push_back(b_.sequence({b_.one_of(others), trigger.only_first ? any : b_.use(rules[0])}));
      b_.define(rules[read], b_.choice(std::move(ways)));
    }
    return b_.use(rules[0]);
  }

  static std::vector<CharSet> characters_of(std::string_view text) {
    std::vector<CharSet> out;
    while (!text.empty()) {
      const size_t size = decode_utf8(as_bytes(text), as_bytes(text) + text.size()).size;
      out.push_back(CharSet::of(text.substr(0, size)));
      text.remove_prefix(size);
    }
    return out;
  }

  // How much of the beginning of `wanted` ends at `next`, when `read` characters of it came before.
  static size_t after(const std::vector<CharSet>& wanted, size_t read, const CharSet& next) {
    for (size_t length = read; length > 0; --length) {
      bool same = wanted[length - 1].ranges() == next.ranges();
      for (size_t i = 0; same && i + 1 < length; ++i)
        same = wanted[i].ranges() == wanted[read + 1 - length + i].ranges();
      if (same) return length;
    }
    return 0;
  }

  constraint::Grammar whole(ExprId expr) {
    const RuleId root = b_.declare("the answer");
    b_.define(root, expr);
    return b_.build(root);
  }

  const ToolCallSyntax& syntax_;
  const bool several_;
  GrammarBuilder b_;
  ExprId call_ = 0;
};

}  // namespace

ToolChoice tool_choice_of(const Json& value, bool parallel) {
  using Kind = ToolChoice::Kind;
  if (value.is_string())
    for (const auto& [name, kind] :
         {std::pair{"none", Kind::kNone}, {"auto", Kind::kAuto}, {"required", Kind::kRequired}})
      if (value == name) return {.kind = kind, .parallel = parallel};
  const bool named = value.is_object() && value.value("type", Json()) == "function" &&
                     value.contains("function") && value["function"].is_object() &&
                     value["function"].value("name", Json()).is_string();
  require(named, ErrorKind::kConfig, "tool_choice",
          "is {}, expected \"none\", \"auto\", \"required\" or {{\"type\": \"function\", "
          "\"function\": {{\"name\": …}}}}",
          value.dump(-1, ' ', false, Json::error_handler_t::replace));
  return {.kind = Kind::kNamed, .name = value["function"]["name"], .parallel = parallel};
}

std::optional<constraint::Grammar> tool_call_grammar(const ToolCallSyntax& syntax,
                                                     const Json& tools, const ToolChoice& choice) {
  using Kind = ToolChoice::Kind;
  if (choice.kind == Kind::kNone) return std::nullopt;
  require(
      choice.kind != Kind::kAuto || !syntax.marks_plain_answers, ErrorKind::kConfig, "tool_choice",
      "\"auto\" is not supported for this model: its chat template begins plain answers with tokens "
      "of their own; ask for \"required\", a function or \"none\"");
  const bool several = choice.parallel && choice.kind != Kind::kNamed;
  CallGrammar grammar(syntax, chosen(tools_of(tools), choice), several);
  return choice.kind == Kind::kAuto ? grammar.text_or_calls() : grammar.calls_only();
}

}  // namespace lathe
