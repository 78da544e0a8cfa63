#include "lathe/train/example/example_encoder.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/text/token_spans.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

// The ids up to the first that is learnt, and those up to the last.
Example split(const std::vector<int32_t>& ids, const std::vector<uint8_t>& learnt) {
  Example example;
  const auto first = std::ranges::find(learnt, 1) - learnt.begin();
  auto end = std::ssize(learnt);
  while (end > first && learnt[static_cast<size_t>(end - 1)] == 0) --end;
  example.prompt.assign(ids.begin(), ids.begin() + first);
  example.answers.push_back({.ids = {ids.begin() + first, ids.begin() + end},
                             .trained = {learnt.begin() + first, learnt.begin() + end}});
  return example;
}

Json up_to(const Json& conversation, size_t messages, bool ask) {
  Json part = conversation;
  const Json& all = conversation.at("messages");
  part["messages"] =
      Json(std::vector<Json>(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(messages)));
  part["add_generation_prompt"] = ask;
  return part;
}

// What `encode` gives; its errors are those of the tokenizer.
template <class F>
auto encoded(F&& encode) {
  try {
    return encode();
  } catch (const Error& error) {
    throw NotEncodable(error.kind(), "text", error.what());
  }
}

bool is_answer(const Json& message) { return message.value("role", Json()) == "assistant"; }

// Leaves only the last stretch of 1s.
void keep_last(std::vector<uint8_t>& learnt) {
  auto i = std::ssize(learnt) - 1;
  while (i >= 0 && learnt[static_cast<size_t>(i)] == 0) --i;
  while (i >= 0 && learnt[static_cast<size_t>(i)] == 1) --i;
  std::fill(learnt.begin(), learnt.begin() + (i + 1), uint8_t{0});
}

}  // namespace

ExampleEncoder::ExampleEncoder(const std::string& folder, const EncodingOptions& options)
    : folder_(folder), options_(options), tokenizer_(load_tokenizer(folder)) {
  if (ChatTemplate::exists(folder)) template_ = ChatTemplate::load(folder);
}

std::vector<int32_t> ExampleEncoder::ids_of(std::string_view text,
                                            const EncodeOptions& options) const {
  return encoded([&] { return tokenizer_.encode(text, options); });
}

Example ExampleEncoder::of_texts(const WordRow& row) const {
  Example example;
  example.prompt = ids_of(*row.prompt, {.add_special_tokens = options_.encoder});
  for (const std::string& text : row.texts) {
    Answer& answer = example.answers.emplace_back();
    answer.ids = ids_of(text);
    if (answer.ids.empty()) continue;
    if (options_.eos_token_id) answer.ids.push_back(static_cast<int32_t>(*options_.eos_token_id));
    answer.trained.assign(answer.ids.size(), 1);
  }
  return example;
}

// Prompt, steps and separators are encoded apart; the last token of each separator is what is judged.
Example ExampleEncoder::of_steps(const WordRow& row) const {
  Example example;
  example.prompt = ids_of(*row.prompt);
  const std::vector<int32_t> separator = ids_of(*options_.step_separator);
  Answer& answer = example.answers.emplace_back();
  for (const std::string& text : row.texts) {
    for (const std::vector<int32_t>& ids : {ids_of(text), separator})
      answer.ids.insert(answer.ids.end(), ids.begin(), ids.end());
    answer.trained.resize(answer.ids.size(), 0);
    answer.trained.back() = 1;
  }
  return example;
}

std::vector<Example> ExampleEncoder::of_conversation(const Json& conversation) const {
  if (options_.encoder) return of_turns(conversation);
  const ChatTemplate::Rendering whole = template_->render(conversation);
  if (!whole.assistant) return of_turns(conversation);
  EncodedChat chat = encoded([&] { return encode_chat(tokenizer_, whole); });
  if (options_.mask_history) keep_last(*chat.assistant_mask);
  std::vector<Example> one;
  one.push_back(split(chat.ids, *chat.assistant_mask));
  return one;
}

