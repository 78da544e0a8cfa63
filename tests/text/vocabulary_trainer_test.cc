#include "lathe/text/train/vocabulary_trainer.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <set>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/text/train/corpus_counts.h"
#include "lathe/text/train/seed_pieces.h"
#include "text/random_text.h"

namespace lathe {
namespace {

using Json = text_json::Json;
constexpr VocabularyKind kKinds[] = {VocabularyKind::kBpe, VocabularyKind::kUnigram,
                                     VocabularyKind::kWordPiece, VocabularyKind::kCharacter};

// Words begin with "▁", as Metaspace cuts them.
PreTokenizer words_of_spaces() {
  return PreTokenizer::from_json(Json{{"type", "Split"},
                                      {"pattern", {{"String", "▁"}}},
                                      {"behavior", "MergedWithNext"},
                                      {"invert", false}},
                                 "test");
}

Normalizer spaces_as_marks() {
  const Json prepend = {{"type", "Prepend"}, {"prepend", "▁"}};
  const Json replace = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}};
  return Normalizer::from_json(
      Json{{"type", "Sequence"}, {"normalizers", Json::array({prepend, replace})}}, "test");
}

struct Weighted {
  std::string_view text;
  double weight = 1;
};

TrainedVocabulary train(const std::vector<Weighted>& texts, VocabularyOptions options,
                        const TrainProgress& progress = {}) {
  for (const Weighted& w : texts)
    if (w.weight != 1) options.weights.push_back(w.weight);
  const auto feed = [&](CorpusReceiver& receiver) {
    for (const Weighted& w : texts) {
      receiver.set_weight(w.weight);
      receiver.add(w.text);
      receiver.end_text();
    }
  };
  return train_vocabulary(feed, spaces_as_marks(), words_of_spaces(), options, progress);
}

VocabularyOptions options_for(VocabularyKind kind, int64_t vocab_size) {
  VocabularyOptions options;
  options.kind = kind;
  options.vocab_size = vocab_size;
  options.character_coverage = 1;
  return options;
}

std::vector<std::string> texts_of(const TrainedVocabulary& v) {
  std::vector<std::string> texts;
  for (const TrainedPiece& p : v.pieces) texts.push_back(p.text);
  return texts;
}

std::map<std::string, double> scores_of(const TrainedVocabulary& v) {
  std::map<std::string, double> scores;
  for (const TrainedPiece& p : v.pieces) EXPECT_TRUE(scores.emplace(p.text, p.score).second);
  return scores;
}

std::string some_text(uint64_t seed, size_t words) {
  testing::Dice dice(seed);
  std::vector<std::string> lexicon;
  for (int i = 0; i < 400; ++i) {
    std::string word;
    for (uint64_t n = 0; n < 1 + dice.below(4); ++n) {
      word += "bcdfgklmnprst"[dice.below(13)];
      word += "aeiou"[dice.below(5)];
    }
    lexicon.push_back(word);
  }
  std::string text;
  for (size_t i = 0; i < words; ++i) {
    text += lexicon[dice.below(1 + dice.below(lexicon.size()))];
    text += dice.below(12) == 0 ? "\n" : " ";
  }
  text.back() = '\n';
  return text;
}

TEST(TrainVocabulary, BpeByHand) {
  // Words ▁ab ×4, ▁abc ×2, ▁bc ×1. Pairs: ▁a 6, ab 6, bc 3, ▁b 1. By id (characters by count: ▁ 7,
  // b 7, a 6, c 3; ▁ is the higher code point, so b comes first) the pair ab of (a, b) = (2, 0)
  // comes behind ▁a = (1, 2).
  const TrainedVocabulary v =
      train({{"ab ab ab ab abc abc bc"}}, options_for(VocabularyKind::kBpe, 8));
  EXPECT_EQ(texts_of(v),
            (std::vector<std::string>{"<unk>", "▁a", "▁ab", "▁abc", "b", "▁", "a", "c"}));
  ASSERT_EQ(v.merges.size(), 3u);
  EXPECT_EQ(v.merges[0].left, 5);
  EXPECT_EQ(v.merges[0].right, 6);
  EXPECT_EQ(v.merges[0].result, 1);
  EXPECT_EQ(v.merges[2].left, 2);
  EXPECT_EQ(v.merges[2].right, 7);
  EXPECT_EQ(v.merges[2].result, 3);
  EXPECT_EQ(v.pieces[3].score, -2);
  EXPECT_EQ(v.pieces[7].score, -6);
  EXPECT_EQ(v.stats.last_count, 2);
  EXPECT_EQ(v.unknown_id, 0);
}

