#include "lathe/chat/answer_reader.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/utf8.h"
#include "lathe/constraint/grammar.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using Kind = AnswerPart::Kind;
using State = MarkMatch::State;
constexpr std::string_view kBlanks = " \n\t\r";

// How many bytes at the end of `text` may become `wanted`.
size_t beginning_of(std::string_view wanted, std::string_view text) {
  for (size_t n = std::min(wanted.size(), text.size()); n > 0; --n)
    if (text.ends_with(wanted.substr(0, n))) return n;
  return 0;
}

size_t blanks_at_end(std::string_view text) {
  return text.size() - (text.find_last_not_of(kBlanks) + 1);
}

std::string without_marks(std::string_view marked) {
  std::string out;
  for (size_t i = 0; i < marked.size(); ++i)
    if (marked[i] == constraint::kTokenMark)
      i += constraint::kTokenBytes - 1;
    else
      out += marked[i];
  return out;
}

}  // namespace

Json ChatMessage::as_turn(bool arguments_are_text) const {
  Json turn = {{"role", "assistant"}, {"content", content}};
  if (!reasoning_content.empty()) turn["reasoning_content"] = reasoning_content;
  for (size_t i = 0; i < tool_calls.size(); ++i) {
    const ToolCall& call = tool_calls[i];
    Json arguments = Json::parse(call.arguments, nullptr, false);
    if (!arguments.is_object()) continue;  // it was cut
    if (arguments_are_text) arguments = call.arguments;
    turn["tool_calls"].push_back(
        {{"id", call.id.empty() ? fmt::format("call{:05}", i) : call.id},
         {"type", "function"},
         {"function", {{"name", call.name}, {"arguments", std::move(arguments)}}}});
  }
  return turn;
}

AnswerReader::AnswerReader(const Tokenizer& tokenizer, Format format)
    : tokenizer_(tokenizer),
      format_(std::move(format)),
      decoder_(tokenizer, {.skip_special = true}),
      phase_(format_.opened ? Phase::kThought : Phase::kText),
      skips_blanks_(format_.opened) {
  if (format_.calls == nullptr) return;
  trigger_ = format_.calls->trigger();
  open_.bytes = trigger_->text.bytes + trigger_->rest.bytes;
  marks_ = format_.calls->marks();
}

void AnswerReader::begin(Phase phase) {
  skips_blanks_ = phase == Phase::kThought || phase_ == Phase::kThought;
  phase_ = phase;
}

// Whether the token is one that begins or ends a thought, or begins calls.
bool AnswerReader::take_tag(int32_t token) {
  if (phase_ == Phase::kThought) {
    if (token != format_.thinking->close) return false;
    read_thought(/*whole=*/true);
    begin(Phase::kText);
    return true;
  }
  if (phase_ != Phase::kText) return false;
  const bool nothing_yet = message_.content.empty() && message_.reasoning_content.empty();
  if (format_.thinking != nullptr && token == format_.thinking->open && nothing_yet) {
    waiting_.clear();  // blanks
    begin(Phase::kThought);
    return true;
  }
  if (!trigger_ || trigger_->text.bytes != constraint::token_as_bytes(token)) return false;
  waiting_ += readable_utf8(decoder_.finish());
  waiting_.resize(waiting_.size() - blanks_at_end(waiting_));
  read_text(/*whole=*/true);
  if (phase_ != Phase::kText) return false;
  begin(Phase::kCalls);
  in_call_ = InCall::kOpen;
  waiting_ = trigger_->text.bytes;
  return true;
}

bool AnswerReader::push(int32_t token, std::vector<AnswerPart>& out) {
  out_ = &out;
  if (!tokenizer_.has(token) || take_tag(token) || phase_ == Phase::kStopped)
    return phase_ != Phase::kStopped;
  if (phase_ == Phase::kCalls) {
    if (std::ranges::find(marks_, token) != marks_.end())
      waiting_ += constraint::token_as_bytes(token);
    else if (!tokenizer_.is_special(token))
      waiting_ += tokenizer_.token_bytes(token);
    read_calls(/*whole=*/false);
  } else {
    // As it is shown, which is what stop strings are compared with.
    waiting_ += readable_utf8(decoder_.push(token));
    phase_ == Phase::kThought ? read_thought(false) : read_text(false);
  }
  return phase_ != Phase::kStopped;
}

