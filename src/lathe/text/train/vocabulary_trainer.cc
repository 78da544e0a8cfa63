#include "lathe/text/train/vocabulary_trainer.h"

#include <algorithm>
#include <set>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/text/byte_tokens.h"
#include "lathe/text/train/alphabet.h"
#include "lathe/text/train/corpus_counts.h"
#include "lathe/text/train/merge_learner.h"
#include "lathe/text/train/unigram_pieces.h"
#include "lathe/text/train/word_cutter.h"
#include "lathe/text/vocabulary.h"

namespace lathe {

namespace {

constexpr std::string_view kWhere = "train";
using Type = TrainedPiece::Type;

// The pieces that are not learned, which come first.
std::vector<TrainedPiece> reserved_pieces(const VocabularyOptions& options) {
  std::vector<TrainedPiece> pieces;
  const auto& specials = options.special_tokens;
  const std::string& unknown = options.unknown;
  if (!unknown.empty() && std::find(specials.begin(), specials.end(), unknown) == specials.end())
    pieces.push_back({unknown, 0, Type::kUnknown});
  for (const std::string& token : specials)
    pieces.push_back({token, 0, token == unknown ? Type::kUnknown : Type::kControl});
  for (const std::string& symbol : options.user_symbols) pieces.push_back({symbol, 0, Type::kUser});
  for (int b = 0; b < 256 && options.byte_fallback; ++b)
    pieces.push_back({byte_token(static_cast<uint8_t>(b)), 0, Type::kByte});
  return pieces;
}

void check(const VocabularyOptions& options, const std::vector<TrainedPiece>& reserved) {
  const auto count = static_cast<int64_t>(reserved.size());
  require(
      options.vocab_size > count, ErrorKind::kConfig, kWhere,
      "a vocabulary of {} has no room beside {} special tokens, symbols and bytes; ask for more",
      options.vocab_size, count);
  require(options.vocab_size <= Vocabulary::kMaxId, ErrorKind::kConfig, kWhere,
          "a vocabulary of {} is too large, expected at most {}", options.vocab_size,
          Vocabulary::kMaxId);
  require(options.memory_bytes >= 1 << 20, ErrorKind::kConfig, kWhere,
          "a memory limit of {} bytes is too small, expected at least 1 MiB", options.memory_bytes);
  require(options.character_coverage > 0 && options.character_coverage <= 1, ErrorKind::kConfig,
          kWhere, "a character coverage of {} is not above 0 and at most 1",
          options.character_coverage);
  require(options.longest_piece >= 1 && options.longest_piece <= 512, ErrorKind::kConfig, kWhere,
          "a longest piece of {} characters, expected 1 to 512", options.longest_piece);
  std::set<std::string_view> seen;
  for (const TrainedPiece& piece : reserved) {
    require(!piece.text.empty(), ErrorKind::kConfig, kWhere, "a special token is empty");
    require(is_valid_utf8(piece.text), ErrorKind::kConfig, kWhere,
            "a special token is not valid UTF-8");
    require(seen.insert(piece.text).second, ErrorKind::kConfig, kWhere,
            "the token '{}' is listed twice", piece.text);
  }
}

// One training after the words have been counted.
class VocabularyTrainer {
 public:
  VocabularyTrainer(CorpusCounts& counts, const VocabularyOptions& options,
                    std::vector<TrainedPiece> reserved, const TrainProgress& progress)
      : counts_(counts),
        options_(options),
        progress_(progress),
        alphabet_(counts.shards(), options.character_coverage),
        room_(options.vocab_size - static_cast<int64_t>(reserved.size())) {
    result_.kind = options.kind;
    result_.pieces = std::move(reserved);
    result_.stats = counts.stats();
    result_.stats.characters = alphabet_.distinct();
    result_.stats.uncovered =
        alphabet_.distinct() - static_cast<int64_t>(alphabet_.characters().size());
    require(!alphabet_.characters().empty(), ErrorKind::kData, kWhere,
            "the corpus has no character that could become a piece; give text in UTF-8");
  }