TEST(TrainVocabulary, WordPieceByHand) {
  VocabularyOptions options = options_for(VocabularyKind::kWordPiece, 100);
  options.special_tokens = {"[PAD]", "[UNK]"};
  options.unknown = "[UNK]";
  options.min_count = 2;
  const TrainedVocabulary v = train({{"ab ab ab"}}, options);
  EXPECT_EQ(texts_of(v),
            (std::vector<std::string>{"[PAD]", "[UNK]", "a", "b", "▁", "##a", "##b", "▁a", "▁ab"}));
  EXPECT_EQ(v.unknown_id, 1);
  EXPECT_EQ(v.pieces[0].type, TrainedPiece::Type::kControl);
  EXPECT_EQ(v.pieces[1].type, TrainedPiece::Type::kUnknown);
}

// Score 3/(3·3) of the rare pair is higher than 10/(20·20) of the frequent one.
TEST(TrainVocabulary, LikelihoodPrefersPairsOfRareTokens) {
  std::string text;
  for (int i = 0; i < 10; ++i) text += "ab aq ub ";
  for (int i = 0; i < 3; ++i) text += "xy ";
  VocabularyOptions options = options_for(VocabularyKind::kWordPiece, 1000);
  const auto first_merge = [&](MergeScore score) {
    options.wordpiece_score = score;
    const TrainedVocabulary v = train({{text}}, options);
    return v.pieces[v.merges.at(0).result].text;
  };
  EXPECT_EQ(first_merge(MergeScore::kFrequency), "▁a");
  EXPECT_EQ(first_merge(MergeScore::kLikelihood), "##xy");
}

// By likelihood as its definition reads: all pairs counted anew for every merge.
TEST(TrainVocabulary, LikelihoodEqualsItsDefinition) {
  const std::string text = some_text(4, 600);
  VocabularyOptions options = options_for(VocabularyKind::kWordPiece, 200);
  options.wordpiece_score = MergeScore::kLikelihood;
  options.min_count = 3;
  const TrainedVocabulary v = train({{text}}, options);
  ASSERT_GT(v.merges.size(), 100u);
  std::map<std::string, int32_t> ids;
  for (size_t i = 0; i < v.pieces.size(); ++i) ids[v.pieces[i].text] = static_cast<int32_t>(i);
  std::map<std::string, int64_t> counts;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find_first_of(" \n", at), text.size());
    if (end > at) ++counts[text.substr(at, end - at)];
    at = end + 1;
  }
  std::vector<std::pair<std::vector<int32_t>, int64_t>> words;
  for (const auto& [word, count] : counts) {
    words.push_back({{ids.at("▁")}, count});
    for (char c : word) words.back().first.push_back(ids.at(std::string("##") + c));
  }
  for (const Merge& merge : v.merges) {
    std::map<std::pair<int32_t, int32_t>, int64_t> pairs;
    std::map<int32_t, int64_t> tokens;
    for (const auto& [word, count] : words)
      for (size_t i = 0; i < word.size(); ++i) {
        tokens[word[i]] += count;
        if (i + 1 < word.size()) pairs[{word[i], word[i + 1]}] += count;
      }
    std::pair<int32_t, int32_t> best;
    double best_score = -1;
    int64_t best_count = 0;
    for (const auto& [pair, count] : pairs) {
      const double score = static_cast<double>(count) / static_cast<double>(tokens[pair.first]) /
                           static_cast<double>(tokens[pair.second]);
      if (count < options.min_count || score < best_score ||
          (score == best_score && count <= best_count))
        continue;
      best = pair;
      best_score = score;
      best_count = count;
    }
    ASSERT_EQ(best, std::make_pair(merge.left, merge.right));
    for (auto& [word, count] : words)
      for (size_t i = 0; i + 1 < word.size(); ++i)
        if (word[i] == merge.left && word[i + 1] == merge.right) {
          word[i] = merge.result;
          word.erase(word.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        }
  }
}

