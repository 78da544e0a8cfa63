#include "lathe/eval/score/calls/written_calls.h"

#include "lathe/eval/score/calls/python_calls.h"
#include "lathe/text/fenced_code.h"
#include "lathe/text/jinja/characters.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using Calls = std::optional<std::vector<WrittenCall>>;

std::string_view stripped(std::string_view text) {
  return jinja::strip_left(jinja::strip_right(text));
}

// Discarded where it is none, or too deep for what goes down into it.
Json json_in(std::string_view text) {
  constexpr int kMostDepth = 64;
  bool too_deep = false;
  const auto watch = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kMostDepth;
    return !too_deep;
  };
  Json json = Json::parse(text, watch, /*allow_exceptions=*/false);
  return too_deep ? Json(Json::value_t::discarded) : json;
}

std::optional<WrittenCall> call_of(const Json& json) {
  if (!json.is_object()) return std::nullopt;
  if (const auto inner = json.find("function"); inner != json.end()) {
    if (!inner->is_object() || inner->contains("function")) return std::nullopt;
    return call_of(*inner);
  }
  const auto name = json.find("name");
  auto arguments = json.find("arguments");
  if (arguments == json.end()) arguments = json.find("parameters");
  if (name == json.end() || !name->is_string() || arguments == json.end()) return std::nullopt;
  Json read = arguments->is_string() ? json_in(arguments->get<std::string>()) : *arguments;
  if (!read.is_object()) return std::nullopt;
  return WrittenCall{.name = name->get<std::string>(), .arguments = std::move(read)};
}

// Those of a list of calls, or of one.
Calls calls_of(const Json& json) {
  std::vector<WrittenCall> all;
  for (const Json& each : json.is_array() ? json : Json::array({json})) {
    auto call = call_of(each);
    if (!call) return std::nullopt;
    all.push_back(std::move(*call));
  }
  return all;
}

Calls tagged_calls(std::string_view text) {
  constexpr std::string_view kOpen = "<tool_call>", kClose = "</tool_call>";
  std::vector<WrittenCall> all;
  for (size_t at = text.find(kOpen); at != std::string_view::npos; at = text.find(kOpen, at)) {
    at += kOpen.size();
    const size_t end = std::min(text.find(kClose, at), text.size());
    const Calls some = calls_of(json_in(text.substr(at, end - at)));
    if (!some) return std::nullopt;
    all.insert(all.end(), some->begin(), some->end());
    at = end;
  }
  return all.empty() ? Calls() : all;
}

}  // namespace

Calls calls_in(std::string_view text) {
  if (Calls tagged = tagged_calls(text)) return tagged;
  std::string_view alone = stripped(code_of(text));
  if (alone.ends_with("```")) alone.remove_suffix(3);  // a fence at the end of the last line
  const Json json = json_in(alone);
  return json.is_structured() ? calls_of(json) : python_calls_in(alone);
}

}  // namespace lathe