void AnswerReader::finish(std::vector<AnswerPart>& out) {
  out_ = &out;
  if (phase_ == Phase::kThought)
    read_thought(true);
  else if (phase_ == Phase::kText)
    read_text(true);
  else if (phase_ == Phase::kCalls)
    read_calls(true);
}

void AnswerReader::give(Kind kind, std::string_view text) {
  const std::string piece = readable_utf8(text);
  if (piece.empty()) return;
  if (kind == Kind::kThought)
    message_.reasoning_content += piece;
  else if (kind == Kind::kText)
    message_.content += piece;
  else if (kind == Kind::kCallName)
    message_.tool_calls.push_back(
        {.name = piece, .arguments = {}, .id = std::exchange(next_id_, {})});
  else
    message_.tool_calls.back().arguments += piece;
  const size_t calls = message_.tool_calls.size();
  out_->push_back({.kind = kind, .text = piece, .call = calls > 0 ? calls - 1 : 0});
}

// `whole`: nothing follows in it.
void AnswerReader::read_thought(bool whole) {
  if (whole) waiting_ += readable_utf8(decoder_.finish());
  if (skips_blanks_) waiting_.erase(0, waiting_.find_first_not_of(kBlanks));
  if (!waiting_.empty()) skips_blanks_ = false;
  const size_t certain = waiting_.size() - blanks_at_end(waiting_);
  give(Kind::kThought, std::string_view(waiting_).substr(0, certain));
  waiting_.erase(0, whole ? waiting_.size() : certain);
}

// Bytes at the end of the text that may become something else: a call, a stop string, or blanks before
// a call.
size_t AnswerReader::uncertain() const {
  const std::string_view text = waiting_;
  size_t most = 0;
  if (trigger_) {
    most = beginning_of(trigger_->text.bytes, text);
    most += blanks_at_end(text.substr(0, text.size() - most));
  }
  for (const std::string& stop : format_.stop) most = std::max(most, beginning_of(stop, text));
  return most;
}

void AnswerReader::read_text(bool whole) {
  if (whole) waiting_ += readable_utf8(decoder_.finish());
  if (skips_blanks_) waiting_.erase(0, waiting_.find_first_not_of(kBlanks));
  if (!waiting_.empty()) skips_blanks_ = false;
  size_t stop = std::string::npos, call = std::string::npos;
  std::string_view found;
  for (const std::string& s : format_.stop) {
    const size_t at = s.empty() ? std::string::npos : waiting_.find(s);
    if (at >= stop) continue;
    stop = at;
    found = s;
  }
  if (trigger_) call = waiting_.find(trigger_->text.bytes);
  const bool first = message_.content.empty() && call == waiting_.find_first_not_of(kBlanks);
  if (trigger_ && trigger_->only_first && !first) call = std::string::npos;
  if (call < stop) {
    const std::string before = waiting_.substr(0, call);
    give(Kind::kText, std::string_view(before).substr(0, call - blanks_at_end(before)));
    waiting_.erase(0, call);
    begin(Phase::kCalls);
    in_call_ = InCall::kOpen;
    return read_calls(whole);
  }
  if (stop != std::string::npos) {
    give(Kind::kText, std::string_view(waiting_).substr(0, stop));
    waiting_.clear();
    stop_string_ = found;
    phase_ = Phase::kStopped;
    return;
  }
  const size_t certain = waiting_.size() - (whole ? 0 : uncertain());
  give(Kind::kText, std::string_view(waiting_).substr(0, certain));
  waiting_.erase(0, certain);
}