TEST(TrainVocabulary, UnigramLearnsWholeWords) {
  std::string text;
  for (int i = 0; i < 50; ++i) text += "lathe lathes turn turning wood\n";
  const TrainedVocabulary v = train({{text}}, options_for(VocabularyKind::kUnigram, 24));
  const auto scores = scores_of(v);
  for (const char* piece : {"▁lathe", "▁turn", "▁wood", "l", "▁", "g"})
    EXPECT_EQ(scores.count(piece), 1u) << piece;
  EXPECT_GT(scores.at("▁lathe"), scores.at("l"));
  for (size_t i = 2; i < v.pieces.size(); ++i) EXPECT_GE(v.pieces[i - 1].score, v.pieces[i].score);
}

TEST(TrainVocabulary, BytesAndCharacters) {
  const TrainedVocabulary bytes = train({}, options_for(VocabularyKind::kByte, 256));
  ASSERT_EQ(bytes.pieces.size(), 256u);
  for (int b = 0; b < 256; ++b)
    EXPECT_EQ(bytes.pieces[b].text, std::string(1, static_cast<char>(b)));
  VocabularyOptions options = options_for(VocabularyKind::kCharacter, 4);
  const TrainedVocabulary characters = train({{"ééé aa b"}}, options);
  EXPECT_EQ(texts_of(characters), (std::vector<std::string>{"<unk>", "é", "▁", "a"}));
  EXPECT_EQ(characters.stats.characters, 4);
  EXPECT_EQ(characters.stats.uncovered, 1);
}

TEST(TrainVocabulary, LineFeedsAreCharactersWhereTheyAreKept) {
  VocabularyOptions options = options_for(VocabularyKind::kCharacter, 100);
  options.unit = SentenceUnit::kLineWithFeed;
  EXPECT_EQ(scores_of(train({{"a\nb\n"}}, options)).count("\n"), 1u);
  options.unit = SentenceUnit::kLine;
  EXPECT_EQ(scores_of(train({{"a\nb\n"}}, options)).count("\n"), 0u);
}

// What stands between spaces is processed once; the words are those of whole lines.
TEST(SentenceCutter, WordsBetweenSpacesAreThoseOfLines) {
  testing::Dice dice(12);
  const Normalizer normalizer = spaces_as_marks();
  const PreTokenizer pre_tokenizer = words_of_spaces();
  const std::vector<std::string> symbols = {"<s>"};
  for (int round = 0; round < 50; ++round) {
    std::string text;
    for (int i = 0; i < 40; ++i) {
      text += testing::random_text(dice, 1 + dice.below(6));
      text += std::array{" ", "\n", "<s>", "x"}[dice.below(4)];
    }
    const auto words = [&](SentenceUnit unit) {
      const SentenceCutter cutter(normalizer, pre_tokenizer, PartRules(), unit, symbols);
      const auto worker = cutter.worker();
      WordTally tally;
      worker->cut(text, 3, tally);
      worker->finish(tally);
      std::map<std::string, int64_t> counts;
      for (int shard = 0; shard < WordTally::kShards; ++shard)
        tally.shard(shard).for_each(
            [&](const WordCounts::Entry& e) { counts[std::string(e.word())] += e.count; });
      counts.erase("▁");  // of empty words between two spaces, which do not count
      return counts;
    };
    EXPECT_EQ(words(SentenceUnit::kBetweenSpaces), words(SentenceUnit::kLine));
  }
}

