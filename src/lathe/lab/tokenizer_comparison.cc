#include "lathe/lab/tokenizer_comparison.h"

#include <algorithm>
#include <optional>

#include "lathe/base/parallel.h"
#include "lathe/base/utf8.h"
#include "lathe/text/tokenizer_data.h"

namespace lathe {
namespace {

// Documents are encoded together once there is this much of them.
constexpr size_t kPendingBytes = size_t{16} << 20;
constexpr size_t kExcerptCharacters = 160, kSentenceBytes = 60;

size_t bytes_of_characters(std::string_view text, size_t characters) {
  const uint8_t *p = as_bytes(text), *end = p + text.size(), *at = p;
  for (size_t i = 0; i < characters && at < end; ++i) at += decode_utf8(at, end).size;
  return static_cast<size_t>(at - p);
}

TextLength length_of(std::string_view text, const std::vector<int32_t>& ids,
                     const Tokenizer& tokenizer) {
  return {static_cast<int64_t>(ids.size()), static_cast<int64_t>(text.size()),
          count_characters(text), std::ranges::count(ids, tokenizer.data().model->unknown_id())};
}

// The first line that is long enough to be a sentence rather than a heading, or all lines.
std::string excerpt_of(std::string_view text) {
  std::string_view rest = text.substr(0, 4096);
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    if (line.size() >= kSentenceBytes)
      return std::string(line.substr(0, bytes_of_characters(line, kExcerptCharacters)));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  }
  return std::string(text.substr(0, bytes_of_characters(text, kExcerptCharacters)));
}

// Whether some text is encoded to a piece that stands for the same bytes in it. What comes before
// matters: SentencePiece puts a space before a text, and WordPiece continues words.
class Reach {
 public:
  explicit Reach(const Tokenizer& tokenizer) : encoder_(tokenizer.encoder()) {
    for (const char* text : {"", "«", "\n", "x", "1"}) {
      Before before{text, {}};
      encoder_.encode(text, {}, before.ids);
      before_.push_back(std::move(before));
    }
  }

  bool operator()(int32_t id, std::string_view piece) {
    for (const Before& before : before_) {
      ids_.clear();
      encoder_.encode(before.text + std::string(piece), {}, ids_);
      if (ids_.size() == before.ids.size() + 1 && ids_.back() == id &&
          std::equal(before.ids.begin(), before.ids.end(), ids_.begin()))
        return true;
    }
    return reached_without_space(id, piece);
  }

 private:
  struct Before {
    std::string text;
    std::vector<int32_t> ids;
  };

  // SentencePiece's own space before a text is the one that the piece begins with.
  bool reached_without_space(int32_t id, std::string_view piece) {
    if (piece.size() < 2 || piece[0] != ' ') return false;
    ids_.clear();
    encoder_.encode(piece.substr(1), {}, ids_);
    return ids_ == std::vector<int32_t>{id};
  }

  Encoder encoder_;
  std::vector<Before> before_;
  std::vector<int32_t> ids_;
};

}  // namespace

TextLength text_length(const Tokenizer& tokenizer, std::string_view text) {
  return length_of(text, tokenizer.encode(text), tokenizer);
}

TextLength& TextLength::operator+=(const TextLength& other) {
  tokens += other.tokens;
  bytes += other.bytes;
  characters += other.characters;
  unknown += other.unknown;
  return *this;
}

TokenizerComparison::TokenizerComparison(std::vector<NamedTokenizer> tokenizers, Check check)
    : tokenizers_(std::move(tokenizers)), check_(std::move(check)) {
  for (const NamedTokenizer& t : tokenizers_)
    used_.emplace_back(static_cast<size_t>(t.tokenizer.vocab_size()), uint8_t{0});
}

DocumentCounts TokenizerComparison::add_text(const std::string& path,
                                             std::span<const std::filesystem::path> files,
                                             const DocumentConfig& config, const ReadHook& hook) {
  const auto receive = [&](Document&& document) {
    const size_t row = row_of(path, document.place.label, document.text);
    pending_bytes_ += document.text.size();
    pending_.push_back({row, std::move(document.text)});
    if (pending_bytes_ >= kPendingBytes) encode_pending();
    return true;
  };
  DocumentCounts counts = for_each_document(files, config, receive, hook);
  encode_pending();
  return counts;
}

size_t TokenizerComparison::row_of(const std::string& path, const std::string& group,
                                   std::string_view text) {
  const auto [it, is_new] = rows_.try_emplace({path, group}, texts_.size());
  if (is_new)
    texts_.push_back({path, group, excerpt_of(text), std::vector<TextLength>(tokenizers_.size())});
  return it->second;
}

void TokenizerComparison::encode_pending() {
  const size_t kinds = tokenizers_.size();
  const auto threads = static_cast<size_t>(thread_count());
  std::vector<std::optional<Encoder>> encoders(threads * kinds);
  std::vector<std::vector<uint8_t>> used(threads * kinds);
  std::vector<TextLength> lengths(pending_.size() * kinds);
  const EncodeOptions options{.progress = [this](size_t) { check_(); }};
  parallel_dynamic(static_cast<int64_t>(lengths.size()), [&](int64_t i, int thread) {
    check_();
    const size_t item = static_cast<size_t>(i), kind = item % kinds;
    const size_t own = static_cast<size_t>(thread) * kinds + kind;
    if (!encoders[own]) {
      encoders[own].emplace(tokenizers_[kind].tokenizer.encoder());
      used[own].resize(used_[kind].size());
    }
    const std::string& text = pending_[item / kinds].text;
    std::vector<int32_t> ids;
    encoders[own]->encode(text, options, ids);
    for (const int32_t id : ids) used[own][static_cast<size_t>(id)] = 1;
    lengths[item] = length_of(text, ids, tokenizers_[kind].tokenizer);
  });
  for (size_t i = 0; i < lengths.size(); ++i)
    texts_[pending_[i / kinds].row].lengths[i % kinds] += lengths[i];
  for (size_t own = 0; own < used.size(); ++own)
    for (size_t id = 0; id < used[own].size(); ++id) used_[own % kinds][id] |= used[own][id];
  pending_.clear();
  pending_bytes_ = 0;
}

TextLength TokenizerComparison::total(size_t tokenizer) const {
  TextLength sum;
  for (const ComparedText& text : texts_) sum += text.lengths[tokenizer];
  return sum;
}

VocabularyFacts TokenizerComparison::vocabulary_facts(size_t tokenizer) const {
  constexpr int32_t kIdsBetweenChecks = 256;
  const Tokenizer& t = tokenizers_[tokenizer].tokenizer;
  Reach reaches(t);
  VocabularyFacts facts;
  for (int32_t id = 0; id < t.vocab_size(); ++id) {
    if (id % kIdsBetweenChecks == 0) check_();
    if (!t.has(id)) continue;
    ++facts.pieces;
    const bool unused = used_[tokenizer][static_cast<size_t>(id)] == 0;
    if (unused) facts.unused.add(id);
    const std::string piece = t.token_bytes(id);
    if (t.is_special(id) || piece.empty()) continue;
    const bool partial = !is_valid_utf8(piece), unreachable = !partial && !reaches(id, piece);
    if (partial) facts.partial.add(id);
    if (unreachable) facts.unreachable.add(id);
    if (unused && (partial || unreachable)) facts.undertrained.add(id);
  }
  return facts;
}

}  // namespace lathe
