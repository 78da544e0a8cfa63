// A .tiktoken file: every line a token in base64 and its rank, which is its id.
//
// tiktoken merges the adjacent pair whose joined bytes have the lowest rank, leftmost first. As
// merges of pairs: every way to cut a token into two tokens is a merge, and all of them share the
// token's rank (ByteBpeOptions::shared_ranks). tokenizer.json can only list merges one after the other;
// to_json() writes those of one token in the order of their parts, which is also how transformers
// converts such files.
#include "lathe/text/format/tiktoken.h"

#include <algorithm>
#include <charconv>

#include "lathe/text/base64.h"
#include "lathe/text/model/byte_bpe.h"
#include "lathe/text/tokenizer.h"
#include "lathe/text/tokenizer_data.h"

namespace lathe {
namespace {

constexpr std::string_view kWhere = "tiktoken";
constexpr size_t kLongestToken = 1024;

std::optional<VocabularyEntry> entry_of(std::string_view line) {
  const size_t space = line.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const auto bytes = from_base64(line.substr(0, space));
  if (!bytes || bytes->empty()) return std::nullopt;
  int32_t rank = -1;
  const char *first = line.data() + space + 1, *last = line.data() + line.size();
  const auto [end, error] = std::from_chars(first, last, rank);
  if (error != std::errc() || end != last || first == last) return std::nullopt;
  return VocabularyEntry{rank, *bytes, false};
}

VocabularyEntry read_line(std::string_view line, size_t number, std::string_view origin) {
  const auto entry = entry_of(line);
  require(entry.has_value(), ErrorKind::kFormat, kWhere,
          "{}: line {} is not 'base64 rank'; is this a .tiktoken file?", origin, number);
  require(entry->bytes.size() <= kLongestToken, ErrorKind::kFormat, kWhere,
          "{}: line {} holds a token of {} bytes, expected at most {}", origin, number,
          entry->bytes.size(), kLongestToken);
  return *entry;
}

// Takes the first line off `text`.
std::string_view next_line(std::string_view& text) {
  const size_t newline = text.find('\n');
  std::string_view line = text.substr(0, newline);
  text = newline == text.npos ? std::string_view() : text.substr(newline + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::vector<VocabularyEntry> read_lines(std::string_view text, std::string_view origin) {
  std::vector<VocabularyEntry> entries;
  size_t number = 0;
  while (!text.empty()) {
    const std::string_view line = next_line(text);
    ++number;
    if (!line.empty()) entries.push_back(read_line(line, number, origin));
  }
  require(!entries.empty(), ErrorKind::kFormat, kWhere, "{}: no tokens in the file", origin);
  return entries;
}

std::vector<Merge> merges_of(const Vocabulary& vocabulary) {
  std::vector<Merge> merges;
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    if (!vocabulary.has(id)) continue;
    const std::string_view bytes = vocabulary.bytes(id);
    const size_t first = merges.size();
    for (size_t cut = 1; cut < bytes.size(); ++cut) {
      const auto left = vocabulary.find(bytes.substr(0, cut));
      const auto right = left ? vocabulary.find(bytes.substr(cut)) : std::nullopt;
      if (right) merges.push_back({*left, *right, id});
    }
    std::sort(merges.begin() + static_cast<ptrdiff_t>(first), merges.end(),
              [](const Merge& a, const Merge& b) {
                return std::pair(a.left, a.right) < std::pair(b.left, b.right);
              });
  }
  return merges;
}

}  // namespace

bool Tokenizer::has_tiktoken_ranks(std::string_view content) {
  while (!content.empty())
    if (const std::string_view line = next_line(content); !line.empty())
      return entry_of(line).has_value();
  return false;
}

namespace {

Tokenizer assemble(Vocabulary vocabulary, std::vector<AddedToken> added, std::string_view origin,
                   Pattern pattern) {
  for (const AddedToken& token : added)
    if (vocabulary.has(token.id) && vocabulary.bytes(token.id) != token.content)
      fail(ErrorKind::kFormat, kWhere,
           "{}: added token '{}' has id {}, which is another token's rank; number the added tokens "
           "from {}",
           origin, token.content, token.id, vocabulary.size());
  std::vector<Merge> merges = merges_of(vocabulary);
  ByteBpeOptions options;
  options.ignore_merges = true;
  options.shared_ranks = true;
  TokenizerParts parts;
  parts.pre_tokenizer = PreTokenizer::json_for(pattern);
  parts.decoder = {{"type", "ByteLevel"},
                   {"add_prefix_space", false},
                   {"trim_offsets", true},
                   {"use_regex", true}};
  return Tokenizer(std::make_unique<const TokenizerData>(
      std::make_unique<ByteBpe>(std::move(vocabulary), std::move(merges), options),
      std::move(added), std::move(parts), origin));
}

}  // namespace

Tokenizer tiktoken_tokenizer(std::string_view ranks, std::string_view origin, Pattern pattern,
                             std::vector<AddedToken> added) {
  return assemble(Vocabulary(read_lines(ranks, origin), origin), std::move(added), origin, pattern);
}

Tokenizer Tokenizer::from_tiktoken(std::string_view ranks, std::string_view origin, Pattern pattern,
                                   std::span<const std::string> special_tokens) {
  Vocabulary vocabulary(read_lines(ranks, origin), origin);
  std::vector<AddedToken> added;
  for (const std::string& text : special_tokens) {
    AddedToken token;
    token.id = vocabulary.size() + static_cast<int32_t>(added.size());
    token.content = text;
    token.special = true;
    added.push_back(std::move(token));
  }
  return assemble(std::move(vocabulary), std::move(added), origin, pattern);
}

}  // namespace lathe