TEST(TrainVocabulary, ReservedPiecesComeFirstAndAreNeverLearned) {
  VocabularyOptions options = options_for(VocabularyKind::kBpe, 310);
  options.special_tokens = {"<unk>", "<s>", "</s>"};
  options.user_symbols = {"<user>"};
  options.byte_fallback = true;
  for (const VocabularyKind kind : {VocabularyKind::kBpe, VocabularyKind::kUnigram}) {
    options.kind = kind;
    std::string text;
    for (int i = 0; i < 30; ++i) text += "ab<user>cd <0x41>ef <s> gh\n";
    const TrainedVocabulary v = train({{text}}, options);
    EXPECT_EQ(v.pieces[3].text, "<user>");
    EXPECT_EQ(v.pieces[3].type, TrainedPiece::Type::kUser);
    EXPECT_EQ(v.pieces[4].text, "<0x00>");
    EXPECT_EQ(v.pieces[259].text, "<0xFF>");
    EXPECT_EQ(v.pieces[259].type, TrainedPiece::Type::kByte);
    for (const TrainedPiece& p : v.pieces) {
      const bool learned = p.type == TrainedPiece::Type::kNormal;
      EXPECT_TRUE(!learned || p.text.find_first_of("<>") == std::string::npos) << p.text;
    }
    EXPECT_EQ(scores_of(v).count("bc"), 0u);
  }
}

TEST(TrainVocabulary, PiecesKeepTheirBorders) {
  std::string text;
  for (int i = 0; i < 20; ++i) text += "abc中文1234567カナab\n";
  for (const VocabularyKind kind : {VocabularyKind::kBpe, VocabularyKind::kUnigram}) {
    VocabularyOptions options = options_for(kind, 60);
    const auto has = [&](const char* piece) {
      return scores_of(train({{text}}, options)).count(piece) > 0;
    };
    EXPECT_TRUE(has("▁abc"));
    EXPECT_TRUE(has("1234567"));
    EXPECT_FALSE(has("c中"));
    EXPECT_FALSE(has("7カ"));
    options.parts.digits = DigitGroups::kSingle;
    EXPECT_FALSE(has("12"));
    options.parts.digits = DigitGroups::kThrees;
    EXPECT_TRUE(has("123"));
    EXPECT_FALSE(has("34"));
    options.parts.digits = DigitGroups::kThreesRight;
    EXPECT_TRUE(has("567"));
    EXPECT_TRUE(has("234"));
    EXPECT_FALSE(has("12"));
    options.parts = {};
    options.longest_piece = 2;
    EXPECT_FALSE(has("123"));
    EXPECT_TRUE(kind != VocabularyKind::kBpe || has("12") || has("23"));
  }
}

TEST(TrainVocabulary, CoverageLeavesOutRareCharacters) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "abc ";
  text += "xaxbx q";
  for (const VocabularyKind kind : kKinds) {
    VocabularyOptions options = options_for(kind, 60);
    options.character_coverage = 0.999;
    const TrainedVocabulary v = train({{text}}, options);
    EXPECT_EQ(v.stats.uncovered, 2) << static_cast<int>(kind);
    for (const TrainedPiece& p : v.pieces) {
      const bool learned = p.type == TrainedPiece::Type::kNormal;
      EXPECT_TRUE(!learned || p.text.find_first_of("xq") == std::string::npos) << p.text;
    }
  }
}

TEST(TrainVocabulary, TheResultDoesNotDependOnThreads) {
  const std::string text = some_text(9, 300000);
  const int before = thread_count();
  for (const VocabularyKind kind : kKinds) {
    TrainedVocabulary first;
    for (const int threads : {1, 2, 3}) {
      set_thread_count(threads);
      TrainedVocabulary v = train({{text}, {some_text(10, 1000), 0.3}}, options_for(kind, 300));
      if (threads == 1) {
        first = std::move(v);
        continue;
      }
      EXPECT_EQ(texts_of(v), texts_of(first));
      EXPECT_EQ(scores_of(v), scores_of(first));
    }
  }
  set_thread_count(before);
}

