#include "lathe/constraint/token_vocabulary.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/constraint/grammar.h"

namespace lathe {

TokenVocabulary::TokenVocabulary(std::vector<std::string> tokens, std::vector<int32_t> ends,
                                 Encode encode, std::span<const int32_t> marks)
    : tokens_(std::move(tokens)), ends_(std::move(ends)), encode_(std::move(encode)) {
  for (const int32_t end : ends_)
    require(has(end), ErrorKind::kConfig, "constraint",
            "the token {} that ends an answer is not in the vocabulary of {}", end, tokens_.size());
  for (std::string& token : tokens_)
    if (token.find(constraint::kTokenMark) != std::string::npos) token.clear();
  for (const int32_t mark : marks) {
    require(has(mark) && mark <= constraint::kMaxMarkedToken && !is_end(mark), ErrorKind::kConfig,
            "constraint", "the token {} cannot be a mark: it is {}", mark,
            has(mark) ? "one that ends an answer" : "not in the vocabulary");
    tokens_[static_cast<size_t>(mark)] = constraint::token_as_bytes(mark);
  }
  for (const std::string& token : tokens_) longest_ = std::max(longest_, token.size());
  build_tree();
}

bool TokenVocabulary::is_end(int32_t id) const {
  return std::ranges::find(ends_, id) != ends_.end();
}

bool TokenVocabulary::is_mark(int32_t id) const {
  return has(id) && bytes(id).starts_with(constraint::kTokenMark);
}

std::vector<int32_t> TokenVocabulary::encode(std::string_view bytes) const {
  std::vector<int32_t> ids;
  if (!encode_) return ids;
  while (!bytes.empty()) {
    const size_t text = std::min(bytes.find(constraint::kTokenMark), bytes.size());
    if (text > 0 && !encode_text(bytes.substr(0, text), ids)) return {};
    bytes.remove_prefix(text);
    if (bytes.empty()) break;
    if (bytes.size() < constraint::kTokenBytes) return {};
    ids.push_back(constraint::token_from_bytes(bytes));
    bytes.remove_prefix(constraint::kTokenBytes);
  }
  return ids;
}

bool TokenVocabulary::encode_text(std::string_view text, std::vector<int32_t>& out) const {
  const std::vector<int32_t> ids = encode_(text);
  std::string joined;
  for (const int32_t id : ids) joined += has(id) ? bytes(id) : "";
  out.insert(out.end(), ids.begin(), ids.end());
  return joined == text;
}

void TokenVocabulary::build_tree() {
  for (size_t id = 0; id < tokens_.size(); ++id)
    if (!tokens_[id].empty() && !is_end(static_cast<int32_t>(id)))
      ids_.push_back(static_cast<int32_t>(id));
  std::ranges::sort(ids_, {}, [&](int32_t id) -> const std::string& { return bytes(id); });
  std::vector<uint32_t> path;  // nodes of the token before
  std::string before;
  const auto close = [&](size_t depth) {
    for (; path.size() > depth; path.pop_back())
      nodes_[path.back()].behind = static_cast<uint32_t>(nodes_.size());
  };
  for (uint32_t i = 0; i < ids_.size(); ++i) {
    const std::string& token = bytes(ids_[i]);
    const auto shared = std::ranges::mismatch(before, token).in1 - before.begin();
    close(static_cast<size_t>(shared));
    while (path.size() < token.size()) {
      const auto here = static_cast<uint32_t>(nodes_.size());
      nodes_.push_back({static_cast<uint8_t>(token[path.size()]),
                        static_cast<uint32_t>(path.size() + 1), path.empty() ? here : path.back(),
                        0, i, i});
      path.push_back(here);
    }
    nodes_[path.back()].last = i + 1;
    before = token;
  }
  close(0);
}

}  // namespace lathe
