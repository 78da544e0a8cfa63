#include "lathe/train/example/word_row.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/config/json_text.h"
#include "lathe/train/example/id_row.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

std::string shortened(const Json& value) {
  const std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.size() <= 60 ? text : text.substr(0, 60) + "…";
}

const Json& need(const Json& row, const char* key, const std::string& place) {
  const auto found = row.find(key);
  require(found != row.end() && !found->is_null(), ErrorKind::kData, place, "'{}' is missing", key);
  return *found;
}

std::string text_of(const Json& row, const char* key, const std::string& place) {
  const Json& value = need(row, key, place);
  require(value.is_string(), ErrorKind::kData, place, "'{}' is {}, expected a text", key,
          shortened(value));
  return value.get<std::string>();
}

std::string text_or_nothing(const Json& row, const char* key, const std::string& place) {
  return row.contains(key) && !row.at(key).is_null() ? text_of(row, key, place) : "";
}

Json message(const char* role, Json content) {
  return {{"role", role}, {"content", std::move(content)}};
}

// The roles of ShareGPT's "from".
std::string role_of(const std::string& from) {
  if (from == "human") return "user";
  if (from == "gpt" || from == "chatgpt" || from == "bard" || from == "bing") return "assistant";
  if (from == "observation") return "tool";
  return from;
}

// {"name": …, "arguments": …}, or a list of such, as text or not.
Json tool_calls_of(const Json& value, const std::string& place) {
  Json calls = value;
  if (value.is_string())
    calls = parse_json(value.get<std::string>(), place, {.error_kind = ErrorKind::kData});
  if (calls.is_object()) calls = Json::array({calls});
  Json all = Json::array();
  for (const Json& call : calls) {
    require(call.is_object() && call.contains("name"), ErrorKind::kData, place,
            "a function call is {}, expected {{\"name\": …, \"arguments\": …}}", shortened(call));
    all.push_back({{"type", "function"}, {"function", call}});
  }
  return all;
}

// A message as OpenAI writes it, from one of ShareGPT or MiniMind.
Json message_of(const Json& turn, const std::string& place) {
  require(turn.is_object() && (turn.contains("role") || turn.contains("from")), ErrorKind::kData,
          place, "a message is {}, expected {{\"role\": …, \"content\": …}}", shortened(turn));
  if (turn.contains("role")) {
    text_of(turn, "role", place);  // or it throws
    return turn;
  }
  const std::string from = text_of(turn, "from", place);
  const Json& value = need(turn, "value", place);
  if (from == "function_call") {
    Json call = message("assistant", "");
    call["tool_calls"] = tool_calls_of(value, place);
    return call;
  }
  return message(role_of(from).c_str(), value);
}

Json messages_of(const Json& value, const char* key, const std::string& place) {
  require(value.is_array() && !value.empty(), ErrorKind::kData, place,
          "'{}' is {}, expected a list of messages", key, shortened(value));
  Json messages = Json::array();
  for (const Json& turn : value) messages.push_back(message_of(turn, place));
  return messages;
}

// The answer beside a prompt of messages: a text, one message or a list of messages.
Json answer_messages(const Json& value, const char* key, const std::string& place) {
  if (value.is_string()) return Json::array({message("assistant", value)});
  if (value.is_object()) return Json::array({message_of(value, place)});
  return messages_of(value, key, place);
}

void read_tools(const Json& row, const std::string& place, Json& conversation) {
  const auto tools = row.find("tools");
  if (tools != row.end() && !tools->is_null() && *tools != "")
    conversation["tools"] = tools->is_string() ? parse_json(tools->get<std::string>(), place,
                                                            {.error_kind = ErrorKind::kData})
                                               : *tools;
  const auto more = row.find("chat_template_kwargs");
  if (more == row.end() || more->is_null()) return;
  require(more->is_object(), ErrorKind::kData, place,
          "'chat_template_kwargs' is {}, expected an object", shortened(*more));
  for (const auto& [key, value] : more->items())
    if (key != "messages") conversation[key] = value;
}

class Reader {
 public:
  Reader(const Json& row, ExampleKind kind, const std::string& place)
      : row_(row), kind_(kind), place_(place) {}

