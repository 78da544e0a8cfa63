// The encoder's memory of words, and the stretches that share it, against the definition.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "lathe/text/byte_alphabet.h"
#include "lathe/text/tokenizer.h"
#include "lathe/text/tokenizer_data.h"
#include "text/random_text.h"
#include "text/reference_bpe.h"
#include "text/sample_json.h"

namespace lathe {
namespace {

using Ids = std::vector<int32_t>;
using nlohmann::json;

// Letters of one to four bytes, so that pieces fall into stretches; few, so that they come again.
const std::vector<std::string> kLetters = {"中", "国", "字", "é", "ж", "𝒜", "a", "b"};

// Random merges over kLetters, and tokens that no merge makes (for ignore_merges).
Tokenizer random_tokenizer(testing::Dice& dice, bool ignore_merges) {
  json vocab, merges = json::array();
  for (int b = 0; b < 256; ++b) vocab[to_byte_alphabet(std::string(1, static_cast<char>(b)))] = b;
  std::vector<std::string> tokens;
  const auto merge = [&](const std::string& left, const std::string& right) {
    if (left.size() + right.size() > 24) return;
    merges.push_back({to_byte_alphabet(left), to_byte_alphabet(right)});
    vocab.emplace(to_byte_alphabet(left + right), vocab.size());
    tokens.push_back(left + right);
  };
  for (const std::string& c : kLetters) {
    for (char byte : c) tokens.emplace_back(1, byte);
    for (size_t n = 1; n < c.size() && dice.below(6) != 0; ++n)
      merge(c.substr(0, n), c.substr(n, 1));
  }
  for (int i = 0; i < 20; ++i)
    merge(tokens[dice.below(tokens.size())], tokens[dice.below(tokens.size())]);
  for (int i = 0; i < 20; ++i) {
    std::string word;
    for (uint64_t n = 2 + dice.below(4); n > 0; --n) word += kLetters[dice.below(kLetters.size())];
    vocab.emplace(to_byte_alphabet(word), vocab.size());
  }
  const json model = {
      {"type", "BPE"}, {"ignore_merges", ignore_merges}, {"vocab", vocab}, {"merges", merges}};
  const json level = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  const json document = {{"pre_tokenizer", level}, {"decoder", level}, {"model", model}};
  return Tokenizer::from_json(document.dump(), "test");
}

// What the definition makes of `words`, each a piece.
Ids wanted(const TokenizerData& data, const std::vector<std::string>& words) {
  Ids ids;
  for (const std::string& word : words) {
    const auto whole = data.vocabulary().find(word);
    const Ids merged = whole && testing::byte_bpe(data).options().ignore_merges
                           ? Ids{*whole}
                           : testing::reference_encode(testing::byte_bpe(data), word);
    ids.insert(ids.end(), merged.begin(), merged.end());
  }
  return ids;
}

TEST(Encoder, RemembersWordsAndStretchesApart) {
  testing::Dice dice(41);
  for (int round = 0; round < 30; ++round) {
    const Tokenizer tokenizer = random_tokenizer(dice, round % 2 == 0);
    Encoder encoder = tokenizer.encoder();
    for (int i = 0; i < 8; ++i) {
      std::vector<std::string> words;
      std::string text;
      for (int w = 0; w < 12; ++w) {
        std::string word;
        for (uint64_t n = 1 + dice.below(9); n > 0; --n)
          word += kLetters[dice.below(kLetters.size())];
        words.push_back(word);
        words.push_back("\n");  // no word takes it along
        text += word + "\n";
      }
      Ids ids;
      encoder.encode(text, {}, ids);
      ASSERT_EQ(ids, wanted(tokenizer.data(), words)) << text;
    }
  }
}

TEST(Encoder, ATokenThatIsNotMergedIsAWordButNoStretch) {
  // "字é" is a token that merging does not make: its bytes inside a longer piece are not that token,
  // before and after the word itself is met, and the other way round.
  json vocab;
  for (int b = 0; b < 256; ++b) vocab[to_byte_alphabet(std::string(1, static_cast<char>(b)))] = b;
  vocab[to_byte_alphabet("é")] = 256;
  vocab[to_byte_alphabet("字é")] = 257;
  const json level = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  const json document = {
      {"pre_tokenizer", level},
      {"decoder", level},
      {"model",
       {{"type", "BPE"},
        {"ignore_merges", true},
        {"vocab", vocab},
        {"merges", {to_byte_alphabet("\xC3") + " " + to_byte_alphabet("\xA9")}}}}};
  const Tokenizer tokenizer = Tokenizer::from_json(document.dump(), "test");
  for (const bool word_first : {true, false}) {
    Encoder encoder = tokenizer.encoder();
    for (int i = 0; i < 3; ++i) {
      Ids word, inside;
      if (word_first) encoder.encode("字é", {}, word);
      encoder.encode("é字é", {}, inside);
      if (!word_first) encoder.encode("字é", {}, word);
      EXPECT_EQ(word, Ids{257});
      EXPECT_EQ(inside, (Ids{256, 0xE5, 0xAD, 0x97, 256}));
    }
  }
}

// With the catalogue's scanner, with another way of cutting, with added tokens in between.
TEST(Encoder, TellsHowFarItIs) {
  std::string text;
  while (text.size() < 2 << 20) text += "the cat ab <x> 123\n";
  const char* digits = R"({"type": "Sequence", "pretokenizers": [
      {"type": "Digits", "individual_digits": true},
      {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}]})";
  const char* added = R"([{"id": 264, "content": "<x>", "single_word": false, "lstrip": false,
      "rstrip": false, "normalized": false, "special": true}])";
  for (const testing::SampleJson& sample :
       {testing::SampleJson{}, {.pre_tokenizer = digits}, {.added = added}}) {
    const Tokenizer tokenizer = Tokenizer::from_json(testing::sample_json(sample), "test");
    std::vector<size_t> told;
    const Ids ids =
        tokenizer.encode(text, {.progress = [&](size_t done) { told.push_back(done); }});
    EXPECT_EQ(ids, tokenizer.encode(text));
    EXPECT_GE(told.size(), 7u);
    EXPECT_LE(told.size(), 8u);
    EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
    EXPECT_LE(told.back(), text.size());
    EXPECT_THROW(tokenizer.encode(text, {.progress = [](size_t) { throw 1; }}), int);
    EXPECT_EQ(tokenizer.encode(text), ids) << "and is as good as before";
  }
}

}  // namespace
}  // namespace lathe