// A word counted 5·10^9 times beats one that counts 2^32 times, also where 32 bits would wrap.
TEST(TrainVocabulary, CountsBeyondThirtyTwoBits) {
  const std::vector<Weighted> texts = {{"xy", 5e9}, {"ab", 4294967296.0}, {"cd", 1}};
  const TrainedVocabulary bpe = train(texts, options_for(VocabularyKind::kBpe, 10));
  EXPECT_EQ(bpe.stats.last_count, 5000000000);
  EXPECT_EQ(scores_of(bpe).count("▁xy"), 1u);
  const auto unigram = scores_of(train(texts, options_for(VocabularyKind::kUnigram, 12)));
  EXPECT_GT(unigram.at("▁xy"), unigram.at("▁ab"));
  EXPECT_GT(unigram.at("▁ab"), -1.5);
}

TEST(TrainVocabulary, FractionsOfWeightsAreExact) {
  // 10 × 0.3 = 3 > 2: exact in decimal steps.
  const std::vector<Weighted> texts = {
      {"xy xy xy xy xy xy xy xy xy xy", 0.3}, {"ab ab", 1}, {"uv uv uv", 1}};
  const TrainedVocabulary v = train(texts, options_for(VocabularyKind::kBpe, 12));
  EXPECT_EQ(v.stats.last_count, 3);
  EXPECT_EQ(scores_of(v).count("▁xy") + scores_of(v).count("▁uv"), 2u);
  EXPECT_EQ(v.stats.words, 8);
  EXPECT_THROW(train({{"a", 0}}, options_for(VocabularyKind::kBpe, 13)), Error);
  EXPECT_THROW(train({{"a", -1}}, options_for(VocabularyKind::kBpe, 13)), Error);
}

TEST(TrainVocabulary, MemoryLimitForgetsTheRarestAndSaysSo) {
  std::string text;
  for (int i = 0; i < 40000; ++i) text += fmt::format("w{:x}q ", i * 7919);
  for (int i = 0; i < 5000; ++i) text += "often ";
  for (const VocabularyKind kind :
       {VocabularyKind::kBpe, VocabularyKind::kUnigram, VocabularyKind::kWordPiece}) {
    VocabularyOptions options = options_for(kind, 80);
    options.memory_bytes = 1 << 20;
    const TrainedVocabulary v = train({{text}}, options);
    EXPECT_GT(v.stats.forgotten, 0);
    EXPECT_EQ(scores_of(v).count("▁often"), 1u);
    options.memory_bytes = int64_t{1} << 30;
    EXPECT_EQ(train({{text}}, options).stats.forgotten, 0);
  }
}

TEST(TrainVocabulary, HostileTexts) {
  testing::Dice dice(2);
  const std::string noise = testing::random_bytes(dice, 200000);
  const std::string line(1 << 20, 'a');
  std::string mixed = testing::random_text(dice, 20000) + std::string("\0\0", 2) + noise;
  for (const VocabularyKind kind : kKinds) {
    VocabularyOptions options = options_for(kind, 600);
    options.character_coverage = 0.9;
    EXPECT_LE(train({{line}}, options).pieces.size(), 600u);
    options.vocab_size = 20000;
    for (const TrainedPiece& p : train({{mixed}}, options).pieces)
      EXPECT_TRUE(is_valid_utf8(p.text) && p.text.find('\0') == std::string::npos);
    for (const std::string_view empty : {"", "\n\n"})
      EXPECT_THROW(train({{empty}}, options), Error);
    EXPECT_THROW(train({{"\xFF\xFE"}},
                       [&] {
                         auto o = options;
                         o.special_tokens = {"▁"};
                         return o;
                       }()),
                 Error);
  }
}

