#include "lathe/text/chat_template.h"

#include <algorithm>
#include <array>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/text/format/chat_template_files.h"
#include "lathe/text/token_spans.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::string_view kWhere = "chat template";
// Older names for what an assistant thought, the usual one first.
constexpr std::array kReasoning = {"reasoning_content", "thinking", "reasoning"};

Json with_one_name_for_reasoning(const Json& message) {
  const auto found =
      std::ranges::find_if(kReasoning, [&](const char* key) { return message.contains(key); });
  if (found == kReasoning.end()) return message;
  const Json reasoning = message[*found];
  Json out = {{"thinking", reasoning}};
  out.update(message);
  out["reasoning_content"] = reasoning;
  return out;
}

Json clean_message(const Json& message, size_t index) {
  require(message.is_object(), ErrorKind::kData, kWhere,
          "message {} is a {}, expected an object with `role` and `content`", index + 1,
          message.type_name());
  Json kept = Json::object();
  for (const auto& [key, value] : message.items())
    if (!value.is_null()) kept[key] = value;
  return with_one_name_for_reasoning(kept);
}

Json clean_messages(const Json& messages) {
  require(messages.is_array(), ErrorKind::kData, kWhere,
          "`messages` is a {}, expected a list of objects with `role` and `content`",
          messages.type_name());
  require(!messages.empty(), ErrorKind::kData, kWhere,
          "the conversation has no messages; give one at least");
  Json out = Json::array();
  for (size_t i = 0; i < messages.size(); ++i) out.push_back(clean_message(messages[i], i));
  return out;
}

void require_objects(const Json& list, std::string_view key) {
  if (list.is_null()) return;
  const bool fits = list.is_array() &&
                    std::ranges::all_of(list, [](const Json& item) { return item.is_object(); });
  require(fits, ErrorKind::kData, kWhere, "`{}` is a {}, expected a list of objects", key,
          list.type_name());
}

}  // namespace

ChatTemplate::ChatTemplate(std::string_view text, std::string_view name, Json special_tokens)
    : special_tokens_(std::move(special_tokens)) {
  templates_.push_back({"default", jinja::Template::parse(text, name)});
}

ChatTemplate ChatTemplate::load(const std::string& tokenizer_path,
                                const std::optional<std::string>& instead) {
  ChatTemplateFiles files = read_chat_template_files(tokenizer_path);
  if (instead) return ChatTemplate(*instead, kWhere, std::move(files.special_tokens));
  require(!files.templates.empty(), ErrorKind::kUsage, kWhere,
          "{} has no chat template: there is neither chat_template.jinja nor `chat_template` in "
          "tokenizer_config.json, nor is it a GGUF file with tokenizer.chat_template; give one",
          tokenizer_path);
  ChatTemplate out;
  out.special_tokens_ = std::move(files.special_tokens);
  for (const auto& [name, text] : files.templates) {
    const bool alone = files.templates.size() == 1;
    out.templates_.push_back(
        {name, jinja::Template::parse(
                   text, alone ? std::string(kWhere) : fmt::format("{} '{}'", kWhere, name))});
  }
  return out;
}

bool ChatTemplate::exists(const std::string& tokenizer_path) {
  return !read_chat_template_files(tokenizer_path).templates.empty();
}

const jinja::Template& ChatTemplate::template_for(const Json& tools) const {
  if (templates_.size() == 1) return templates_[0].parsed;
  for (const char* wanted : {"tool_use", "default"}) {
    if (tools.is_null() && std::string_view(wanted) == "tool_use") continue;
    for (const Named& t : templates_)
      if (t.name == wanted) return t.parsed;
  }
  fail(ErrorKind::kData, kWhere,
       "there are several templates ({}) and none is called 'default'; give one of them",
       join(names_of_templates(), ", "));
}

std::vector<std::string> ChatTemplate::names_of_templates() const {
  std::vector<std::string> names;
  for (const Named& t : templates_) names.push_back(t.name);
  return names;
}

Json ChatTemplate::variables(const Json& conversation) const {
  require(conversation.is_object() && conversation.contains("messages"), ErrorKind::kData, kWhere,
          "a conversation is an object with `messages`");
  Json out = special_tokens_;
  out["tools"] = nullptr;
  out["documents"] = nullptr;
  out["add_generation_prompt"] = false;
  out.update(conversation);
  require_objects(out["tools"], "tools");
  require_objects(out["documents"], "documents");
  out["messages"] = clean_messages(conversation["messages"]);
  return out;
}

std::optional<std::vector<jinja::TextSpan>> ChatTemplate::turns(const jinja::Template& used,
                                                                const Json& all,
                                                                std::string_view whole) const {
  const Json& messages = all["messages"];
  Json part = all;
  part["messages"] = Json::array();
  std::vector<jinja::TextSpan> spans;
  for (const Json& message : messages) {
    if (message.value("role", Json()) != "assistant") {
      part["messages"].push_back(message);
      continue;
    }
    if (part["messages"].empty()) return std::nullopt;
    std::string before, after;
    try {
      part["add_generation_prompt"] = true;
      before = used.render(part).text;
      part["messages"].push_back(message);
      part["add_generation_prompt"] = false;
      after = used.render(part).text;
    } catch (const Error&) {
      return std::nullopt;  // a template may refuse a conversation that ends here
    }
    if (!after.starts_with(before) || !whole.starts_with(after)) return std::nullopt;
    spans.push_back({before.size(), after.size()});
  }
  return spans;
}

ChatTemplate::Rendering ChatTemplate::render(const Json& conversation) const {
  const Json all = variables(conversation);
  const jinja::Template& used = template_for(all["tools"]);
  jinja::Rendered rendered = used.render(all);
  Rendering out;
  if (used.has_generations())
    out.assistant = std::move(rendered.generations);
  else
    out.assistant = turns(used, all, rendered.text);
  out.text = std::move(rendered.text);
  return out;
}

std::string ChatTemplate::text(const Json& conversation) const {
  const Json all = variables(conversation);
  return template_for(all["tools"]).render(all).text;
}

std::string ChatTemplate::sources() const {
  Json all = {special_tokens_};
  for (const Named& each : templates_) all.push_back({each.name, each.parsed.source()});
  return all.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool ChatTemplate::mentions(std::string_view letters) const {
  return std::ranges::any_of(templates_, [&](const Named& t) {
    return t.parsed.source().find(letters) != std::string::npos;
  });
}

EncodedChat encode_chat(const Tokenizer& tokenizer, const ChatTemplate::Rendering& rendering) {
  EncodedChat out;
  if (!rendering.assistant) {
    out.ids = tokenizer.encode(rendering.text);
    return out;
  }
  out.assistant_mask.emplace();
  for (const TokenSpan& token : encode_with_spans(tokenizer, rendering.text)) {
    out.ids.push_back(token.id);
    out.assistant_mask->push_back(std::ranges::any_of(
        *rendering.assistant,
        [&](const jinja::TextSpan& s) { return token.begin < s.end && token.end > s.begin; }));
  }
  return out;
}

}  // namespace lathe
