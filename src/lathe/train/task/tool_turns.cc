#include "lathe/train/task/tool_turns.h"

#include <algorithm>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/chat/tools/tool.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

// The errors of what is made from the folder's template name the key that asks for it, and what to do.
template <class F>
auto for_tools(const std::string& folder, F&& make) {
  try {
    return make();
  } catch (const Error& error) {
    fail(
        error.kind(), "objective.tools",
        "{}; put a template in whose syntax tools can be called into {} (chat_template.jinja), set "
        "data.tokenizer to a folder that has one, or leave tools out",
        error.what(), folder);
  }
}

ChatTemplate template_of(const std::string& folder) {
  require(
      ChatTemplate::exists(folder), ErrorKind::kConfig, "objective.tools",
      "{} has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json), in whose "
      "syntax tools are called; put one there, set data.tokenizer to a folder that has one, or leave tools out",
      folder);
  return ChatTemplate::load(folder);
}

const Tool* find_tool(std::string_view name) {
  const auto found = std::ranges::find(tools(), name, &Tool::name);
  return found == tools().end() ? nullptr : &*found;
}

}  // namespace

Json offered_tools(const RolloutToolConfig& config) {
  Json list = Json::array();
  for (const std::string& name : config.tools)
    list.push_back(tool_schema(find_in(tools(), "objective.tools", name)));
  return list;
}

std::set<std::string> tools_of_row(const Json& row, const RolloutToolConfig& config,
                                   const std::string& place) {
  const Json own = row.value("tools", Json());
  if (!own.is_array() || own.empty()) return {config.tools.begin(), config.tools.end()};
  std::set<std::string> names;
  for (const Json& tool : own) {
    Json name = tool;
    if (tool.is_object()) {
      const Json function = tool.value("function", tool);
      name = function.is_object() ? function.value("name", Json()) : Json();
    }
    require(name.is_string(), ErrorKind::kData, place,
            "'tools' has {}, expected names of tools, or a list of functions as OpenAI has it",
            tool.dump().substr(0, 60));
    const auto text = name.get<std::string>();
    const bool known = std::ranges::find(config.tools, text) != config.tools.end();
    require(
        known || (config.tool_command && !tool.is_string()), ErrorKind::kData, place,
        "'tools' names '{}', which objective.tools does not have; add it there, or answer calls of it with a "
        "program (objective.tool_command), which needs the whole schema in the row",
        text);
    names.insert(text);
  }
  return names;
}

ToolTurns::ToolTurns(const RolloutToolConfig& config, const SandboxConfig& sandbox,
                     const std::string& folder, const Tokenizer& tokenizer,
                     std::span<const int32_t> ends, Log log)
    : config_(config),
      folder_(folder),
      tokenizer_(tokenizer),
      log_(std::move(log)),
      template_(template_of(folder)),
      syntax_(for_tools(folder, [&] { return tool_call_syntax(template_, tokenizer, ends); })),
      thinking_(for_tools(folder, [&] { return thinking_tags(template_, tokenizer); })),
      program_(config_.tool_command, config_.tool_timeout),
      python_(sandbox, "objective.tools") {}

void ToolTurns::check() {
  for (const std::string& name : config_.tools)
    if (find_in(tools(), "objective.tools", name).runs_programs()) python_.prepare();
}

// The program's answer to a call.
std::string ToolTurns::ask(const ToolCall& call, const Json& arguments) {
  std::string failure;
  auto answer = program_.ask({{"name", call.name}, {"arguments", arguments}}, failure);
  require(answer.has_value(), ErrorKind::kData, call.name, "the program {}", failure);
  return std::move(*answer);
}

namespace {

// What `f` gives is what the model is told; what it refuses, too, and the model goes on.
template <class F>
void tell(ToolUse& use, F&& f) {
  try {
    use.result = f();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kData) throw;
    use.failed = true;
    use.result = std::string("error: ") + error.what();
  }
  use.result = replace_invalid_utf8(use.result);
}

}  // namespace