  TrainedVocabulary run() {
    switch (options_.kind) {
      case VocabularyKind::kBpe:
        learn_bpe();
        break;
      case VocabularyKind::kUnigram:
        learn_unigram_pieces();
        break;
      case VocabularyKind::kWordPiece:
        learn_wordpiece();
        break;
      case VocabularyKind::kCharacter:
      case VocabularyKind::kByte:
        take_characters();
        break;
    }
    return std::move(result_);
  }

 private:
  static std::string text_of(const Alphabet::Character& c) {
    std::string text;
    append_utf8(text, c.value);
    return text;
  }

  void require_room_for(int64_t symbols) const {
    require(symbols <= room_, ErrorKind::kData, kWhere,
            "the text has {} symbols of one character, for which a vocabulary of {} has no room; "
            "ask for at least {}, or for a lower character coverage",
            symbols, options_.vocab_size, options_.vocab_size - room_ + symbols);
  }

  MergeLimits limits(int64_t tokens) const {
    return {.vocab_size = tokens, .min_count = options_.min_count * counts_.unit()};
  }

  // Learns with ids of its own: characters, then merged pieces; in the result it is the other way
  // round.
  void learn_bpe() {
    const auto characters = static_cast<int32_t>(alphabet_.characters().size());
    require_room_for(characters);
    MergedTokens tokens;
    for (const Alphabet::Character& c : alphabet_.characters()) tokens.add(text_of(c), 1);
    MergeText text(counts_.shards(), [this](std::string_view word, std::vector<int32_t>& out) {
      for_each_symbol(word, [&](int32_t character, bool) {
        out.push_back(character < 0 ? MergeText::kEnd : character);
      });
    });
    MergeLimits merging = limits(room_);
    merging.longest = options_.longest_piece;
    learn_merges(std::move(text), merging, "", progress_, tokens);
    const auto first = static_cast<int32_t>(result_.pieces.size());
    const auto merged = static_cast<int32_t>(tokens.merges.size());
    const auto id = [=](int32_t t) {
      return first + (t < characters ? merged + t : t - characters);
    };
    for (int32_t i = 0; i < merged; ++i)
      result_.pieces.push_back({std::move(tokens.texts[characters + i]), static_cast<double>(-i)});
    for (int32_t i = 0; i < characters; ++i)
      result_.pieces.push_back({std::move(tokens.texts[i]), static_cast<double>(-merged - i)});
    for (const Merge& m : tokens.merges)
      result_.merges.push_back({id(m.left), id(m.right), id(m.result)});
    result_.stats.last_count = tokens.last_count() / counts_.unit();
  }

  // f(character's index or -1, whether it begins the word)
  template <class F>
  void for_each_symbol(std::string_view word, F&& f) const {
    const uint8_t *begin = as_bytes(word), *end = begin + word.size();
    for (const uint8_t* p = begin; p < end;) {
      const CodePoint c = decode_utf8(p, end);
      f(c.value == kInvalidByte ? -1 : alphabet_.index_of(c.value), p == begin);
      p += c.size;
    }
  }

  void learn_unigram_pieces() {
    require_room_for(static_cast<int64_t>(alphabet_.characters().size()));
    const WordList words(counts_.shards(), alphabet_);
    const UnigramLimits unigram = {.pieces = room_,
                                   .vocab_size = options_.vocab_size,
                                   .longest = options_.longest_piece,
                                   .unit = counts_.unit(),
                                   .once = counts_.once(),
                                   .memory_bytes = options_.memory_bytes};
    for (ScoredPiece& p : learn_unigram(words, alphabet_, unigram, progress_))
      result_.pieces.push_back({std::move(p.text), p.score});
  }

