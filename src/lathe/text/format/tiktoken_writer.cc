#include "lathe/text/format/tiktoken_writer.h"

#include <algorithm>
#include <unordered_set>

#include "lathe/base/utf8.h"
#include "lathe/text/model/byte_bpe.h"
#include "lathe/text/tokenizer_data.h"

namespace lathe {
namespace {

constexpr std::string_view kWhere = "tiktoken";

std::string to_base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    uint32_t bits = 0;
    for (size_t j = 0; j < 3; ++j)
      bits = bits << 8 | (j < n ? static_cast<uint8_t>(bytes[i + j]) : 0);
    for (size_t j = 0; j < 4; ++j) text += j <= n ? kDigits[bits >> (18 - 6 * j) & 63] : '=';
  }
  return text;
}

template <class... Args>
void can(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition)
    fail(ErrorKind::kFormat, kWhere, "a rank file cannot hold this tokenizer: {}",
         fmt::format(format, std::forward<Args>(args)...));
}

std::string shown(std::string_view token) { return replace_invalid_utf8(token); }

Pattern pattern_of(const Tokenizer& tokenizer) {
  const auto pattern = find_pattern(tokenizer.pattern_name());
  std::string names;
  for (const PatternInfo& info : kPreTokenizers) names += fmt::format(" {}", info.name);
  can(pattern.has_value(), "its pre-tokeniser is not one of the patterns that can be named:{}",
      names);
  return *pattern;
}

// The tokens of the file.
class Ranks {
 public:
  // Added tokens are left out unless merging needs them.
  Ranks(const TokenizerData& data, const ByteBpe& model) : vocabulary_(data.vocabulary()) {
    std::vector<bool> merged(static_cast<size_t>(vocabulary_.size()));
    for (const Merge& m : model.merges())
      merged[m.left] = merged[m.right] = merged[m.result] = true;
    for (int32_t id = 0; id < vocabulary_.size(); ++id) {
      const bool needed = vocabulary_.has(id) && (merged[id] || vocabulary_.bytes(id).size() == 1 ||
                                                  data.added_token(id) == nullptr);
      if (!needed) continue;
      can(!vocabulary_.is_literal(id), "token {} is '{}', which is not a string of bytes", id,
          vocabulary_.bytes(id));
      ids_.push_back(id);
    }
    in_file_.resize(merged.size());
    for (const int32_t id : ids_) in_file_[id] = true;
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const char c = static_cast<char>(byte);
      can(rank({&c, 1}) >= 0, "the byte 0x{:02X} has no token", byte);
    }
  }

  const std::vector<int32_t>& ids() const { return ids_; }
  bool has(int32_t id) const { return id < std::ssize(in_file_) && in_file_[id]; }
  std::string_view bytes(int32_t id) const { return vocabulary_.bytes(id); }
  // -1: no token.
  int32_t rank(std::string_view bytes) const {
    const auto id = vocabulary_.find(bytes);
    return id && has(*id) ? *id : -1;
  }

 private:
  const Vocabulary& vocabulary_;
  std::vector<int32_t> ids_;
  std::vector<bool> in_file_;
};

// Ends of the last parts that merging by ranks makes of the bytes of token `id`: two of them just
// before it makes the token, more where it never does.
std::vector<size_t> last_parts(const Ranks& ranks, int32_t id) {
  const std::string_view bytes = ranks.bytes(id);
  std::vector<size_t> ends(bytes.size());
  for (size_t i = 0; i < ends.size(); ++i) ends[i] = i + 1;
  const auto rank_at = [&](size_t i) {  // of parts i and i + 1
    const size_t begin = i == 0 ? 0 : ends[i - 1];
    const int32_t rank = ranks.rank(bytes.substr(begin, ends[i + 1] - begin));
    return rank >= 0 ? rank : INT32_MAX;
  };
  std::vector<int32_t> pairs;
  for (size_t i = 0; i + 1 < ends.size(); ++i) pairs.push_back(rank_at(i));
  while (pairs.size() > 1) {
    const auto lowest = std::ranges::min_element(pairs);
    if (*lowest == INT32_MAX) break;
    const auto i = static_cast<size_t>(lowest - pairs.begin());
    ends.erase(ends.begin() + static_cast<ptrdiff_t>(i));
    pairs.erase(lowest);
    if (i < pairs.size()) pairs[i] = rank_at(i);
    if (i > 0) pairs[i - 1] = rank_at(i - 1);
  }
  return ends;
}

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
}

void check_merges(const ByteBpe& model, const Ranks& ranks) {
  std::unordered_set<uint64_t> listed;
  int32_t before = -1;
  for (const Merge& m : model.merges()) {
    can(m.result >= before,
        "the merge to token {} ('{}') comes behind the merge to token {}, and ranks are ids",
        m.result, shown(ranks.bytes(m.result)), before);
    before = m.result;
    listed.insert(pair_key(m.left, m.right));
  }
  for (const int32_t id : ranks.ids()) {
    const std::string_view bytes = ranks.bytes(id);
    if (bytes.size() == 1) continue;
    const std::vector<size_t> ends = last_parts(ranks, id);
    can(ends.size() == 2 || model.options().ignore_merges,
        "token {} ('{}') is not what its own bytes are merged to", id, shown(bytes));
    if (ends.size() != 2) continue;
    const int32_t left = ranks.rank(bytes.substr(0, ends[0])),
                  right = ranks.rank(bytes.substr(ends[0]));
    can(listed.contains(pair_key(left, right)),
        "by ranks, '{}' and '{}' would merge to token {}, which no merge says", ranks.bytes(left),
        ranks.bytes(right), id);
  }
}

}  // namespace

TiktokenFile to_tiktoken(const Tokenizer& tokenizer) {
  const TokenizerData& data = tokenizer.data();
  can(data.parts.normalizer.is_null(), "it has a normaliser");
  const auto* model = dynamic_cast<const ByteBpe*>(data.model.get());
  can(model != nullptr, "its model is not byte-pair encoding on bytes");
  can(!model->options().unknown, "it has an unknown token");
  TiktokenFile file;
  file.pattern = pattern_of(tokenizer);
  const Ranks ranks(data, *model);
  check_merges(*model, ranks);
  for (const int32_t id : ranks.ids())
    file.ranks += fmt::format("{} {}\n", to_base64(ranks.bytes(id)), id);
  for (const AddedToken& token : data.added)
    if (!ranks.has(token.id)) file.added.push_back(token);
  return file;
}

}  // namespace lathe