void ToolTurns::answer(const ToolCall& call, const std::set<std::string>& allowed, ToolUse& use,
                       std::vector<Program>& programs) {
  tell(use, [&]() -> std::string {
    require(allowed.contains(call.name), ErrorKind::kData, "tool", "there is no tool '{}'",
            call.name.substr(0, 60));
    const Json arguments = Json::parse(call.arguments, nullptr, false);
    require(arguments.is_object(), ErrorKind::kData, "arguments",
            "they are {}, expected a JSON object",
            arguments.is_discarded() ? "no JSON" : arguments.dump().substr(0, 40));
    const Tool* own = find_tool(call.name);
    if (own == nullptr || std::ranges::find(config_.tools, call.name) == config_.tools.end())
      return ask(call, arguments);
    if (own->program == nullptr) return own->call(arguments);
    programs.push_back({own->program(arguments), &use});
    return {};
  });
}

void ToolTurns::run(std::span<const Program> programs, const std::function<void()>& while_waiting) {
  if (programs.empty()) return;
  python_.prepare();
  std::vector<SandboxJob> jobs;
  for (const Program& each : programs) jobs.push_back(python_.job(each.text));
  const std::vector<SandboxResult> results = python_.run(jobs, while_waiting);
  for (size_t i = 0; i < programs.size(); ++i)
    tell(*programs[i].use, [&] { return program_answer(results[i], python_.config()); });
}

// What the template writes behind the end of `turn` when the tools have answered. The turn itself is not encoded
// again: only what stands behind the token that ended it.
std::vector<int32_t> ToolTurns::continuation(const Json& turn, const std::vector<ToolUse>& uses,
                                             int32_t end) const {
  Json conversation = {{"messages", Json::array({{{"role", "user"}, {"content", "?"}}, turn})},
                       {"tools", offered_tools(config_)}};
  const std::string before = template_.text(conversation);
  for (size_t i = 0; i < uses.size(); ++i)
    conversation["messages"].push_back({{"role", "tool"},
                                        {"tool_call_id", turn["tool_calls"][i]["id"]},
                                        {"name", uses[i].name},
                                        {"content", uses[i].result}});
  conversation["add_generation_prompt"] = true;
  const std::string whole = template_.text(conversation);
  const std::vector<int32_t> only = {end};
  const std::string mark = tokenizer_.decode(only);
  const size_t found = before.rfind(mark);
  const size_t from = found == std::string::npos ? before.size() : found + mark.size();
  require(
      whole.size() > from && whole.compare(0, from, before, 0, from) == 0, ErrorKind::kData,
      "objective.tools",
      "the chat template of {} writes a call differently when its result follows, so that the conversation "
      "cannot go on behind it; put another one there (chat_template.jinja), or leave tools out",
      folder_);
  return tokenizer_.encode(std::string_view(whole).substr(from));
}

ChatMessage ToolTurns::message_of(const Turn& turn) const {
  AnswerReader reader(tokenizer_, {.calls = &syntax_,
                                   .thinking = thinking_ ? &*thinking_ : nullptr,
                                   .opened = thinking_ && thinking_->in(turn.prompt, {}).opened});
  std::vector<AnswerPart> parts;
  for (const int32_t id : turn.turn.first(turn.turn.size() - 1)) reader.push(id, parts);
  reader.finish(parts);
  return reader.message();
}

std::vector<std::optional<ToolTurns::Reply>> ToolTurns::replies_to(
    std::span<const Turn> turns, const std::function<void()>& while_waiting) {
  std::vector<ChatMessage> messages;
  std::vector<std::optional<Reply>> replies(turns.size());
  std::vector<Program> programs;
  for (size_t i = 0; i < turns.size(); ++i) {
    const ChatMessage& message = messages.emplace_back(message_of(turns[i]));
    if (message.tool_calls.empty()) continue;
    std::vector<ToolUse>& uses = replies[i].emplace().uses;
    for (const ToolCall& call : message.tool_calls)
      uses.push_back({.name = call.name, .arguments = call.arguments});
    for (size_t k = 0; k < uses.size(); ++k)
      answer(message.tool_calls[k], turns[i].allowed, uses[k], programs);
  }
  run(programs, while_waiting);
  for (size_t i = 0; i < turns.size(); ++i) {
    if (!replies[i]) continue;
    for (ToolCall& call : messages[i].tool_calls)  // the template shows what is a call
      if (!Json::parse(call.arguments, nullptr, false).is_object()) call.arguments = "{}";
    replies[i]->ids = continuation(messages[i].as_turn(syntax_.arguments_are_text),
                                   replies[i]->uses, turns[i].turn.back());
  }
  return replies;
}

}  // namespace lathe
