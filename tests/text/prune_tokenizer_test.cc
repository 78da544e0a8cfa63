// Pruned tokenizers: the corpus has the same tokens under other numbers.
#include "lathe/text/prune_tokenizer.h"

#include <gtest/gtest.h>

#include "lathe/base/error.h"
#include "lathe/text/byte_tokens.h"
#include "lathe/text/format/sentencepiece_reader.h"
#include "lathe/text/tokenizer_data.h"
#include "lathe/text/train/bpe_trainer.h"
#include "text/random_text.h"

namespace lathe {
namespace {

using Ids = std::vector<int32_t>;
using Type = SentencePieceFile::Type;

PrunedTokenizer pruned_to(const Tokenizer& old, std::string_view text,
                          const PruneOptions& options = {}) {
  std::vector<bool> used(static_cast<size_t>(old.vocab_size()), false);
  for (const int32_t id : old.encode(text)) used[static_cast<size_t>(id)] = true;
  return prune_tokenizer(old, used, options);
}

// The ids of the old tokenizer.
Ids old_ids_of(const PrunedTokenizer& pruned, std::string_view text) {
  Ids ids = pruned.tokenizer.encode(text);
  for (int32_t& id : ids) id = pruned.old_ids[static_cast<size_t>(id)];
  return ids;
}

std::string random_words(uint64_t seed, uint64_t words) {
  testing::Dice dice(seed);
  std::string text;
  for (uint64_t i = 0; i < words; ++i) {
    for (uint64_t n = 1 + dice.below(7); n > 0; --n) text.push_back("aaabbcde"[dice.below(8)]);
    text.push_back(' ');
  }
  return text;
}

TEST(PruneTokenizer, ByteLevelTextHasTheSameTokens) {
  const std::string learned = random_words(1, 3000);
  const std::string_view texts[] = {learned};
  const Tokenizer old =
      train_bpe(texts, {.vocab_size = 900, .special_tokens = {"<|end|>"}}).tokenizer;
  for (uint64_t seed = 2; seed < 12; ++seed) {
    const std::string text = random_words(seed, 60) + "<|end|>";
    const PrunedTokenizer small = pruned_to(old, text);
    EXPECT_EQ(old_ids_of(small, text), old.encode(text)) << seed;
    EXPECT_LT(small.tokenizer.vocab_size(), old.vocab_size() - 200);
    EXPECT_EQ(small.tokenizer.vocab_size(), static_cast<int64_t>(small.old_ids.size()));
    EXPECT_EQ(small.tokenizer.decode(small.tokenizer.encode("天\xFF")), "天\xFF")
        << "all bytes are kept";
    const PrunedTokenizer smaller = pruned_to(old, text, {.keep_bytes = false});
    EXPECT_EQ(old_ids_of(smaller, text), old.encode(text)) << seed;
    EXPECT_THROW(smaller.tokenizer.encode("天"), Error);
  }
}

// "abcd" is made from "ab" and "cd", which the text does not use; "bc" has nothing to do with it.
TEST(PruneTokenizer, WhatAPieceIsMergedFromStays) {
  const char* const json = R"({"added_tokens": [
    {"id": 9, "content": "<s>", "special": true}],
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
    "post_processor": {"type": "RobertaProcessing", "sep": ["<s>", 9], "cls": ["<s>", 9]},
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"x": 0, "a": 1, "b": 2, "c": 3, "d": 4, "ab": 5, "bc": 6,
      "cd": 7, "abcd": 8}, "merges": ["a b", "b c", "c d", "ab cd"]}})";
  const Tokenizer old = Tokenizer::from_json(json, "t");
  const PrunedTokenizer small = pruned_to(old, "abcd", {.keep_bytes = false});
  EXPECT_EQ(small.old_ids, (Ids{1, 2, 3, 4, 5, 7, 8, 9}));
  EXPECT_EQ(small.tokenizer.merge_count(), 3);
  EXPECT_EQ(small.tokenizer.encode("abcd<s>", {.add_special_tokens = true}), (Ids{7, 6, 7, 7}));
}

TEST(PruneTokenizer, SentencePieceWithByteFallback) {
  SentencePieceFile file;
  file.model_type = SentencePieceFile::ModelType::kBpe;
  file.byte_fallback = true;
  file.normalizer.remove_extra_whitespaces = false;
  file.pieces = {{"<unk>", 0, Type::kUnknown}, {"<s>", 0, Type::kControl}};
  for (int b = 0; b < 256; ++b)
    file.pieces.push_back({byte_token(static_cast<uint8_t>(b)), 0, Type::kByte});
  float score = 0;
  for (const char* text :
       {"th", "he", "\u2581th", "the", "\u2581the", "at", "\u2581", "t", "h", "e", "a"})
    file.pieces.push_back({text, score--, Type::kNormal});
  const Tokenizer old = sentencepiece_tokenizer(file, "s");
  const std::string text = "the the\n天 thea";
  const PrunedTokenizer small = pruned_to(old, text);
  EXPECT_EQ(old_ids_of(small, text), old.encode(text));
  EXPECT_FALSE(small.tokenizer.id_of("at").has_value());
  EXPECT_FALSE(small.tokenizer.id_of("he").has_value());
  EXPECT_TRUE(small.tokenizer.id_of("\u2581th").has_value() ||
              small.tokenizer.id_of("the").has_value());
  EXPECT_TRUE(small.tokenizer.id_of("<0xFF>").has_value());
  EXPECT_EQ(small.tokenizer.decode(small.tokenizer.encode(text)), text);
}

// From "zz", which no text here uses, derives what an unknown character scores.
TEST(PruneTokenizer, UnigramKeepsTheLowestScore) {
  const char* const json = R"({"model": {"type": "Unigram", "unk_id": 0, "vocab": [
    ["<unk>", 0], ["b", -2], ["a", -25], ["ab", -4], ["aab", -28], ["zz", -30], ["c", -5]]}})";
  const Tokenizer old = Tokenizer::from_json(json, "u");
  const std::string text = "aabb?b";
  const PrunedTokenizer small = pruned_to(old, text);
  EXPECT_EQ(old_ids_of(small, text), old.encode(text));
  EXPECT_EQ(small.old_ids, (Ids{0, 1, 4, 5}));
}

TEST(PruneTokenizer, SaysWhatCannotBe) {
  const Tokenizer words = Tokenizer::from_json(
      R"({"model": {"type": "WordLevel", "vocab": {"a": 0, "?": 1}, "unk_token": "?"}})", "w");
  const auto error = [&](const std::vector<bool>& used) -> std::string {
    try {
      prune_tokenizer(words, used);
    } catch (const Error& e) {
      return e.what();
    }
    return "none";
  };
  EXPECT_NE(error({true, true}).find("expected BPE or Unigram"), std::string::npos);
  EXPECT_NE(error({true}).find("1 ids are marked as used or not, expected 2"), std::string::npos);
}

}  // namespace
}  // namespace lathe
