#include "lathe/text/train/bpe_trainer.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/text/byte_alphabet.h"
#include "lathe/text/model/byte_bpe.h"
#include "lathe/text/tokenizer_data.h"
#include "lathe/text/train/corpus_counts.h"
#include "lathe/text/train/merge_learner.h"
#include "lathe/text/train/word_cutter.h"

namespace lathe {
namespace {

constexpr std::string_view kWhere = "train";

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

// What merging begins with: special tokens, and the bytes in the order of the byte alphabet.
struct Beginning {
  MergedTokens tokens;
  std::vector<bool> literal;  // by id: a special token that the byte alphabet cannot write
  std::vector<AddedToken> specials;
  std::vector<int32_t> byte_ids;
};

Beginning begin_with(const std::vector<std::string>& special_tokens) {
  Beginning b;
  for (const std::string& token : special_tokens) {
    const auto bytes = from_byte_alphabet(token);
    AddedToken added;
    added.id = b.tokens.add(bytes.value_or(token), 0);
    added.content = token;
    added.special = true;
    b.literal.push_back(!bytes.has_value());
    b.specials.push_back(std::move(added));
  }
  std::vector<int32_t> order(256);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [](int32_t x, int32_t y) { return byte_alphabet()[x] < byte_alphabet()[y]; });
  b.byte_ids.resize(256);
  for (int32_t byte : order)
    b.byte_ids[byte] = b.tokens.add(std::string(1, static_cast<char>(byte)), 1);
  return b;
}

Tokenizer finish(Beginning learned, Pattern pattern) {
  constexpr std::string_view kOrigin = "the trained tokenizer";
  TokenizerParts parts;
  parts.pre_tokenizer = PreTokenizer::json_for(pattern);
  parts.decoder = {{"type", "ByteLevel"},
                   {"add_prefix_space", true},
                   {"trim_offsets", true},
                   {"use_regex", true}};
  std::vector<VocabularyEntry> entries;
  learned.literal.resize(learned.tokens.texts.size(), false);
  for (std::string& text : learned.tokens.texts) {
    const size_t id = entries.size();
    entries.push_back({static_cast<int32_t>(id), std::move(text), learned.literal[id]});
  }
  return Tokenizer(std::make_unique<const TokenizerData>(
      std::make_unique<ByteBpe>(Vocabulary(entries, kOrigin), std::move(learned.tokens.merges),
                                ByteBpeOptions{}),
      std::move(learned.specials), std::move(parts), kOrigin));
}

}  // namespace

TrainedTokenizer train_bpe(const CorpusFeed& feed, const BpeTrainOptions& options,
                           const TrainProgress& progress) {
  check(options);
  const PatternCutter cutter(options.pattern, options.special_tokens);
  CorpusCounts counts(cutter, options.memory_bytes, options.weights,
                      CountSteps::for_memory(options.memory_bytes));
  feed(counts);
  counts.finish();
  Beginning learned = begin_with(options.special_tokens);
  MergeText text(counts.shards(), [&](std::string_view word, std::vector<int32_t>& out) {
    for (char c : word) out.push_back(learned.byte_ids[static_cast<uint8_t>(c)]);
  });
  TrainStats stats = counts.stats();
  const MergeLimits limits = {.vocab_size = options.vocab_size,
                              .min_count = options.min_count * counts.unit()};
  learn_merges(std::move(text), limits, "", progress, learned.tokens);
  stats.last_count = learned.tokens.last_count() / counts.unit();
  return {finish(std::move(learned), options.pattern), stats};
}

TrainedTokenizer train_bpe(std::span<const std::string_view> texts, const BpeTrainOptions& options,
                           const TrainProgress& progress) {
  return train_bpe(
      [&](CorpusReceiver& sink) {
        for (const std::string_view text : texts) {
          sink.add(text);
          sink.end_text();
        }
      },
      options, progress);
}

}  // namespace lathe
