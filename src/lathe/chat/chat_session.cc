#include "lathe/chat/chat_session.h"

#include <algorithm>
#include <chrono>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/chat/text_stream.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point a, Clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

bool is_from(const Json& message, std::string_view role) { return message["role"] == role; }

EngineOptions options_for(const Transformer& model, int64_t context, const Speculation& s) {
  EngineOptions o{.max_sequences = 1, .draft_tokens = s.draft_tokens};
  o.cache_tokens = std::min(context, model.longest_text().value_or(context)) + 2 * o.block_size;
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

void Conversation::add_assistant(std::string_view text) {
  messages_.push_back({{"role", "assistant"}, {"content", text}});
}

bool Conversation::undo() {
  take_back_answer();
  if (!waits_for_answer()) return false;
  messages_.erase(messages_.size() - 1);
  return true;
}

bool Conversation::take_back_answer() {
  if (messages_.empty() || !is_from(messages_.back(), "assistant")) return false;
  messages_.erase(messages_.size() - 1);
  return true;
}

bool Conversation::waits_for_answer() const {
  return !messages_.empty() && is_from(messages_.back(), "user");
}

ChatSession::ChatSession(const Transformer& model, const Tokenizer& tokenizer,
                         const ChatTemplate& chat_template, GenerationConfig config,
                         int64_t context, const Adaptation& adaptation,
                         const Speculation& speculation)
    : tokenizer_(tokenizer),
      template_(chat_template),
      config_(std::move(config)),
      engine_(model, options_for(model, context, speculation),
              speculation.drafter(options_for(model, context, speculation))),
      adapters_(engine_.load_adapters(adaptation.loras)),
      steering_(adaptation.steering) {}

ChatAnswer ChatSession::answer(const Conversation& conversation,
                               const std::function<void(std::string_view)>& on_text,
                               const std::function<bool()>& should_stop) {
  const std::string text =
      template_.text({{"messages", conversation.messages()}, {"add_generation_prompt", true}});
  Request request{.prompt = tokenizer_.encode(text), .sampling = config_};
  request.adapters = adapters_;
  request.steering = steering_;
  const int64_t room = engine_.room().new_tokens(std::ssize(request.prompt));
  const int64_t held = engine_.options().cache_tokens - std::ssize(request.prompt) -
                       2 * engine_.options().block_size;
  // Where there is no room at all, the engine says why.
  request.sampling.max_new_tokens =
      std::max<int64_t>(1, std::min({config_.max_new_tokens, room, held}));

  TextStream stream(tokenizer_, config_.stop, on_text);
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
    return stream.push(token.token) && !should_stop();
  };
  request.on_finish = [&](const Finished& end) {
    out.reason = end.reason;
    out.prompt_tokens = end.prompt_tokens;
    out.cached_tokens = end.cached_tokens;
    out.new_tokens = end.new_tokens;
    out.guessed_tokens = end.guessed_tokens;
    out.accepted_tokens = end.accepted_tokens;
    error = end.error;
  };
  const Submission taken = engine_.submit(std::move(request));
  if (taken.refusal) throw Error(ErrorKind::kData, taken.refusal->where, taken.refusal->message);
  engine_.run();
  if (error) std::rethrow_exception(error);
  out.text = replace_invalid_utf8(stream.finish());
  if (out.new_tokens > 0) out.passes += engine_.statistics().steps;
  out.first_token_seconds = seconds_between(start, first);
  out.seconds = seconds_between(first, last);
  return out;
}

}  // namespace lathe
