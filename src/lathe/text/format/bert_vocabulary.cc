#include "lathe/text/format/bert_vocabulary.h"

#include <algorithm>
#include <array>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/text/format/part_json.h"
#include "lathe/text/model/word_piece.h"
#include "lathe/text/tokenizer_data.h"

namespace lathe {
namespace {

using text_json::Json;

constexpr std::string_view kUnknown = "[UNK]", kFirst = "[CLS]", kLast = "[SEP]";
constexpr std::array kSpecial = {std::string_view("[PAD]"), kUnknown, kFirst, kLast,
                                 std::string_view("[MASK]")};

// Takes a line off the front of `text`, without its end.
std::string_view next_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::vector<VocabularyEntry> read_lines(std::string_view content, std::string_view origin) {
  std::vector<VocabularyEntry> entries;
  while (!content.empty()) {
    const std::string_view line = next_line(content);
    const auto id = static_cast<int32_t>(entries.size());
    require(is_valid_utf8(line), ErrorKind::kFormat, "vocab.txt", "{}:{}: is not valid UTF-8",
            origin, id + 1);
    entries.push_back({id, std::string(line), false});
  }
  return entries;
}

bool has_capitals(const std::vector<VocabularyEntry>& entries) {
  return std::ranges::any_of(entries, [](const VocabularyEntry& e) {
    if (e.bytes.starts_with('[') && e.bytes.ends_with(']')) return false;
    return std::ranges::any_of(e.bytes, [](char c) { return c >= 'A' && c <= 'Z'; });
  });
}

Json processor(const Vocabulary& vocabulary) {
  const auto first = vocabulary.find(kFirst), last = vocabulary.find(kLast);
  if (!first || !last) return {};
  return {{"type", "BertProcessing"}, {"sep", {kLast, *last}}, {"cls", {kFirst, *first}}};
}

// A token of the vocabulary keeps its id.
AddedToken with_own_id(AddedToken token, const Vocabulary& vocabulary) {
  if (const auto id = vocabulary.find(token.content)) {
    token.id = *id;
  } else if (vocabulary.has(token.id)) {
    fail(
        ErrorKind::kFormat, "tokenizer_config.json",
        "token '{}' has id {}, which the vocabulary gives to '{}'; number the added tokens from {}",
        token.content, token.id, vocabulary.bytes(token.id), vocabulary.size());
  }
  return token;
}

}  // namespace

bool is_bert_vocabulary(std::string_view content) {
  while (!content.empty())
    if (next_line(content) == kUnknown) return true;
  return false;
}

Tokenizer bert_tokenizer(std::string_view content, std::string_view origin,
                         std::span<const AddedToken> further) {
  const std::vector<VocabularyEntry> entries = read_lines(content, origin);
  const bool lowercase = !has_capitals(entries);
  Vocabulary vocabulary(entries, origin);
  WordPieceOptions options;
  options.unknown = vocabulary.find(kUnknown);
  std::vector<AddedToken> added;
  for (const std::string_view text : kSpecial) {
    const auto id = vocabulary.find(text);
    if (!id) continue;
    AddedToken& token = added.emplace_back();
    token.id = *id;
    token.content = text;
    token.special = true;
  }
  for (const AddedToken& token : further)
    if (std::ranges::find(added, token.content, &AddedToken::content) == added.end())
      added.push_back(with_own_id(token, vocabulary));
  TokenizerParts parts{.normalizer = bert_normalizer_json(lowercase),
                       .pre_tokenizer = {{"type", "BertPreTokenizer"}},
                       .post_processor = processor(vocabulary),
                       .decoder = {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}};
  auto model = std::make_unique<WordPiece>(std::move(vocabulary), options);
  return Tokenizer(std::make_unique<const TokenizerData>(std::move(model), std::move(added),
                                                         std::move(parts), origin));
}

}  // namespace lathe