  WordRow read() {
    read_form();
    if (row_.contains("system") && !words_.prompt && !row_.at("system").is_null())
      add_system(text_of(row_, "system", place_));
    if (words_.prompt && kind_ != ExampleKind::kPrompt)  // those fields may be for the verifier
      for (const char* key : {"system", "tools", "chat_template_kwargs"})
        require(
            !row_.contains(key) || row_.at(key).empty() || row_.at(key) == "", ErrorKind::kData,
            place_,
            "'{}' stands beside a prompt that is text, where no template writes it; give the prompt as "
            "messages, or leave it out",
            key);
    if (!words_.prompt)
      read_tools(row_, place_, words_.conversation);  // else no template reads them
    split_last_answer();
    drop_answers();
    check_count();
    return std::move(words_);
  }

 private:
  bool has(const char* key) const { return row_.contains(key) && !row_.at(key).is_null(); }
  Json& messages() { return words_.conversation["messages"]; }

  bool is_ranked() const { return kind_ == ExampleKind::kRanking && has("answers"); }

  void read_form() {
    if (kind_ == ExampleKind::kSteps) return read_steps();
    if (has("prompt") || has("chosen") || is_ranked()) return read_prompt();
    if (has("messages")) {
      messages() = messages_of(row_.at("messages"), "messages", place_);
    } else if (has("conversations")) {
      messages() = messages_of(row_.at("conversations"), "conversations", place_);
    } else if (has("instruction")) {
      read_alpaca();
    } else if (has("question")) {
      messages() = Json::array({message("user", text_of(row_, "question", place_))});
      for (const char* key : {"response_chosen", "response_rejected"})
        words_.answers.push_back(answer_messages(need(row_, key, place_), key, place_));
    } else {
      std::string keys;
      for (const auto& [key, value] : row_.items()) keys += (keys.empty() ? "" : ", ") + key;
      fail(
          ErrorKind::kData, place_,
          "the row has the keys {}; expected messages, conversations, instruction and output, prompt "
          "and completion, prompt, chosen and rejected, or prompt_ids and completion_ids",
          keys.empty() ? "(none)" : keys);
    }
  }

  // The user's turn is the instruction, a blank line and the input.
  void read_alpaca() {
    const std::string input = text_or_nothing(row_, "input", place_);
    messages() = Json::array();
    if (has("history"))
      for (const Json& turn : row_.at("history")) {
        require(turn.is_array() && turn.size() == 2 && turn[0].is_string() && turn[1].is_string(),
                ErrorKind::kData, place_, "'history' has {}, expected pairs of texts",
                shortened(turn));
        messages().push_back(message("user", turn[0]));
        messages().push_back(message("assistant", turn[1]));
      }
    messages().push_back(message(
        "user", text_of(row_, "instruction", place_) + (input.empty() ? "" : "\n\n" + input)));
    const Json& output = need(row_, "output", place_);
    if (!output.is_array()) {
      words_.answers.push_back(answer_messages(output, "output", place_));
      return;
    }
    for (const Json& each : output)
      words_.answers.push_back(answer_messages(each, "output", place_));
  }

  void read_prompt() {
    std::vector<const char*> keys = {"completion"};
    if (has("chosen") || kind_ == ExampleKind::kPair || kind_ == ExampleKind::kRanking)
      keys = {"chosen", "rejected"};
    if (is_ranked()) keys.clear();                    // they are in a list
    if (kind_ == ExampleKind::kPrompt) keys.clear();  // answers beside it are for those who judge
    const char* given = has("prompt")          ? "prompt"
                        : has("conversations") ? "conversations"
                                               : "messages";
    if (!has(given)) return read_whole_dialogues();
    if (row_.at(given).is_string()) {
      words_.prompt = text_of(row_, given, place_);
      for (const char* key : keys) words_.texts.push_back(text_of(row_, key, place_));
      if (is_ranked())
        for (const Json& answer : ranked_answers())
          words_.texts.push_back(text_of({{"answers", answer}}, "answers", place_));
      return;
    }
    messages() = messages_of(row_.at(given), given, place_);
    for (const char* key : keys)
      words_.answers.push_back(answer_messages(need(row_, key, place_), key, place_));
    if (is_ranked())
      for (const Json& answer : ranked_answers())
        words_.answers.push_back(answer_messages(answer, "answers", place_));
  }

  // As TRL has them.
  void read_steps() {
    words_.prompt = text_of(row_, "prompt", place_);
    const Json& steps = need(row_, "completions", place_);
    require(steps.is_array() && !steps.empty(), ErrorKind::kData, place_,
            "'completions' is {}, expected a list of texts, the steps of one answer",
            shortened(steps));
    for (const Json& step : steps)
      words_.texts.push_back(text_of({{"completions", step}}, "completions", place_));
  }

  // From the best to the worst.
  Json ranked_answers() const {
    const Json& answers = row_.at("answers");
    require(answers.is_array(), ErrorKind::kData, place_,
            "'answers' is {}, expected a list of two answers or more, the best first",
            shortened(answers));
    Json ranked = Json::array();
    for (const size_t i : read_ranking(row_, answers.size(), place_)) ranked.push_back(answers[i]);
    return ranked;
  }

  // Two dialogues that begin alike: the prompt is what they have in common, and each keeps a message at least.
  void read_whole_dialogues() {
    const Json chosen = answer_messages(need(row_, "chosen", place_), "chosen", place_);
    const Json rejected = answer_messages(need(row_, "rejected", place_), "rejected", place_);
    if (row_.at("chosen").is_string()) return read_whole_texts();
    size_t same = 0;
    while (same + 1 < std::min(chosen.size(), rejected.size()) && chosen[same] == rejected[same])
      ++same;
    messages() =
        Json(std::vector<Json>(chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(same)));
    for (const Json* whole : {&chosen, &rejected})
      words_.answers.emplace_back(
          std::vector<Json>(whole->begin() + static_cast<std::ptrdiff_t>(same), whole->end()));
    require(
        same > 0, ErrorKind::kData, place_,
        "'chosen' and 'rejected' have no message in common that answers follow, and there is no "
        "'prompt'");
  }

  // As in hh-rlhf: what two texts have in common up to the last "Assistant:" is the prompt.
  void read_whole_texts() {
    constexpr std::string_view kTurn = "\n\nAssistant:";
    const std::string chosen = text_of(row_, "chosen", place_),
                      rejected = text_of(row_, "rejected", place_);
    const auto same =
        static_cast<size_t>(std::ranges::mismatch(chosen, rejected).in1 - chosen.begin());
    const size_t turn = chosen.substr(0, same).rfind(kTurn);
    require(
        turn != std::string::npos, ErrorKind::kData, place_,
        "'chosen' and 'rejected' have no prompt in common (no \"Assistant:\" after a blank line in "
        "what they share); give it as 'prompt'");
    words_.prompt = chosen.substr(0, turn + kTurn.size());
    words_.texts = {chosen.substr(words_.prompt->size()), rejected.substr(words_.prompt->size())};
  }

  void add_system(const std::string& text) {
    if (text.empty() || (!messages().empty() && messages()[0].value("role", "") == "system"))
      return;
    messages().insert(messages().begin(), message("system", text));
  }

  // Where one answer is judged, it is the last turn of a conversation.
  void split_last_answer() {
    const bool judged = kind_ == ExampleKind::kLabelled || kind_ == ExampleKind::kRollout;
    if (!judged || words_.prompt || !words_.answers.empty()) return;
    require(messages().size() > 1 && messages().back().value("role", "") == "assistant",
            ErrorKind::kData, place_,
            "the conversation does not end with an answer of the assistant");
    words_.answers.push_back(Json::array({messages().back()}));
    messages().erase(messages().size() - 1);
  }

  // A prompt ends with what is to be answered.
  void drop_answers() {
    if (kind_ != ExampleKind::kPrompt) return;
    words_.texts.clear();
    words_.answers.clear();
    if (words_.prompt) return;
    while (!messages().empty() && messages().back().value("role", "") == "assistant")
      messages().erase(messages().size() - 1);
    require(!messages().empty(), ErrorKind::kData, place_, "there is no message to answer");
  }

  void check_count() const {
    const size_t count = words_.prompt ? words_.texts.size() : words_.answers.size();
    const bool conversation = count == 0;
    const bool fits = kind_ == ExampleKind::kPair      ? count == 2
                      : kind_ == ExampleKind::kRanking ? count >= 2
                      : kind_ == ExampleKind::kSteps   ? count >= 1
                      : kind_ == ExampleKind::kPrompt  ? conversation
                      : kind_ == ExampleKind::kSingle  ? count <= 1
                                                       : count == 1;
    require(fits, ErrorKind::kData, place_,
            "the row has {} answers, but the objective learns from {}", count, name_of(kind_));
  }

  const Json& row_;
  const ExampleKind kind_;
  const std::string& place_;
  WordRow words_;
};

}  // namespace

WordRow read_word_row(const Json& row, ExampleKind kind, const std::string& place) {
  return Reader(row, kind, place).read();
}

}  // namespace lathe