void AnswerReader::read_calls(bool whole) {
  bool goes_on = true;
  while (goes_on && phase_ == Phase::kCalls) {
    if (in_call_ == InCall::kOpen) {
      const MarkMatch found = match(open_, waiting_);
      goes_on = found.state == State::kWhole;
      if (found.state == State::kNo) leave_calls();
      if (!goes_on) break;
      give_id(/*of_next_call=*/true, found);
      begin_call(found.size);
    } else if (in_call_ == InCall::kName) {
      goes_on = read_name();
    } else {
      goes_on = in_call_ == InCall::kArguments ? read_arguments() : read_behind(whole);
    }
  }
  // Letters that did not become a call; behind a mark they are a call that was cut.
  const bool unnamed = in_call_ == InCall::kOpen || in_call_ == InCall::kName;
  if (whole && phase_ == Phase::kCalls && unnamed &&
      !trigger_->text.bytes.starts_with(constraint::kTokenMark))
    leave_calls();
}

void AnswerReader::begin_call(size_t size) {
  opening_ = without_marks(waiting_.substr(0, size));
  waiting_.erase(0, size);
  in_call_ = InCall::kName;
}

// What was read since the last call is text.
void AnswerReader::leave_calls() {
  give(Kind::kText, std::exchange(opening_, {}) + without_marks(waiting_));
  waiting_.clear();
  begin(Phase::kText);
}

void AnswerReader::give_id(bool of_next_call, const MarkMatch& found) {
  if (found.call_id.empty()) return;
  if (of_next_call)
    next_id_ = found.call_id;
  else if (!message_.tool_calls.empty())
    message_.tool_calls.back().id = found.call_id;
}

// A name, once all that stands behind it was read.
bool AnswerReader::read_name() {
  const auto is_part = [](char c) {
    return c == '_' || c == '-' || c == '.' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
  };
  const auto end = std::ranges::find_if_not(waiting_, is_part);
  if (end == waiting_.end()) return false;
  const auto size = static_cast<size_t>(end - waiting_.begin());
  const MarkMatch found = match(format_.calls->middle, std::string_view(waiting_).substr(size));
  if (found.state == State::kPartly) return false;
  if (found.state == State::kNo || size == 0) {
    leave_calls();
    return false;
  }
  give(Kind::kCallName, waiting_.substr(0, size));
  opening_.clear();
  give_id(/*of_next_call=*/false, found);
  waiting_.erase(0, size + found.size);
  in_call_ = InCall::kArguments;
  depth_ = 0;
  in_string_ = escaped_ = false;
  return true;
}

// As far as the object goes; a mark ends it wherever it is.
bool AnswerReader::read_arguments() {
  const size_t size = waiting_.size() - incomplete_utf8_tail(waiting_);
  size_t at = 0;
  bool ended = false;
  for (; at < size && !ended; ++at) {
    const char c = waiting_[at];
    if (c == constraint::kTokenMark) break;
    if (in_string_) {
      in_string_ = escaped_ || c != '"';
      escaped_ = !escaped_ && c == '\\';
      continue;
    }
    in_string_ = c == '"';
    depth_ += c == '{' || c == '[' ? 1 : 0;
    depth_ -= (c == '}' || c == ']') && depth_ > 0 ? 1 : 0;
    ended = depth_ == 0;
  }
  const bool broken = at < size && waiting_[at] == constraint::kTokenMark;
  give(Kind::kCallArguments, std::string_view(waiting_).substr(0, at));
  waiting_.erase(0, at);
  if (ended || broken) in_call_ = InCall::kBehind;
  return ended || broken;
}

// Another call, or the end of all. The one may begin like the other.
bool AnswerReader::read_behind(bool whole) {
  const MarkMatch close = match(format_.calls->close, waiting_);
  const MarkMatch next = format_.calls->next ? match(*format_.calls->next, waiting_) : MarkMatch{};
  const bool ids_come_first = open_.bytes.find(MarkedText::kCallId) != std::string::npos;
  if (next.state == State::kWhole) {
    give_id(ids_come_first, next);
    begin_call(next.size);
    return true;
  }
  if (!whole && (next.state == State::kPartly || close.state == State::kPartly)) return false;
  give_id(ids_come_first, close);
  if (close.state == State::kWhole) waiting_.erase(0, close.size);
  if (whole && close.state != State::kWhole) waiting_.clear();
  leave_calls();
  return false;
}

}  // namespace lathe
