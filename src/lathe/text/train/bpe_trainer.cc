#include "lathe/text/train/bpe_trainer.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/text/byte_alphabet.h"
#include "lathe/text/model/byte_bpe.h"
#include "lathe/text/tokenizer_data.h"
#include "lathe/text/train/bpe_merger.h"
#include "lathe/text/train/word_counts.h"

namespace lathe {
namespace {

constexpr std::string_view kWhere = "train";
// Bytes of memory for each byte of distinct pre-tokens: its token, its place in the lists of two
// pairs or so, and its share of the word tables.
constexpr int64_t kBytesPerByte = 16;
constexpr int64_t kProgressEvery = 64;

void check(const BpeTrainOptions& options) {
  const auto specials = static_cast<int64_t>(options.special_tokens.size());
  require(options.vocab_size >= 256 + specials, ErrorKind::kConfig, kWhere,
          "a vocabulary of {} cannot hold 256 bytes and {} special tokens; ask for at least {}",
          options.vocab_size, specials, 256 + specials);
  require(options.vocab_size <= Vocabulary::kMaxId, ErrorKind::kConfig, kWhere,
          "a vocabulary of {} is too large, expected at most {}", options.vocab_size,
          Vocabulary::kMaxId);
  require(options.memory_bytes >= 1 << 20, ErrorKind::kConfig, kWhere,
          "a memory limit of {} bytes is too small, expected at least 1 MiB", options.memory_bytes);
  std::set<std::string_view> seen;
  for (const std::string& token : options.special_tokens) {
    require(!token.empty(), ErrorKind::kConfig, kWhere, "a special token is empty");
    require(seen.insert(token).second, ErrorKind::kConfig, kWhere,
            "special token '{}' is listed twice", token);
    require(is_valid_utf8(token), ErrorKind::kConfig, kWhere, "a special token is not valid UTF-8");
    const auto bytes = from_byte_alphabet(token);
    require(!bytes || bytes->size() != 1, ErrorKind::kConfig, kWhere,
            "special token '{}' is the name of a single byte; choose a longer one", token);
  }
}

// The tokens as they are learned.
class Learner {
 public:
  explicit Learner(const BpeTrainOptions& options) : byte_ids(256) {
    for (const std::string& token : options.special_tokens) {
      const auto bytes = from_byte_alphabet(token);
      add(bytes.value_or(token), !bytes.has_value(), 0);
      AddedToken added;
      added.id = static_cast<int32_t>(entries.size()) - 1;
      added.content = token;
      added.special = true;
      specials.push_back(std::move(added));
    }
    std::vector<int32_t> order(256);
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(),
              [](int32_t a, int32_t b) { return byte_alphabet()[a] < byte_alphabet()[b]; });
    for (int32_t b : order) {
      byte_ids[b] = static_cast<int32_t>(entries.size());
      add(std::string(1, static_cast<char>(b)), false, 1);
    }
  }

  // Learns merges until the vocabulary is full; returns the count of the last merged pair.
  int64_t run(BpeMerger& merger, int64_t vocab_size, const std::function<void()>& progress) {
    int64_t last = 0;
    while (static_cast<int64_t>(entries.size()) < vocab_size) {
      const auto best = merger.best();
      if (!best) break;
      const int32_t result = merger.merge(*best);
      merges.push_back({best->left, best->right, result});
      std::string bytes = entries[best->left].bytes + entries[best->right].bytes;
      add(std::move(bytes), false, lengths[best->left] + lengths[best->right]);
      if (entries.size() % kProgressEvery == 0) progress();
      last = best->count;
    }
    return last;
  }

  std::vector<VocabularyEntry> entries;
  std::vector<int32_t> lengths;
  std::vector<int32_t> byte_ids;
  std::vector<Merge> merges;
  std::vector<AddedToken> specials;

 private:
  void add(std::string bytes, bool literal, int32_t length) {
    const auto id = static_cast<int32_t>(entries.size());
    entries.push_back({id, std::move(bytes), literal});
    lengths.push_back(length);
  }
};

Tokenizer finish(Learner learned, Pattern pattern) {
  constexpr std::string_view kOrigin = "the trained tokenizer";
  TokenizerParts parts;
  parts.pre_tokenizer = PreTokenizer::json_for(pattern);
  parts.decoder = {{"type", "ByteLevel"},
                   {"add_prefix_space", true},
                   {"trim_offsets", true},
                   {"use_regex", true}};
  return Tokenizer(std::make_unique<const TokenizerData>(
      std::make_unique<ByteBpe>(Vocabulary(learned.entries, kOrigin), std::move(learned.merges),
                                ByteBpeOptions{}),
      std::move(learned.specials), std::move(parts), kOrigin));
}

}  // namespace

TrainedTokenizer train_bpe(const std::function<void(TextReceiver&)>& feed,
                           const BpeTrainOptions& options, const BpeTrainProgress& progress) {
  check(options);
  CorpusCounts counts(options.pattern, options.special_tokens,
                      options.memory_bytes / kBytesPerByte);
  feed(counts);
  counts.finish();
  BpeTrainStats stats;
  stats.bytes = counts.bytes();
  stats.words = counts.words();
  stats.forgotten = counts.forgotten();
  stats.distinct = counts.distinct();
  require(stats.words > 0, ErrorKind::kData, kWhere,
          "the corpus has no text; give at least one file that contains text");
  require(stats.distinct > 0, ErrorKind::kData, kWhere,
          "no word fits into the memory limit of {} bytes; raise it", options.memory_bytes);

  Learner learner(options);
  const auto report = [&] {
    if (progress) progress(static_cast<int64_t>(learner.entries.size()));
  };
  BpeMerger merger(MergeText(counts.shards(), learner.byte_ids), learner.lengths,
                   options.vocab_size, options.min_count);
  stats.last_count = learner.run(merger, options.vocab_size, report);
  report();
  return {finish(std::move(learner), options.pattern), stats};
}

TrainedTokenizer train_bpe(std::span<const std::string_view> texts, const BpeTrainOptions& options,
                           const BpeTrainProgress& progress) {
  return train_bpe(
      [&](TextReceiver& sink) {
        for (const std::string_view text : texts) {
          sink.add(text);
          sink.end_text();
        }
      },
      options, progress);
}

}  // namespace lathe