TEST(TrainVocabulary, RefusesWhatCannotWork) {
  const auto refused = [](VocabularyOptions options, ErrorKind kind) {
    try {
      train({{"some text"}}, options);
    } catch (const Error& e) {
      return e.kind() == kind;
    }
    return false;
  };
  const VocabularyOptions good = options_for(VocabularyKind::kUnigram, 100);
  VocabularyOptions o = good;
  o.vocab_size = 1;
  EXPECT_TRUE(refused(o, ErrorKind::kConfig));
  o.vocab_size = 4;  // more characters than that
  EXPECT_TRUE(refused(o, ErrorKind::kData));
  o = good;
  o.special_tokens = {"<s>", "<s>"};
  EXPECT_TRUE(refused(o, ErrorKind::kConfig));
  o.special_tokens = {""};
  EXPECT_TRUE(refused(o, ErrorKind::kConfig));
  o = good;
  o.character_coverage = 0;
  EXPECT_TRUE(refused(o, ErrorKind::kConfig));
  o = good;
  o.memory_bytes = 1;
  EXPECT_TRUE(refused(o, ErrorKind::kConfig));
}

TEST(TrainVocabulary, ProgressMayEndIt) {
  struct Stop {};
  const std::string text = some_text(3, 20000);
  for (const VocabularyKind kind :
       {VocabularyKind::kBpe, VocabularyKind::kUnigram, VocabularyKind::kWordPiece})
    EXPECT_THROW(train({{text}}, options_for(kind, 300),
                       [](std::string_view, int64_t, int64_t) { throw Stop(); }),
                 Stop);
}

// Every substring that occurs in two words or at two places, and cannot be made longer for nothing.
TEST(SeedPieces, EqualTheirDefinition) {
  testing::Dice dice(6);
  for (int round = 0; round < 60; ++round) {
    std::vector<WordCounts> shards(1);
    std::map<std::string, int64_t> words;
    for (uint64_t i = 0; i < 1 + dice.below(12); ++i) {
      std::string word;
      for (uint64_t n = 0; n < 1 + dice.below(12); ++n)
        word += std::array{"a", "b", "é", "中"}[dice.below(4)];
      words[word] = 1 + static_cast<int64_t>(dice.below(3));
    }
    for (const auto& [word, count] : words) shards[0].add(word, hash_bytes(word), count);
    const Alphabet alphabet(shards, 1);
    const WordList list(shards, alphabet);
    constexpr int32_t kLongest = 5;
    // By definition: for each string its count, and what comes behind its occurrences.
    struct Occurrences {
      int64_t count = 0;
      std::set<std::string> next;
    };
    std::map<std::string, Occurrences> all;
    int end = 0;
    for (const auto& [word, count] : words) {
      std::vector<std::string> characters;
      for (size_t i = 0; i < word.size(); ++i) {
        if ((word[i] & 0xC0) != 0x80) characters.emplace_back();
        characters.back() += word[i];
      }
      for (size_t i = 0; i < characters.size(); ++i) {
        std::string piece;
        for (size_t n = 1; n <= kLongest && i + n <= characters.size(); ++n) {
          piece += characters[i + n - 1];
          Occurrences& o = all[piece];
          o.count += count;
          const bool last = n == kLongest || i + n == characters.size();
          o.next.insert(last ? fmt::format("end {}", end++) : characters[i + n]);
          if (last && i == 0 && i + n == characters.size() && count > 1) o.next.insert("again");
        }
      }
    }
    std::map<std::string, double> want, got;
    for (const auto& [piece, o] : all) {
      const auto n =
          std::count_if(piece.begin(), piece.end(), [](char c) { return (c & 0xC0) != 0x80; });
      if (n > 1 && o.next.size() > 1)
        want[piece] = static_cast<double>(o.count) * static_cast<double>(n);
    }
    for (const SeedPiece& s : seed_pieces(list, kLongest, 100000))
      got[list.text().substr(s.at, s.length)] = s.score;
    EXPECT_EQ(got, want);
    const auto few = seed_pieces(list, kLongest, 3);
    EXPECT_EQ(few.size(), std::min<size_t>(3, want.size()));
    for (const SeedPiece& s : few) {
      const auto higher = std::count_if(want.begin(), want.end(),
                                        [&](const auto& w) { return w.second > s.score; });
      EXPECT_LT(higher, 3);
    }
  }
}

}  // namespace
}  // namespace lathe