std::vector<Example> ExampleEncoder::of_turns(const Json& conversation) const {
  const Json& messages = conversation.at("messages");
  std::vector<Example> turns;
  for (size_t i = 0; i < messages.size(); ++i) {
    if (!is_answer(messages[i])) continue;
    WordRow turn;
    turn.conversation = up_to(conversation, i, false);
    turn.answers.push_back(Json::array({messages[i]}));
    if (options_.mask_history) turns.clear();
    turns.push_back(of_answers(turn));
  }
  return turns;
}

// What `whole` has behind the prompt. Where the last characters of the prompt and the first of the
// answer would be one token, the answer is encoded alone, as it is when a model generates it.
Answer ExampleEncoder::behind(const std::string& prompt, const std::vector<int32_t>& prompt_ids,
                              const ChatTemplate::Rendering& whole, bool marked) const {
  require(
      whole.text.starts_with(prompt), ErrorKind::kData, folder_,
      "the chat template writes a prompt differently when its answer follows, so that the answer "
      "cannot be told from it; give rows of 'messages', or another template");
  const EncodedChat chat = encoded([&] { return encode_chat(tokenizer_, whole); });
  Answer answer;
  const size_t first = prompt_ids.size();
  if (chat.ids.size() >= first &&
      std::equal(prompt_ids.begin(), prompt_ids.end(), chat.ids.begin())) {
    answer.ids.assign(chat.ids.begin() + static_cast<std::ptrdiff_t>(first), chat.ids.end());
    if (marked && chat.assistant_mask)
      answer.trained.assign(chat.assistant_mask->begin() + static_cast<std::ptrdiff_t>(first),
                            chat.assistant_mask->end());
  } else {
    answer.ids = ids_of(std::string_view(whole.text).substr(prompt.size()));
  }
  if (std::ranges::find(answer.trained, 1) == answer.trained.end())
    answer.trained.assign(answer.ids.size(), 1);
  while (!answer.trained.empty() && answer.trained.back() == 0)
    answer.trained.pop_back(), answer.ids.pop_back();
  return answer;
}

Example ExampleEncoder::of_answers(const WordRow& row) const {
  const std::string prompt =
      template_->text(up_to(row.conversation, row.conversation.at("messages").size(), true));
  Example example;
  example.prompt = ids_of(prompt);
  for (const Json& messages : row.answers) {
    Json whole = row.conversation;
    bool empty = true;
    for (const Json& message : messages) {
      whole["messages"].push_back(message);
      const Json content = message.value("content", Json());
      empty = empty && !message.contains("tool_calls") && !message.contains("reasoning_content") &&
              (content.is_null() || content == "");
    }
    example.answers.push_back(
        empty ? Answer()
              : behind(prompt, example.prompt, template_->render(whole), row.answers.size() == 1));
  }
  return example;
}

std::vector<Example> ExampleEncoder::encode(const WordRow& row, const std::string& place) const {
  require(
      row.prompt || template_, ErrorKind::kUsage, place,
      "the row has messages, but {} has no chat template to write them with (chat_template.jinja, "
      "or chat_template in tokenizer_config.json); put one there, or give rows of 'prompt' and "
      "'completion' as text",
      folder_);
  std::vector<Example> examples;
  try {
    if (options_.step_separator)
      examples.push_back(of_steps(row));
    else if (row.prompt)
      examples.push_back(of_texts(row));
    else if (row.answers.empty() && options_.prompts)
      examples.push_back(of_answers(row));
    else if (row.answers.empty())
      examples = of_conversation(row.conversation);
    else
      examples.push_back(of_answers(row));
  } catch (const NotEncodable& error) {
    throw NotEncodable(error.kind(), place, error.what());
  } catch (const Error& error) {
    throw Error(error.kind(), place, error.what());
  }
  for (Example& example : examples) example.place = place;
  return examples;
}

}  // namespace lathe
