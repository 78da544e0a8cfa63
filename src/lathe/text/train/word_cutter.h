// How the texts of a corpus become the words that trainers count.
//
// Two kinds of text processing differ in where a long text may be cut into blocks that threads
// count side by side: the patterns of byte-level BPE see the whole text, line feeds included, and
// are cut where no word can lie (PatternCutter); everything else takes a line for a sentence, as
// `sentencepiece` does (SentenceCutter). Immutable, hence thread-safe with one Worker per thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/text/added_tokens.h"
#include "lathe/text/normalize/normalizer.h"
#include "lathe/text/split/patterns.h"
#include "lathe/text/split/pretokenizer.h"
#include "lathe/text/train/word_counts.h"
#include "lathe/text/train/word_parts.h"
#include "lathe/text/vocabulary.h"

namespace lathe {

// The words that one thread has met, in shards by hash.
class WordTally {
 public:
  static constexpr int kShards = 16;
  WordTally() : shards_(kShards) {}
  void add(std::string_view word, int64_t count) {
    static_assert(kShards == 16, "the shard is taken from the top four bits of the hash");
    const uint64_t hash = hash_bytes(word);
    shards_[hash >> 60].add(word, hash, count);
    occurrences_ += static_cast<double>(count);
  }
  WordCounts& shard(int64_t i) { return shards_[static_cast<size_t>(i)]; }
  double occurrences() const { return occurrences_; }  // the sum of all counts

 private:
  std::vector<WordCounts> shards_;
  double occurrences_ = 0;
};

class WordCutter {
 public:
  virtual ~WordCutter() = default;

  class Worker {
   public:
    virtual ~Worker() = default;
    // Adds the words of a text that ends where safe_cut() said, each `count` times.
    virtual void cut(std::string_view text, int64_t count, WordTally& into) = 0;
    // Adds what cut() has put off. To be called before `into` is used.
    virtual void finish(WordTally&) {}
  };
  virtual std::unique_ptr<Worker> worker() const = 0;

  // The first position at or after `from`, and not 0, where the text can be cut without changing
  // any word; the end of the text where there is none.
  virtual size_t safe_cut(std::string_view text, size_t from) const = 0;
  // The bytes behind a position that safe_cut() may look at.
  virtual size_t look_ahead() const = 0;
};

// The pieces of one of the catalogue's patterns, between special tokens.
class PatternCutter : public WordCutter {
 public:
  PatternCutter(Pattern pattern, std::span<const std::string> special_tokens);
  std::unique_ptr<Worker> worker() const override;
  size_t safe_cut(std::string_view text, size_t from) const override;
  size_t look_ahead() const override;

 private:
  PieceScanner next_;
  AddedTokenMatcher specials_;
  size_t longest_special_ = 0;
};

// What is normalised and pre-tokenised as a whole.
enum class SentenceUnit : uint8_t {
  // What stands between spaces and line feeds, which are dropped. For all that treats a word alike
  // wherever it stands, and never joins it with another over a space: Metaspace that prepends its
  // mark to every word, BERT's pre-tokeniser. Fast: a word is processed once, not at every
  // occurrence.
  kBetweenSpaces,
  kLine,          // a line without its line feed
  kLineWithFeed,  // a line and the line feed that ends it
  kText,          // the whole text; one above CorpusCounts::kBlockBytes is cut behind line feeds
};

// Units of text, each normalised, pre-tokenised and cut into parts. Symbols are what never becomes
// a part of a word: special tokens, the user's symbols, and the names of single bytes; they are
// looked for in the normalised text. A line of more than kLongestSentence bytes is cut at the
// border of some character.
class SentenceCutter : public WordCutter {
 public:
  static constexpr size_t kLongestSentence = size_t{1} << 20;

  // The normaliser and the pre-tokeniser must outlive the cutter. Symbols with a space in them make
  // kBetweenSpaces kLine.
  SentenceCutter(const Normalizer& normalizer, const PreTokenizer& pre_tokenizer, PartRules rules,
                 SentenceUnit unit, std::span<const std::string> symbols);
  std::unique_ptr<Worker> worker() const override;
  size_t safe_cut(std::string_view text, size_t from) const override;
  size_t look_ahead() const override { return 4; }

 private:
  class SentenceWorker;
  const Normalizer& normalizer_;
  const PreTokenizer& pre_tokenizer_;
  PartRules rules_;
  SentenceUnit unit_;
  AddedTokenMatcher symbols_;
};

}  // namespace lathe
