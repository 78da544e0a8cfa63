#include "lathe/chat/tool_call_syntax.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/chat/probe_answer.h"
#include "lathe/chat/thinking_tags.h"
#include "lathe/constraint/grammar.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::string_view kWhere = "tool calls";

// Call number i of the conversations that the template is shown.
struct ProbeCall {
  explicit ProbeCall(int i)
      : name(fmt::format("probe_name_{}", i)),
        value(fmt::format("probe value {}", i)),
        id(fmt::format("probeid{:02}", i)) {}
  Json arguments() const { return {{"probe_key", value}}; }
  std::string name, value, id;
};

Json tool(const ProbeCall& call) {
  const Json key = {{"type", "string"}, {"description", "a key"}};
  const Json parameters = {{"type", "object"},
                           {"properties", {{"probe_key", key}}},
                           {"required", Json::array({"probe_key"})}};
  return {
      {"type", "function"},
      {"function", {{"name", call.name}, {"description", "a tool"}, {"parameters", parameters}}}};
}

Json message(int calls, bool as_text) {
  Json list = Json::array();
  for (int i = 1; i <= calls; ++i) {
    const ProbeCall call(i);
    const Json arguments = as_text ? Json(call.arguments().dump()) : call.arguments();
    list.push_back({{"id", call.id},
                    {"type", "function"},
                    {"function", {{"name", call.name}, {"arguments", arguments}}}});
  }
  return {{"role", "assistant"}, {"content", ""}, {"tool_calls", std::move(list)}};
}

// Where the arguments of a call stand in a text; nullopt if they are not written as JSON.
std::optional<jinja::TextSpan> arguments_in(std::string_view text, const ProbeCall& call,
                                            size_t from) {
  const size_t value = text.find(call.value, from);
  if (value == std::string_view::npos) return std::nullopt;
  const size_t begin = text.rfind('{', value), end = text.find('}', value);
  if (begin == std::string_view::npos || end == std::string_view::npos) return std::nullopt;
  const Json read = Json::parse(text.substr(begin, end + 1 - begin), nullptr, false);
  if (read.is_discarded() || read != call.arguments()) return std::nullopt;
  return jinja::TextSpan{begin, end + 1};
}

// The texts before each name, before each arguments, and behind all.
struct Pieces {
  std::vector<MarkedText> before_name, middle;
  std::string behind;
};

std::optional<Pieces> take_apart(const Tokenizer& tokenizer, std::string_view text, int calls) {
  Pieces out;
  size_t at = 0;
  for (int i = 1; i <= calls; ++i) {
    const ProbeCall call(i);
    const size_t name = text.find(call.name, at);
    require(
        name != std::string_view::npos, ErrorKind::kData, kWhere,
        "the chat template does not write the names of the tools that are called, so that a model "
        "cannot be held to calls");
    const auto arguments = arguments_in(text, call, at);
    if (!arguments) return std::nullopt;
    require(name + call.name.size() <= arguments->begin, ErrorKind::kData, kWhere,
            "the chat template writes the arguments of a call before the tool's name; such calls "
            "are not supported");
    // Between two calls there may be the number of either.
    const std::string before(text.substr(at, name - at));
    const std::string& number = i > 1 && before.find(ProbeCall(i - 1).id) != std::string::npos
                                    ? ProbeCall(i - 1).id
                                    : call.id;
    out.before_name.push_back(marked_text(tokenizer, before, number));
    const size_t behind_name = name + call.name.size();
    out.middle.push_back(
        marked_text(tokenizer, text.substr(behind_name, arguments->begin - behind_name), call.id));
    at = arguments->end;
  }
  out.behind = text.substr(at);
  return out;
}

// What stands behind the last call and in front of the end of the answer.
MarkedText close_of(const Tokenizer& tokenizer, std::string_view behind, std::string_view end,
                    int last_call, std::span<const int32_t> ends) {
  if (behind.ends_with(end)) behind.remove_suffix(end.size());
  MarkedText close = marked_text(tokenizer, behind, ProbeCall(last_call).id);
  for (const int32_t id : ends)
    close.bytes.resize(
        std::min(close.bytes.find(constraint::token_as_bytes(id)), close.bytes.size()));
  return close;
}

struct Probe {
  const ChatTemplate& chat_template;
  const Tokenizer& tokenizer;
  std::span<const int32_t> ends;
  Json tools = Json::array();
  AnswerPlace place = {};

  // The answer with so many calls; nullopt if its arguments are not JSON.
  std::optional<Pieces> pieces(int calls, bool as_text) const {
    const std::string text =
        place.answer_in(render_probe(chat_template, message(calls, as_text), tools), kWhere);
    return take_apart(tokenizer, text, calls);
  }

  // Whether an object shows as Python writes it, so that the template wants a text.
  bool writes_as_python() const {
    const std::string text = render_probe(chat_template, message(1, false), tools);
    return text.find(fmt::format("{{'probe_key': '{}'}}", ProbeCall(1).value)) != std::string::npos;
  }

