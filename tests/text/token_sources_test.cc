// What the tokens of extended and pruned tokenizers are made of.
#include "lathe/text/token_sources.h"

#include <gtest/gtest.h>

#include "lathe/base/error.h"
#include "lathe/text/byte_tokens.h"
#include "lathe/text/chat_tokens.h"
#include "lathe/text/extend_tokenizer.h"
#include "lathe/text/format/sentencepiece_reader.h"
#include "lathe/text/prune_tokenizer.h"
#include "lathe/text/train/bpe_trainer.h"
#include "lathe/text/train/vocabulary_trainer.h"

namespace lathe {
namespace {

using Ids = std::vector<int32_t>;
using Type = SentencePieceFile::Type;

CorpusFeed feed_of(std::string text) {
  return [text = std::move(text)](CorpusReceiver& to) {
    to.add(text);
    to.end_text();
  };
}

Tokenizer extended(const Tokenizer& old, const std::string& text, int64_t add) {
  return extend_tokenizer(old, feed_of(text), {.add = add}).tokenizer;
}

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

// A BPE on characters: a, b, c, the mark of spaces; "ab", "▁ab"; and what the test adds.
Tokenizer characters(const std::string& more_vocabulary = "", const std::string& more_merges = "",
                     const std::string& added = "") {
  return Tokenizer::from_json(R"({"added_tokens": [)" + added + R"(],
    "model": {"type": "BPE", "unk_token": "?", "vocab": {"?": 0, "a": 1, "b": 2, "c": 3, "▁": 4, "ab": 5, "▁ab": 6)" +
                                  more_vocabulary + R"(}, "merges": ["a b", "▁ ab")" + more_merges +
                                  "]}}",
                              "t");
}

TEST(TokenSources, PiecesAreCutAsTheOldModelCutsThem) {
  const Tokenizer old = characters();
  const Tokenizer now =
      characters(R"(, "▁abab": 7, "▁c": 8, "x": 9, "xab": 10, "<s>": 11, "cab": 12, "cc": 13)", "",
                 R"({"id": 11, "content": "<s>", "special": true},
                    {"id": 12, "content": "cab", "special": false})");
  const auto sources = sources_of_extended(old, now);
  ASSERT_EQ(sources.size(), 14u);
  for (int32_t id = 0; id < 7; ++id) EXPECT_EQ(sources[static_cast<size_t>(id)], Ids{id});
  EXPECT_EQ(sources[7], (Ids{6, 5})) << "with the mark of a space";
  EXPECT_EQ(sources[8], (Ids{4, 3}));
  EXPECT_EQ(sources[9], Ids{}) << "an unknown character";
  EXPECT_EQ(sources[10], Ids{5}) << "of which a part is known";
  EXPECT_EQ(sources[11], Ids{}) << "a special token";
  EXPECT_EQ(sources[12], (Ids{3, 5})) << "an added token that is a word";
  EXPECT_EQ(sources[13], (Ids{3, 3}));
}

// A new piece of the other kinds of model, in old tokens: the bytes of those are the piece's.
void expect_pieces_of(const Tokenizer& old, const std::string& text, int64_t add, size_t halves) {
  const Tokenizer now = extended(old, text, add);
  const auto sources = sources_of_extended(old, now);
  ASSERT_EQ(static_cast<int64_t>(sources.size()), now.vocab_size());
  size_t cut_characters = 0;
  for (auto id = static_cast<int32_t>(old.vocab_size()); id < now.vocab_size(); ++id) {
    std::string joined;
    for (const int32_t piece : sources[static_cast<size_t>(id)]) joined += old.token_bytes(piece);
    EXPECT_EQ(joined, now.token_bytes(id));
    EXPECT_GT(sources[static_cast<size_t>(id)].size(), 1u);
    cut_characters += joined.size() % 3 != 0;
  }
  EXPECT_GE(cut_characters, halves);
}

TEST(TokenSources, HalfCharactersAndBytesOfEveryKind) {
  const std::string chinese = "天地天地日月日月天地日月日月天地 宇宙宇宙";
  const std::string_view texts[] = {"the cat and the hat and the mat, the bat"};
  expect_pieces_of(train_bpe(texts, {.vocab_size = 280, .special_tokens = {"<|end|>"}}).tokenizer,
                   chinese, 12, 1);
  SentencePieceFile file;
  file.model_type = SentencePieceFile::ModelType::kBpe;
  file.byte_fallback = true;
  file.pieces = {
      {"<unk>", 0, Type::kUnknown}, {"<s>", 0, Type::kControl}, {"</s>", 0, Type::kControl}};
  for (int b = 0; b < 256; ++b)
    file.pieces.push_back({byte_token(static_cast<uint8_t>(b)), 0, Type::kByte});
  float score = 0;
  for (const char* text : {"th", "\u2581the", "\u2581", "t", "h", "e"})
    file.pieces.push_back({text, score--, Type::kNormal});
  expect_pieces_of(sentencepiece_tokenizer(file, "llama"), chinese, 12, 0);
}

TEST(TokenSources, ATokenInThePlaceOfAReservedOneTakesItsRow) {
  const Tokenizer old = add_tokens(characters(), {}, 2).tokenizer;
  const std::vector<TokenToAdd> chat = {{"<|user|>", true}};
  const Tokenizer now = add_tokens(old, chat, 0).tokenizer;
  const int32_t place = old.id_of(reserved_token(0)).value();
  ASSERT_EQ(now.id_of("<|user|>"), place);
  EXPECT_EQ(sources_of_extended(old, now)[static_cast<size_t>(place)], Ids{place});
  EXPECT_THROW(sources_of_extended(now, old), Error);  // not the other way round
}

TEST(TokenSources, ATokenUnderAnotherIdIsNamed) {
  const Tokenizer old = characters();
  const Tokenizer swapped = Tokenizer::from_json(
      R"({"model": {"type": "BPE", "vocab": {"?": 0, "a": 1, "c": 2, "b": 3}, "merges": []}})",
      "t");
  EXPECT_NE(error_of([&] { sources_of_extended(old, swapped); })
                .find("[--tokenizer] token 2 is 'c' in this tokenizer and 'b' in the model's; "
                      "expected a tokenizer that `lathe tokenizer extend` made"),
            std::string::npos);
  const Tokenizer shorter = Tokenizer::from_json(
      R"({"model": {"type": "BPE", "vocab": {"?": 0, "a": 1}, "merges": []}})", "t");
  EXPECT_NE(error_of([&] {
              sources_of_extended(old, shorter);
            }).find("token 2 is no token in this tokenizer and 'b' in the model's"),
            std::string::npos);
}

TEST(TokenSources, OfAPrunedTokenizerAreItsOldIds) {
  const Tokenizer old = characters();
  std::vector<bool> used(7, false);
  used[3] = used[5] = true;
  const PrunedTokenizer pruned = prune_tokenizer(old, used);
  const auto sources = sources_of_pruned(old, pruned.tokenizer, pruned.old_ids);
  ASSERT_EQ(sources.size(), pruned.old_ids.size());
  for (size_t id = 0; id < sources.size(); ++id) EXPECT_EQ(sources[id], Ids{pruned.old_ids[id]});
  EXPECT_LT(sources.size(), 7u);
}

TEST(TokenSources, HostileIdMapsAreRefused) {
  const Tokenizer old = characters();
  std::vector<bool> used(7, true);
  const Tokenizer same = prune_tokenizer(old, used).tokenizer;
  ASSERT_EQ(same.vocab_size(), 7);
  const auto refusal = [&](const Ids& ids) {
    return error_of([&] { sources_of_pruned(old, same, ids); });
  };
  EXPECT_EQ(refusal({0, 1, 2, 3, 4, 5, 6}), "no error");
  EXPECT_NE(refusal({0, 1, 2}).find("lists 3 ids for 7 tokens"), std::string::npos);
  EXPECT_NE(refusal({0, 1, 2, 3, 4, 6, 5}).find("do not ascend"), std::string::npos);
  EXPECT_NE(refusal({0, 1, 2, 2, 4, 5, 6}).find("do not ascend"), std::string::npos);
  EXPECT_NE(refusal({-1, 1, 2, 3, 4, 5, 6}).find("token 0, '?', was -1, which is no token"),
            std::string::npos);
  EXPECT_NE(refusal({0, 1, 2, 3, 4, 5, 7}).find("token 6, '▁ab', was 7, which is no token"),
            std::string::npos);
  EXPECT_NE(refusal({0, 1, 2, 3, 4, 5, INT32_MAX}).find("which is no token"), std::string::npos);
  const Tokenizer other = characters(R"(, "cc": 7)");
  EXPECT_NE(error_of([&] {
              sources_of_pruned(other, same, Ids{0, 1, 2, 3, 4, 5, 7});
            }).find("token 6, '▁ab', was 7, which is 'cc' in the model's"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe
