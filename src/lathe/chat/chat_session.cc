#include "lathe/chat/chat_session.h"

#include <algorithm>
#include <chrono>

#include "lathe/base/error.h"
#include "lathe/chat/token_vocabulary.h"
#include "lathe/infer/contrastive_search.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point a, Clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

bool is_from(const Json& message, std::string_view role) { return message["role"] == role; }

EngineOptions options_for(const Transformer& model, const GenerationConfig& config,
                          const ChatMemory& memory, const Speculation& s,
                          const std::optional<Streaming>& streaming) {
  if (config.contrastive()) ContrastiveSearch::check(config);
  const int64_t texts = config.open_texts(), context = memory.context;
  EngineOptions o{.max_sequences = texts, .draft_tokens = s.draft_tokens, .streaming = streaming};
  o.cache_tokens =
      texts * (std::min(context, model.longest_text().value_or(context)) + 2 * o.block_size);
  if (streaming)
    o.cache_tokens =
        texts * (streaming->sinks + streaming->window + o.token_budget + 4 * kernels::kKeyTile);
  if (config.contrastive()) o.state_tokens = o.cache_tokens;
  o.cache_precision = memory.cache_precision;
  require_memory(model, o,
                 streaming   ? "make stream_window smaller"
                 : texts > 1 ? "make the context smaller, or keep fewer beams or candidates open"
                             : "make the context smaller");
  return o;
}

}  // namespace

void Conversation::set_system(std::string_view text) {
  if (!messages_.empty() && is_from(messages_.front(), "system")) messages_.erase(0);
  if (text.empty()) return;
  const Json message = {{"role", "system"}, {"content", text}};
  messages_.insert(messages_.begin(), message);
}

void Conversation::add_user(std::string_view text) {
  messages_.push_back({{"role", "user"}, {"content", text}});
}

bool Conversation::undo() {
  size_t count = messages_.size();
  while (count > 0 && !is_from(messages_[count - 1], "user")) --count;
  if (count == 0) return false;
  messages_.erase(messages_.begin() + static_cast<int64_t>(count) - 1, messages_.end());
  return true;
}

// The results behind an answer belong to its calls in their order.
const Json* Conversation::waiting_call() const {
  size_t answer = messages_.size();
  while (answer > 0 && is_from(messages_[answer - 1], "tool")) --answer;
  if (answer == 0) return nullptr;
  const Json& message = messages_[answer - 1];
  const size_t given = messages_.size() - answer;
  if (!message.contains("tool_calls") || given >= message["tool_calls"].size()) return nullptr;
  return &message["tool_calls"][given];
}

bool Conversation::add_tool_result(std::string_view text) {
  const Json* call = waiting_call();
  if (call == nullptr) return false;
  Json result = {{"role", "tool"},
                 {"tool_call_id", (*call)["id"]},
                 {"name", (*call)["function"]["name"]},
                 {"content", text}};
  messages_.push_back(std::move(result));
  return true;
}

bool Conversation::take_back_answer() {
  if (messages_.empty() || !is_from(messages_.back(), "assistant")) return false;
  messages_.erase(messages_.size() - 1);
  return true;
}

bool Conversation::waits_for_answer() const {
  if (messages_.empty()) return false;
  return is_from(messages_.back(), "user") ||
         (is_from(messages_.back(), "tool") && waiting_call() == nullptr);
}

ChatSession::ChatSession(const Transformer& model, const Tokenizer& tokenizer,
                         const ChatTemplate& chat_template, GenerationConfig config,
                         const ChatMemory& memory, const Adaptation& adaptation,
                         const Speculation& speculation, ChatAbilities abilities)
    : ChatSession(model, tokenizer, chat_template, config,
                  options_for(model, config, memory, speculation, abilities.streaming), adaptation,
                  speculation, abilities) {}

ChatSession::ChatSession(const Transformer& model, const Tokenizer& tokenizer,
                         const ChatTemplate& chat_template, GenerationConfig config,
                         const EngineOptions& options, const Adaptation& adaptation,
                         const Speculation& speculation, ChatAbilities abilities)
    : tokenizer_(tokenizer),
      template_(chat_template),
      config_(std::move(config)),
      engine_(model, options, speculation.drafter(options)),
      adapters_(engine_.load_adapters(adaptation.loras)),
      steering_(adaptation.steering),
      abilities_(std::move(abilities)),
      thinking_(thinking_tags(chat_template, tokenizer)) {
  require(thinking_ || !abilities_.thinking_budget, ErrorKind::kUsage, "thinking_budget",
          "the chat template and the vocabulary have no tags, of one token each, between which the "
          "model thinks; leave it out, or give another --chat-template");
  require(
      !abilities_.thinking_budget || thinking_->at_once, ErrorKind::kUsage, "thinking_budget",
      "the chat template writes blanks before the tag that begins a thought, and only a thought "
      "that begins with its tag can be bounded; leave it out, or give another --chat-template");
  std::vector<int32_t> ends;
  for (const int64_t id :
       config_.eos_token_id.empty() ? model.config().eos_token_ids() : config_.eos_token_id)
    if (tokenizer.has(id)) ends.push_back(static_cast<int32_t>(id));
  if (!abilities_.tools.is_null()) prepare_tools(ends);
  require_taken();
}

// What no answer could have is said before the first question.
void ChatSession::require_taken() const {
  Request any{.prompt = {0}, .sampling = config_};
  any.sampling.max_new_tokens = 1;
  if (const auto refusal = engine_.refuse(any))
    throw Error(ErrorKind::kUsage, refusal->where, refusal->message);
}

void ChatSession::prepare_tools(std::span<const int32_t> ends) {
  require(
      !ends.empty(), ErrorKind::kUsage, "tools",
      "an answer that is held to calls ends with an end token, but the model names none that its "
      "tokenizer has; give --eos-token-id");
  try {
    calls_ = tool_call_syntax(template_, tokenizer_, ends);
  } catch (const Error& error) {
    fail(error.kind(), "tools",
         "{}; give another template with --chat-template, or leave the tools out", error.what());
  }
  auto grammar = tool_call_grammar(*calls_, abilities_.tools, abilities_.tool_choice);
  if (!grammar) return;
  constraint_ = std::make_shared<const Constraint>(
      std::move(*grammar),
      token_vocabulary(tokenizer_, {ends.begin(), ends.end()}, calls_->marks()));
}

Request ChatSession::request_for(const Conversation& conversation) {
  const Json& messages = conversation.messages();
  const std::string text = template_.text(
      {{"messages", messages}, {"tools", abilities_.tools}, {"add_generation_prompt", true}});
  Request request{.prompt = tokenizer_.encode(text), .sampling = config_};
  const bool may_bound = !config_.searches() || abilities_.thinking_budget;
  if (thinking_ && may_bound)
    request.thinking = thinking_->in(request.prompt, abilities_.thinking_budget);
  const bool after_tool = !messages.empty() && is_from(messages.back(), "tool");
  if (!after_tool || abilities_.tool_choice.kind == ToolChoice::Kind::kAuto)
    request.constraint = constraint_;
  request.adapters = adapters_;
  request.steering = steering_;
  const int64_t room = engine_.room().new_tokens(std::ssize(request.prompt), config_.contrastive());
  const int64_t held = engine_.options().cache_tokens / config_.open_texts() -
                       std::ssize(request.prompt) - 2 * engine_.options().block_size;
  const int64_t most = engine_.options().streaming ? room : std::min(room, held);
  // Where there is no room at all, the engine says why.
  request.sampling.max_new_tokens = std::max<int64_t>(1, std::min(config_.max_new_tokens, most));
  return request;
}

ChatAnswer ChatSession::answer(const Conversation& conversation,
                               const std::function<void(const AnswerPart&)>& on_part,
                               const std::function<ChatWish(bool thinking)>& wish) {
  Request request = request_for(conversation);
  AnswerReader reader(tokenizer_, {.calls = calls_ ? &*calls_ : nullptr,
                                   .thinking = thinking_ ? &*thinking_ : nullptr,
                                   .opened = thinking_ && thinking_->in(request.prompt, {}).opened,
                                   .stop = config_.stop});
  std::vector<AnswerPart> parts;
  const auto hand_on = [&] {
    if (on_part) std::ranges::for_each(parts, on_part);
    parts.clear();
  };
  Submission taken;
  ChatAnswer out;
  std::exception_ptr error;
  const auto start = Clock::now();
  auto first = start, last = start;
  request.on_token = [&](const NewToken& token) {
    last = Clock::now();
    if (token.index == 0) {
      first = last;
      out.passes = -engine_.statistics().steps;
    }
    const bool wanted = reader.push(token.token, parts);
    hand_on();
    const ChatWish now = wish(reader.thinking());
    if (now == ChatWish::kThinkNoMore) engine_.end_thinking(taken.id);
    return wanted && now != ChatWish::kStop;
  };
  request.on_finish = [&](const Finished& end) {
    out.reason = end.reason;
    out.prompt_tokens = end.prompt_tokens;
    out.cached_tokens = end.cached_tokens;
    out.new_tokens = end.new_tokens;
    out.thinking_tokens = end.thinking_tokens;
    out.guessed_tokens = end.guessed_tokens;
    out.accepted_tokens = end.accepted_tokens;
    error = end.error;
  };
  taken = engine_.submit(std::move(request));
  if (taken.refusal) throw Error(ErrorKind::kData, taken.refusal->where, taken.refusal->message);
  engine_.run();
  if (error) std::rethrow_exception(error);
  reader.finish(parts);
  hand_on();
  out.message = reader.message();
  out.turn = out.message.as_turn(calls_ && calls_->arguments_are_text);
  if (out.new_tokens > 0) out.passes += engine_.statistics().steps;
  out.first_token_seconds = seconds_between(start, first);
  out.seconds = seconds_between(first, last);
  return out;
}

}  // namespace lathe
