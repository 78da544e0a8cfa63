#include "lathe/chat/text_stream.h"

#include <algorithm>

namespace lathe {

TextStream::TextStream(const Tokenizer& tokenizer, std::vector<std::string> stop,
                       std::function<void(std::string_view)> on_text)
    : tokenizer_(tokenizer),
      decoder_(tokenizer, {.skip_special = true}),
      stop_(std::move(stop)),
      on_text_(std::move(on_text)) {
  for (const std::string& s : stop_) longest_stop_ = std::max(longest_stop_, s.size());
}

bool TextStream::push(int32_t token) {
  if (tokenizer_.has(token)) pending_ += decoder_.push(token);
  for (const std::string& s : stop_) {
    const size_t at = s.empty() ? std::string::npos : pending_.find(s);
    if (at == std::string::npos) continue;
    pending_.resize(at);
    stopped_ = true;
  }
  release(stopped_ ? 0 : longest_stop_);
  return !stopped_;
}

std::string TextStream::finish() {
  if (!stopped_) pending_ += decoder_.finish();
  release(0);
  return text_;
}

void TextStream::release(size_t keep) {
  if (pending_.size() <= keep) return;
  size_t n = pending_.size() - keep;
  while (n > 0 && n < pending_.size() && (static_cast<unsigned char>(pending_[n]) & 0xC0) == 0x80)
    --n;
  if (on_text_) on_text_(std::string_view(pending_).substr(0, n));
  text_ += pending_.substr(0, n);
  pending_.erase(0, n);
}

}  // namespace lathe