  // The same of several calls; nullopt if the template allows one only.
  std::optional<Pieces> several(bool as_text) const {
    try {
      return pieces(3, as_text);
    } catch (const Error&) {
      return std::nullopt;
    }
  }
};

// The syntax that one form of arguments shows.
std::optional<ToolCallSyntax> syntax_from(const Probe& probe, bool as_text) {
  const auto one = probe.pieces(1, as_text);
  if (!one) return std::nullopt;
  ToolCallSyntax out{
      .open = one->before_name[0],
      .middle = one->middle[0],
      .close = close_of(probe.tokenizer, one->behind, probe.place.behind, 1, probe.ends),
      .next = std::nullopt,
      .arguments_are_text = as_text};
  const auto three = probe.several(as_text);
  if (!three) return out;
  const bool regular =
      three->before_name[0] == out.open && three->before_name[1] == three->before_name[2] &&
      std::ranges::all_of(three->middle, [&](const MarkedText& m) { return m == out.middle; }) &&
      close_of(probe.tokenizer, three->behind, probe.place.behind, 3, probe.ends) == out.close;
  if (regular) out.next = three->before_name[1];
  return out;
}

void require_usable(const ToolCallSyntax& syntax, std::span<const int32_t> ends) {
  require(!syntax.open.empty() && !syntax.middle.empty(), ErrorKind::kData, kWhere,
          "the chat template writes nothing before a call, or between its name and its arguments, "
          "so that calls cannot be told from text");
  constexpr size_t kLongest = 256;
  for (const MarkedText* part : {&syntax.open, &syntax.middle, &syntax.close})
    require(
        part->bytes.size() <= kLongest, ErrorKind::kData, kWhere,
        "the chat template writes {} bytes around a call, expected at most {}; it seems to go on "
        "with another turn",
        part->bytes.size(), kLongest);
  for (const int32_t mark : syntax.marks())
    require(std::ranges::find(ends, mark) == ends.end(), ErrorKind::kData, kWhere,
            "the chat template writes the token {}, which ends an answer, within a call", mark);
}

// Whether the template puts tokens before a plain answer that the prompt of a new one does not have; tags
// of thoughts aside.
bool marks_plain_answers(const Probe& probe) {
  const AnswerPlace& place = probe.place;
  if (!place.before.starts_with(place.prompt)) return false;
  const auto tags = thinking_tags(probe.chat_template, probe.tokenizer);
  return std::ranges::any_of(
      marked_text(probe.tokenizer, place.before.substr(place.prompt.size())).tokens(),
      [&](int32_t token) { return !tags || (token != tags->open && token != tags->close); });
}

bool looks_like_json(std::string_view text) {
  if (text.starts_with("{")) return true;
  if (!text.starts_with("[")) return false;
  const size_t next = text.find_first_not_of(" \n", 1);
  return next == std::string_view::npos || text[next] == '{' || text[next] == '"';
}

}  // namespace

ToolCallSyntax tool_call_syntax(const ChatTemplate& chat_template, const Tokenizer& tokenizer,
                                std::span<const int32_t> ends) {
  Probe probe{.chat_template = chat_template, .tokenizer = tokenizer, .ends = ends};
  for (int i = 1; i <= 3; ++i) probe.tools.push_back(tool(ProbeCall(i)));
  probe.place = place_of_answer(chat_template, probe.tools, kWhere);
  std::exception_ptr refused;
  for (const bool as_text : {false, true}) {
    try {
      if (as_text && !refused && !probe.writes_as_python()) break;
      if (auto syntax = syntax_from(probe, as_text)) {
        require_usable(*syntax, ends);
        syntax->marks_plain_answers = marks_plain_answers(probe);
        return *syntax;
      }
    } catch (const Error&) {
      if (!refused) refused = std::current_exception();
    }
  }
  if (refused) std::rethrow_exception(refused);
  fail(ErrorKind::kData, kWhere,
       "the chat template does not write the arguments of a call as one JSON object; such calls "
       "are not supported");
}

ToolCallSyntax::Trigger ToolCallSyntax::trigger() const {
  const std::string_view all = open.bytes;
  const size_t begin = std::min(all.find_first_not_of(" \n\t"), all.size());
  const std::string_view text = all.substr(begin);
  size_t end = constraint::kTokenBytes;
  if (!text.starts_with(constraint::kTokenMark)) {
    const std::string stops = std::string(" \n\t") + constraint::kTokenMark + MarkedText::kCallId;
    end = std::min(text.find_first_of(stops), text.size());
  }
  return {.text = {std::string(text.substr(0, end))},
          .rest = {std::string(text.substr(end))},
          .only_first = looks_like_json(text)};
}

std::vector<int32_t> ToolCallSyntax::marks() const {
  std::vector<int32_t> all;
  for (const MarkedText* part : {&open, &middle, &close, next ? &*next : nullptr})
    if (part != nullptr)
      for (const int32_t token : part->tokens())
        if (std::ranges::find(all, token) == all.end()) all.push_back(token);
  return all;
}

}  // namespace lathe
