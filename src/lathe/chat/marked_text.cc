#include "lathe/chat/marked_text.h"

#include <algorithm>

#include "lathe/constraint/grammar.h"

namespace lathe {
namespace {

using constraint::kTokenBytes;
using constraint::kTokenMark;

bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

bool is_call_id_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// The longest added token that `text` begins with; blanks alone are letters.
const AddedToken* added_token_at(const std::vector<AddedToken>& tokens, std::string_view text) {
  const AddedToken* longest = nullptr;
  for (const AddedToken& token : tokens)
    if (token.searched && !std::ranges::all_of(token.content, is_blank) &&
        text.starts_with(token.content) &&
        (longest == nullptr || token.content.size() > longest->content.size()))
      longest = &token;
  return longest;
}

}  // namespace

std::vector<int32_t> MarkedText::tokens() const {
  std::vector<int32_t> out;
  for (size_t at = bytes.find(kTokenMark); at != std::string::npos;
       at = bytes.find(kTokenMark, at + kTokenBytes))
    out.push_back(constraint::token_from_bytes(std::string_view(bytes).substr(at)));
  return out;
}

MarkedText marked_text(const Tokenizer& tokenizer, std::string_view text,
                       std::string_view call_id) {
  MarkedText out;
  while (!text.empty()) {
    if (!call_id.empty() && text.starts_with(call_id)) {
      out.bytes += MarkedText::kCallId;
      text.remove_prefix(call_id.size());
      continue;
    }
    const AddedToken* token = added_token_at(tokenizer.added_tokens(), text);
    if (token == nullptr) {
      out.bytes += text[0];
      text.remove_prefix(1);
      continue;
    }
    while (token->lstrip && !out.bytes.empty() && is_blank(out.bytes.back())) out.bytes.pop_back();
    out.bytes += constraint::token_as_bytes(token->id);
    text.remove_prefix(token->content.size());
    while (token->rstrip && !text.empty() && is_blank(text[0])) text.remove_prefix(1);
  }
  return out;
}

MarkMatch match(const MarkedText& wanted, std::string_view bytes) {
  using State = MarkMatch::State;
  MarkMatch found;
  for (const char c : wanted.bytes) {
    const size_t length = c == MarkedText::kCallId ? MarkedText::kCallIdLength : 1;
    for (size_t i = 0; i < length; ++i, ++found.size) {
      if (found.size == bytes.size()) return {.state = State::kPartly};
      const char has = bytes[found.size];
      if (length == 1 ? has != c : !is_call_id_character(has)) return {};
      if (length > 1) found.call_id += has;
    }
  }
  found.state = State::kWhole;
  return found;
}

}  // namespace lathe
