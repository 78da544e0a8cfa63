#include "lathe/text/train/bpe_trainer.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/text/tokenizer_data.h"
#include "lathe/text/train/bpe_merger.h"
#include "lathe/text/train/corpus_counts.h"
#include "lathe/text/train/word_cutter.h"
#include "lathe/text/vocabulary.h"
#include "text/random_text.h"
#include "text/reference_bpe.h"

namespace lathe {
namespace {

Tokenizer train(std::string_view text, const BpeTrainOptions& options) {
  return train_bpe(std::span(&text, 1), options).tokenizer;
}

// The trainer as its definition reads: count all pairs, merge the best everywhere, again.
std::vector<Merge> reference_merges(std::string_view text, const BpeTrainOptions& options,
                                    const Tokenizer& names) {
  std::map<std::string, int64_t> words;
  const uint8_t *p = reinterpret_cast<const uint8_t*>(text.data()), *end = p + text.size();
  while (p < end) {
    const uint8_t* q = pattern_info(options.pattern).next(p, end);
    ++words[std::string(p, q)];
    p = q;
  }
  std::map<std::string, int32_t> ids;
  int32_t next = 256 + static_cast<int32_t>(options.special_tokens.size());
  std::vector<std::pair<std::vector<int32_t>, int64_t>> split;
  std::vector<std::string> bytes(static_cast<size_t>(options.vocab_size) + 1);
  for (int b = 0; b < 256; ++b) {
    const std::string byte(1, static_cast<char>(b));
    ids[byte] = names.id_of(byte).value();
    bytes[ids[byte]] = byte;
  }
  for (const auto& [word, count] : words) {
    split.push_back({{}, count});
    for (char c : word) split.back().first.push_back(ids[std::string(1, c)]);
  }
  std::vector<Merge> merges;
  while (next < options.vocab_size) {
    std::map<std::pair<int32_t, int32_t>, int64_t> counts;
    for (const auto& [tokens, count] : split)
      for (size_t i = 0; i + 1 < tokens.size(); ++i) counts[{tokens[i], tokens[i + 1]}] += count;
    auto best = counts.end();
    for (auto at = counts.begin(); at != counts.end(); ++at)
      if (best == counts.end() || at->second > best->second) best = at;
    if (best == counts.end() || best->second < options.min_count) break;
    const auto [left, right] = best->first;
    const auto [known, added] = ids.try_emplace(bytes[left] + bytes[right], next);
    if (added) bytes[next++] = known->first;
    merges.push_back({left, right, known->second});
    for (auto& [tokens, count] : split)
      for (size_t i = 0; i + 1 < tokens.size(); ++i) {
        if (tokens[i] != left || tokens[i + 1] != right) continue;
        tokens[i] = known->second;
        tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      }
  }
  return merges;
}

void expect_same_merges(const Tokenizer& trained, const std::vector<Merge>& want) {
  const std::vector<Merge>& got = testing::byte_bpe(trained.data()).merges();
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(got[i].left, want[i].left) << "merge " << i;
    ASSERT_EQ(got[i].right, want[i].right) << "merge " << i;
    ASSERT_EQ(got[i].result, want[i].result) << "merge " << i;
  }
}

TEST(BpeTrainer, EqualsItsDefinition) {
  testing::Dice dice(31);
  for (int round = 0; round < 25; ++round) {
    BpeTrainOptions options;
    options.vocab_size = 256 + 1 + static_cast<int64_t>(dice.below(150));
    options.pattern = kPreTokenizers[dice.below(kPreTokenizers.size())].pattern;
    options.min_count = 1 + static_cast<int64_t>(dice.below(3));
    // Few letters and long runs: many overlapping pairs and equal counts.
    std::string text;
    for (int i = 0; i < 150; ++i) text.append(1 + dice.below(9), "aab- \n"[dice.below(6)]);
    text += testing::random_text(dice, 60);
    const Tokenizer trained = train(text, options);
    expect_same_merges(trained, reference_merges(text, options, trained));
  }
}

TEST(BpeTrainer, RunsOfEveryLength) {
  BpeTrainOptions options;
  options.vocab_size = 256 + 40;
  std::string text;
  for (int n = 1; n < 40; ++n) text += std::string(static_cast<size_t>(n), '-') + "\n";
  const Tokenizer trained = train(text, options);
  expect_same_merges(trained, reference_merges(text, options, trained));
}

TEST(BpeMerger, TheFirstThresholdDoesNotMatter) {
  testing::Dice dice(4);
  std::string text;
  for (int i = 0; i < 3000; ++i) text.append(1 + dice.below(3), "abcd "[dice.below(5)]);
  const auto run = [&](int64_t first_threshold) {
    std::vector<WordCounts> words(1);
    for (size_t at = 0; at < text.size(); at += 25) {
      const std::string_view word = std::string_view(text).substr(at, 25);
      words[0].add(word, hash_bytes(word), 1 + static_cast<int64_t>(at % 3));
    }
    std::vector<int32_t> ids(256);
    std::iota(ids.begin(), ids.end(), 0);
    const auto symbols = [&](std::string_view word, std::vector<int32_t>& out) {
      for (char c : word) out.push_back(ids[static_cast<uint8_t>(c)]);
    };
    BpeMerger merger(MergeText(words, symbols), std::vector<int32_t>(256, 1),
                     {.vocab_size = 600, .min_count = 2, .first_threshold = first_threshold});
    std::vector<std::array<int64_t, 3>> merges;
    for (int32_t id = 256; id < 600; ++id) {
      const auto best = merger.best();
      if (!best) break;
      merges.push_back({best->left, best->right, best->count});
      EXPECT_EQ(merger.merge(*best), id);
    }
    return merges;
  };
  const auto want = run(0);
  EXPECT_GT(want.size(), 100u);
  for (int64_t threshold : {1, 10, 100, 100000}) EXPECT_EQ(run(threshold), want) << threshold;
}

TEST(BpeTrainer, CountsEverythingInTheVocabularySize) {
  testing::Dice dice(1);
  BpeTrainOptions options;
  options.vocab_size = 500;
  options.special_tokens = {"<|endoftext|>", "<｜bos｜>"};
  const Tokenizer t = train(testing::random_text(dice, 4000), options);
  EXPECT_EQ(t.vocab_size(), 500);
  EXPECT_EQ(t.merge_count(), 500 - 256 - 2);
  EXPECT_EQ(t.id_of("<|endoftext|>"), 0);
  EXPECT_EQ(t.id_of("<｜bos｜>"), 1);
  EXPECT_EQ(t.id_of("!"), 2);  // the bytes follow in the order of the byte alphabet
  EXPECT_EQ(t.encode("<｜bos｜>").size(), 1u);
  EXPECT_EQ(Tokenizer::from_json(t.to_json(), "again").to_json(), t.to_json());
}

TEST(BpeTrainer, NeverTrainsAcrossSpecialTokens) {
  BpeTrainOptions options;
  options.vocab_size = 300;
  options.special_tokens = {"<s>"};
  std::string text;
  for (int i = 0; i < 50; ++i) text += "ab<s>cd";
  const Tokenizer t = train(text, options);
  EXPECT_TRUE(t.id_of("ab").has_value());
  EXPECT_TRUE(t.id_of("cd").has_value());
  EXPECT_FALSE(t.id_of("<s").has_value());
  EXPECT_FALSE(t.id_of("s>").has_value());
}

TEST(BpeTrainer, TheTextOfASpecialTokenIsNeverLearned) {
  // Overlapping occurrences: what is left of "ababab" beside a match of the special token is cut
  // off.
  BpeTrainOptions options;
  options.vocab_size = 270;
  options.special_tokens = {"aba"};
  std::string text = "xyz";
  for (int i = 0; i < 20; ++i) text += " ababab xab abaaba";
  const Tokenizer t = train(text, options);
  EXPECT_EQ(t.encode("aba"), (std::vector<int32_t>{0}));
  EXPECT_EQ(Tokenizer::from_json(t.to_json(), "again").to_json(), t.to_json());
}

TEST(BpeTrainer, ResultDoesNotDependOnThreads) {
  testing::Dice dice(77);
  std::string text;
  while (text.size() < size_t{3} << 20) {
    const std::string part = testing::random_text(dice, 300);
    for (uint64_t i = 0; i < 1 + dice.below(20); ++i) text += part;
  }
  BpeTrainOptions options;
  options.vocab_size = 700;
  const int before = thread_count();
  std::string first;
  for (int threads : {1, 2, 5}) {
    set_thread_count(threads);
    const std::string json = train(text, options).to_json();
    if (first.empty()) first = json;
    EXPECT_EQ(json, first) << threads << " threads";
  }
  set_thread_count(before);
}

TEST(BpeTrainer, MemoryLimitForgetsTheRarest) {
  std::string text;
  for (int i = 0; i < 40000; ++i) text += fmt::format(" w{:x}q", i * 7919);
  for (int i = 0; i < 5000; ++i) text += " often";
  BpeTrainOptions options;
  options.vocab_size = 280;
  options.memory_bytes = 1 << 20;
  const std::string_view view = text;
  const TrainedTokenizer limited = train_bpe(std::span(&view, 1), options);
  EXPECT_GT(limited.stats.forgotten, 0);
  EXPECT_EQ(limited.tokenizer.encode(" often").size(), 1u);
  options.memory_bytes = int64_t{1} << 30;
  EXPECT_EQ(train_bpe(std::span(&view, 1), options).stats.forgotten, 0);
}

TEST(BpeTrainer, RefusesWhatCannotWork) {
  const auto kind = [](std::string_view text, const BpeTrainOptions& options) {
    try {
      train(text, options);
    } catch (const Error& e) {
      return static_cast<int>(e.kind());
    }
    return -1;
  };
  const int config = static_cast<int>(ErrorKind::kConfig),
            data = static_cast<int>(ErrorKind::kData);
  BpeTrainOptions options;
  EXPECT_EQ(kind("", options), data);
  options.vocab_size = 256;
  EXPECT_EQ(kind("text", options), -1);
  options.vocab_size = 255;
  EXPECT_EQ(kind("text", options), config);
  options.vocab_size = 257;
  options.special_tokens = {"<a>", "<b>"};
  EXPECT_EQ(kind("text", options), config);
  options.vocab_size = 300;
  for (std::vector<std::string> bad :
       {std::vector<std::string>{""}, {"<a>", "<a>"}, {"a"}, {"\xFF"}}) {
    options.special_tokens = bad;
    EXPECT_EQ(kind("text", options), config);
  }
  options.special_tokens = {"<a>"};
  EXPECT_EQ(kind("<a><a>", options), data);  // nothing but special tokens
}

TEST(BpeTrainer, ProgressEndsAtTheSizeOfTheVocabulary) {
  testing::Dice dice(8);
  const std::string text = testing::random_text(dice, 3000);
  const std::string_view view = text;
  BpeTrainOptions options;
  options.vocab_size = 400;
  std::vector<int64_t> told;
  train_bpe(std::span(&view, 1), options,
            [&](std::string_view, int64_t size, int64_t) { told.push_back(size); });
  EXPECT_GE(told.size(), 3u);
  EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
  EXPECT_EQ(told.back(), 400);
}

using Counted = std::map<std::string, int64_t>;

Counted counted(CorpusCounts& counts) {
  Counted out;
  for (const WordCounts& shard : counts.shards())
    shard.for_each([&](const WordCounts::Entry& e) { out[std::string(e.word())] = e.count; });
  return out;
}

// Stretches and rounds end within texts, pieces within characters: none of them changes a word, nor
// what is forgotten.
TEST(CorpusCounts, PiecesStretchesAndRoundsChangeNothing) {
  testing::Dice dice(77);
  const std::vector<std::string> specials = {"<|end of text|>", "a b"};
  for (const PatternInfo& info : kPreTokenizers) {
    for (int round = 0; round < 30; ++round) {
      std::vector<std::string> texts;
      for (uint64_t i = 0; i < 1 + dice.below(5); ++i) {
        texts.push_back(testing::random_text(dice, dice.below(400)));
        texts.back().insert(dice.below(texts.back().size() + 1), specials[dice.below(2)]);
        texts.back() += std::string(dice.below(300), 'x');  // without a place to cut
      }
      const auto run = [&](CountSteps steps, int64_t limit, bool whole) {
        const PatternCutter cutter(info.pattern, specials);
        CorpusCounts counts(cutter, limit, {}, steps);
        for (std::string_view text : texts) {
          while (!text.empty()) {
            const size_t n = whole ? text.size() : 1 + dice.below(text.size());
            counts.add(text.substr(0, n));
            text.remove_prefix(n);
          }
          counts.end_text();
        }
        counts.finish();
        return std::tuple(counted(counts), counts.stats().words, counts.stats().bytes,
                          counts.stats().forgotten);
      };
      const auto want = run({}, 1 << 30, true);
      ASSERT_GT(std::get<1>(want), 0);
      for (const CountSteps steps : {CountSteps{64, 64}, {100, 100}, {1000, 1000}, {64, 1000}}) {
        EXPECT_EQ(run(steps, 1 << 30, true), want) << info.name;
        EXPECT_EQ(run(steps, 1 << 30, false), want) << info.name;
        EXPECT_EQ(run(steps, 20000, false), run(steps, 20000, true)) << info.name;
      }
    }
  }
}

// What is forgotten depends on where rounds end, and not on the stretches that they are counted in.
TEST(CorpusCounts, StretchesDoNotChangeWhatIsForgotten) {
  testing::Dice dice(78);
  std::string text;
  while (text.size() < size_t{5} << 20) {
    for (uint64_t n = 1 + dice.below(5); n > 0; --n) text += static_cast<char>('a' + dice.below(9));
    text += " \n,"[dice.below(3)];
  }
  const auto run = [&](CountSteps steps) {
    const PatternCutter cutter(Pattern::kGpt2, {});
    CorpusCounts counts(cutter, 500000, {}, steps);
    counts.add(text);
    counts.end_text();
    counts.finish();
    return std::pair(counted(counts), counts.stats().forgotten);
  };
  const auto want = run({size_t{2} << 20, size_t{2} << 20});
  ASSERT_GT(want.second, 1000);
  EXPECT_EQ(run({size_t{1} << 20, size_t{2} << 20}), want);
  EXPECT_EQ(run({size_t{700} << 10, size_t{2} << 20}), want);
}

TEST(CorpusCounts, CutsChangeNoWord) {
  testing::Dice dice(55);
  const std::vector<std::string> specials = {"<x y>", "a b", " 中"};
  for (const PatternInfo& info : kPreTokenizers) {
    const PatternCutter cutter(info.pattern, specials);
    for (int round = 0; round < 60; ++round) {
      std::string text = testing::random_text(dice, 80);
      text.insert(dice.below(text.size()), specials[dice.below(specials.size())]);
      text += testing::random_bytes(dice, dice.below(3));
      const auto words = [&](std::string_view part) {
        std::vector<AddedToken> added(specials.size());
        for (size_t i = 0; i < specials.size(); ++i) added[i].id = static_cast<int32_t>(i);
        std::vector<AddedTokenMatcher::Segment> segments;
        AddedTokenMatcher(specials, added).find(part, false, segments);
        std::vector<std::string> out;
        for (const auto& s : segments) {
          const auto* p = reinterpret_cast<const uint8_t*>(part.data()) + s.begin;
          const auto* end = reinterpret_cast<const uint8_t*>(part.data()) + s.end;
          if (s.id >= 0) out.emplace_back(p, end);
          while (s.id < 0 && p < end) {
            const uint8_t* q = info.next(p, end);
            out.emplace_back(p, q);
            p = q;
          }
        }
        return out;
      };
      const std::vector<std::string> whole = words(text);
      for (size_t from = 0; from < text.size(); ++from) {
        const size_t cut = cutter.safe_cut(text, from);
        std::vector<std::string> parts = words(std::string_view(text).substr(0, cut));
        for (std::string& word : words(std::string_view(text).substr(cut))) parts.push_back(word);
        ASSERT_EQ(parts, whole) << info.name << " cut at " << cut << ": '" << text << "'";
      }
    }
  }
}

}  // namespace
}  // namespace lathe