  // Both symbols of every character: where it begins a word, and where it continues one.
  void learn_wordpiece() {
    const size_t characters = alphabet_.characters().size();
    std::vector<int32_t> begins(characters, -1), continues(characters, -1), order(characters);
    for (size_t i = 0; i < characters; ++i) order[i] = static_cast<int32_t>(i);
    std::sort(order.begin(), order.end(), [this](int32_t a, int32_t b) {
      return alphabet_.characters()[a].value < alphabet_.characters()[b].value;
    });
    std::vector<bool> within(characters, false);
    for (const WordCounts& shard : counts_.shards())
      shard.for_each([&](const WordCounts::Entry& e) {
        for_each_symbol(e.word(), [&](int32_t character, bool first) {
          if (character >= 0 && !first) within[character] = true;
        });
      });
    MergedTokens tokens;
    for (const int32_t i : order) begins[i] = tokens.add(text_of(alphabet_.characters()[i]), 1);
    for (const int32_t i : order)
      if (within[i])
        continues[i] =
            tokens.add(std::string(kContinuingPrefix) + text_of(alphabet_.characters()[i]), 1);
    require_room_for(static_cast<int64_t>(tokens.texts.size()));
    MergeText text(counts_.shards(), [&](std::string_view word, std::vector<int32_t>& out) {
      for_each_symbol(word, [&](int32_t character, bool first) {
        out.push_back(character < 0 ? MergeText::kEnd
                                    : (first ? begins[character] : continues[character]));
      });
    });
    MergeLimits merging = limits(room_);
    merging.score = options_.wordpiece_score;
    learn_merges(std::move(text), merging, kContinuingPrefix, progress_, tokens);
    const auto first = static_cast<int32_t>(result_.pieces.size());
    for (std::string& token : tokens.texts) result_.pieces.push_back({std::move(token)});
    for (const Merge& m : tokens.merges)
      result_.merges.push_back({first + m.left, first + m.right, first + m.result});
    result_.stats.last_count = tokens.last_count() / counts_.unit();
  }

  void take_characters() {
    const auto& characters = alphabet_.characters();
    const auto kept = std::min<size_t>(characters.size(), static_cast<size_t>(room_));
    for (size_t i = 0; i < kept; ++i) result_.pieces.push_back({text_of(characters[i])});
    result_.stats.uncovered = alphabet_.distinct() - static_cast<int64_t>(kept);
  }

  CorpusCounts& counts_;
  const VocabularyOptions& options_;
  const TrainProgress& progress_;
  Alphabet alphabet_;
  int64_t room_;  // for what is learned
  TrainedVocabulary result_;
};

TrainedVocabulary all_bytes() {
  TrainedVocabulary vocabulary;
  vocabulary.kind = VocabularyKind::kByte;
  for (int b = 0; b < 256; ++b)
    vocabulary.pieces.push_back({std::string(1, static_cast<char>(b)), 0, Type::kByte});
  return vocabulary;
}

PartRules parts_for(const VocabularyOptions& options) {
  PartRules parts = options.parts;
  if (options.kind == VocabularyKind::kWordPiece) parts.split_scripts = false;
  parts.each_character = options.kind == VocabularyKind::kCharacter;
  return parts;
}

}  // namespace

TrainedVocabulary train_vocabulary(const CorpusFeed& feed, const Normalizer& normalizer,
                                   const PreTokenizer& pre_tokenizer,
                                   const VocabularyOptions& options,
                                   const TrainProgress& progress) {
  if (options.kind == VocabularyKind::kByte) return all_bytes();
  std::vector<TrainedPiece> reserved = reserved_pieces(options);
  check(options, reserved);
  std::vector<std::string> symbols;
  for (const TrainedPiece& piece : reserved) symbols.push_back(piece.text);
  const SentenceCutter cutter(normalizer, pre_tokenizer, parts_for(options), options.unit, symbols);
  CorpusCounts counts(cutter, options.memory_bytes, options.weights,
                      CountSteps::for_memory(options.memory_bytes));
  feed(counts);
  counts.finish();
  const auto unknown = std::find_if(reserved.begin(), reserved.end(),
                                    [](const TrainedPiece& p) { return p.type == Type::kUnknown; });
  const auto unknown_id =
      unknown == reserved.end() ? -1 : static_cast<int32_t>(unknown - reserved.begin());
  TrainedVocabulary trained =
      VocabularyTrainer(counts, options, std::move(reserved), progress).run();
  trained.unknown_id = unknown_id;
  return trained;
}

}  // namespace lathe
