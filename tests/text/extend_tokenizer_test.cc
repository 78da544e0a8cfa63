// Extended tokenizers: old ids stay, texts are cut as before and then joined further.
#include "lathe/text/extend_tokenizer.h"

#include <gtest/gtest.h>

#include <set>

#include "lathe/base/error.h"
#include "lathe/text/byte_tokens.h"
#include "lathe/text/format/sentencepiece_reader.h"
#include "lathe/text/model/byte_bpe.h"
#include "lathe/text/model/char_bpe.h"
#include "lathe/text/tokenizer_data.h"
#include "lathe/text/train/bpe_trainer.h"
#include "text/random_text.h"

namespace lathe {
namespace {

using Ids = std::vector<int32_t>;
using Type = SentencePieceFile::Type;

CorpusFeed feed_of(std::vector<std::string> texts) {
  return [texts = std::move(texts)](CorpusReceiver& to) {
    for (const std::string& text : texts) {
      to.add(text);
      to.end_text();
    }
  };
}

Tokenizer extended(const Tokenizer& old, std::vector<std::string> texts, int64_t add) {
  return extend_tokenizer(old, feed_of(std::move(texts)), {.add = add}).tokenizer;
}

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

const std::vector<Merge>& merges_of(const Tokenizer& t) {
  const TokenModel& model = *t.data().model;
  const auto* bytes = dynamic_cast<const ByteBpe*>(&model);
  return bytes ? bytes->merges() : dynamic_cast<const CharBpe&>(model).merges();
}

// What the merges behind the first `old` ones make of the old ids, one merge after the other.
Ids joined_further(Ids ids, const std::vector<Merge>& merges, size_t old) {
  for (size_t m = old; m < merges.size(); ++m) {
    Ids next;
    for (size_t i = 0; i < ids.size(); ++i) {
      const bool pair =
          i + 1 < ids.size() && ids[i] == merges[m].left && ids[i + 1] == merges[m].right;
      next.push_back(pair ? merges[m].result : ids[i]);
      i += pair;
    }
    ids = std::move(next);
  }
  return ids;
}

const char* const kEnglish = "the cat sat on the mat and the dog ate that rat, then the hat";
const char* const kChinese = "天地玄黃宇宙洪荒 日月盈昃辰宿列張 天地日月 天地日月 宇宙 宇宙";

Tokenizer byte_level() {
  const std::string_view texts[] = {kEnglish};
  return train_bpe(texts, {.vocab_size = 290, .special_tokens = {"<|end|>"}}).tokenizer;
}

TEST(ExtendTokenizer, ByteLevelPiecesComeBehindAndOldOnesStay) {
  const Tokenizer old = byte_level();
  const Tokenizer now = extended(old, {kChinese, kEnglish}, 20);
  ASSERT_EQ(now.vocab_size(), old.vocab_size() + 20);
  for (int32_t id = 0; id < old.vocab_size(); ++id)
    EXPECT_EQ(now.token_bytes(id), old.token_bytes(id));
  std::set<std::string> all;
  for (int32_t id = 0; id < now.vocab_size(); ++id) all.insert(now.token_bytes(id));
  EXPECT_EQ(static_cast<int64_t>(all.size()), now.vocab_size());
  EXPECT_LT(now.encode(kChinese).size(), old.encode(kChinese).size());
  EXPECT_EQ(now.decode(now.encode(kChinese)), kChinese);
  EXPECT_EQ(now.encode("<|end|>"), old.encode("<|end|>"));
  EXPECT_EQ(Tokenizer::from_json(now.to_json(), "again").to_json(), now.to_json());
}

// A text is a single word here, so that new merges apply to the ids of the whole.
TEST(ExtendTokenizer, TextIsCutAsBeforeAndThenJoined) {
  const Tokenizer old = byte_level();
  const Tokenizer now = extended(old, {"thethethat catcatmatthe 天地天地日月日月 dogdogate"}, 24);
  const auto merges = static_cast<size_t>(old.merge_count());
  const std::string parts[] = {"the", "that", "cat", "dog", "mat", "ate", "天地", "日", "月", "x"};
  testing::Dice dice(7);
  size_t joined = 0;
  for (int i = 0; i < 500; ++i) {
    std::string word;
    for (uint64_t n = 1 + dice.below(6); n > 0; --n) word += parts[dice.below(std::size(parts))];
    const Ids before = old.encode(word), after = now.encode(word);
    EXPECT_EQ(after, joined_further(before, merges_of(now), merges)) << word;
    joined += before != after;
  }
  EXPECT_GT(joined, 100u);
}

// The added tokens of a tokenizer.json may have ids of their own, behind the vocabulary.
TEST(ExtendTokenizer, NewIdsComeBehindThoseOfAddedTokens) {
  const char* const json = R"({"added_tokens": [
    {"id": 4, "content": "<a>", "special": true}, {"id": 5, "content": "  ", "special": false}],
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "Ġ": 3}, "merges": ["a b"]}})";
  const Tokenizer old = Tokenizer::from_json(json, "t");
  const Tokenizer now = extended(old, {"abab abab aab"}, 2);
  EXPECT_EQ(now.vocab_size(), 8);
  EXPECT_EQ(now.id_of("<a>"), 4);
  EXPECT_EQ(now.id_of("  "), 5);
  EXPECT_EQ(now.token_bytes(6), "abab");
  EXPECT_EQ(now.encode("ab<a>abab  a"), (Ids{2, 4, 6, 5, 0}));
}

SentencePieceFile llama_like() {
  SentencePieceFile file;
  file.model_type = SentencePieceFile::ModelType::kBpe;
  file.byte_fallback = true;
  file.normalizer.remove_extra_whitespaces = false;
  file.pieces = {
      {"<unk>", 0, Type::kUnknown}, {"<s>", 0, Type::kControl}, {"</s>", 0, Type::kControl}};
  for (int b = 0; b < 256; ++b)
    file.pieces.push_back({byte_token(static_cast<uint8_t>(b)), 0, Type::kByte});
  float score = 0;
  for (const char* text :
       {"th", "\u2581th", "the", "\u2581the", "\u2581", "t", "h", "e", "a", "<", "s", ">", "月"})
    file.pieces.push_back({text, score--, Type::kNormal});
  return file;
}

Tokenizer llama_tokenizer() { return sentencepiece_tokenizer(llama_like(), "llama"); }

TEST(ExtendTokenizer, CharactersComeBeforeWhatIsMergedOfThem) {
  const Tokenizer old = llama_tokenizer();
  // 天 and 地 save 2 tokens each of 4 times, 天地 saves 1 each of 4, 人 2 once, 月月 1 twice.
  const std::string text = "天地 天地天地a天地\n人\n月月 月月";
  const ExtendedTokenizer made = extend_tokenizer(old, feed_of({text}), {.add = 3});
  const Tokenizer& now = made.tokenizer;
  EXPECT_EQ(made.characters, 2);
  const auto first = static_cast<int32_t>(old.vocab_size());
  ASSERT_EQ(now.vocab_size(), first + 3);
  EXPECT_EQ(now.token_bytes(first), "地");
  EXPECT_EQ(now.token_bytes(first + 1), "天");
  EXPECT_EQ(now.token_bytes(first + 2), "天地");
  EXPECT_EQ(now.decode(now.encode(text)), text);
  for (const char* plain : {"the that\nthe", "  the", "", "x\xFFy"})
    EXPECT_EQ(now.encode(plain), old.encode(plain)) << plain;
  EXPECT_EQ(now.encode("天地人").size(), 2u + 3u) << "the mark, 天地, three bytes";
}

// The normaliser marks the beginning of a text, and not that of a line.
TEST(ExtendTokenizer, LinesAreNotTexts) {
  const Tokenizer old = llama_tokenizer();
  const Tokenizer now = extended(old, {"天地\n天地\n天地"}, 3);
  EXPECT_EQ(now.token_bytes(static_cast<int32_t>(old.vocab_size()) + 2), "天地");
}

TEST(ExtendTokenizer, NoPieceReachesOverASpace) {
  const Tokenizer old = llama_tokenizer();
  const Tokenizer now = extended(old, {"es es a a a a a a a a thea thea thea theathea"}, 4);
  for (auto id = static_cast<int32_t>(old.vocab_size()); id < now.vocab_size(); ++id) {
    const std::string piece(now.data().vocabulary().bytes(id));
    EXPECT_EQ(piece.find("\u2581", 1), std::string::npos) << piece;
  }
  EXPECT_TRUE(now.id_of("\u2581thea").has_value());
}

// A space and "ab" are written as the added token is.
TEST(ExtendTokenizer, NoPieceIsSpelledAsAnotherToken) {
  const char* const json = R"({"added_tokens": [{"id": 4, "content": "Ġab", "special": true}],
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "Ġ": 3}, "merges": ["a b"]}})";
  const Tokenizer old = Tokenizer::from_json(json, "t");
  const Tokenizer now = extended(old, {" ab ab ab abb"}, 1);
  EXPECT_EQ(now.token_bytes(5), "abb");
  EXPECT_EQ(now.encode(" abbĠab"), (Ids{3, 5, 4}));
}

TEST(ExtendTokenizer, UnigramIsCutAsBeforeAndThenJoined) {
  const char* const json = R"({"added_tokens": [
      {"id": 9, "content": "<x>", "special": true}],
    "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always"},
    "decoder": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always"},
    "model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["\u2581", -2],
      ["a", -3], ["b", -3.5], ["ab", -4], ["c", -4.25], ["\u2581ab", -4.5], ["bc", -5],
      ["abc", -9.5]]}})";
  const Tokenizer old = Tokenizer::from_json(json, "u");
  const std::string text = "abab ababc 天地 天地 天地 bcbc <x> bcbca";
  const ExtendedTokenizer made = extend_tokenizer(old, feed_of({text}), {.add = 6});
  const Tokenizer& now = made.tokenizer;
  EXPECT_EQ(made.characters, 2);
  EXPECT_EQ(now.vocab_size(), 16);
  EXPECT_EQ(now.id_of("<x>"), 9);
  EXPECT_EQ(now.decode(now.encode(text)), text);
  const auto parts = [](const Tokenizer& t, const std::string& word) {
    std::vector<size_t> ends;  // of tokens, in bytes
    size_t at = 0;
    for (const int32_t id : t.encode(word))
      ends.push_back(at += t.data().vocabulary().bytes(id).size());
    return ends;
  };
  testing::Dice dice(3);
  size_t joined = 0;
  for (int i = 0; i < 500; ++i) {
    std::string word;
    for (uint64_t n = 1 + dice.below(9); n > 0; --n) word.push_back("abc"[dice.below(3)]);
    const auto before = parts(old, word), after = parts(now, word);
    EXPECT_TRUE(std::ranges::includes(before, after)) << word;
    joined += before != after;
  }
  EXPECT_GT(joined, 30u);
}

TEST(AddPieces, AreReachedByMergingAndOldTextDecodesAsBefore) {
  const Tokenizer old = byte_level();
  const std::vector<std::string> pieces = {" banana", "quixotic", "天地", "ababab", " catsat"};
  const TokenizerWithPieces made = add_pieces(old, pieces);
  const Tokenizer& now = made.tokenizer;
  EXPECT_EQ(now.vocab_size(), old.vocab_size() + std::ssize(pieces) + made.steps);
  EXPECT_GT(made.steps, 0);
  for (int32_t id = 0; id < old.vocab_size(); ++id)
    EXPECT_EQ(now.token_bytes(id), old.token_bytes(id));
  for (size_t i = 0; i < pieces.size(); ++i) {
    EXPECT_GE(made.ids[i], old.vocab_size());
    EXPECT_EQ(now.token_bytes(made.ids[i]), pieces[i]);
    EXPECT_EQ(now.encode(pieces[i]), Ids{made.ids[i]}) << pieces[i];
  }
  EXPECT_EQ(now.encode("a banana"), (Ids{old.encode("a")[0], made.ids[0]}));
  // Texts of old tokens are the same bytes in as many tokens or fewer; those that the new merges do not
  // touch are the same tokens.
  testing::Dice dice(11);
  size_t shorter = 0;
  for (int i = 0; i < 400; ++i) {
    std::string text;
    for (uint64_t n = 1 + dice.below(40); n > 0; --n)
      text.push_back("abtchen quixo,"[dice.below(14)]);
    const Ids before = old.encode(text), after = now.encode(text);
    EXPECT_EQ(now.decode(after), text);
    EXPECT_EQ(after, joined_further(before, merges_of(now), static_cast<size_t>(old.merge_count())))
        << text;
    shorter += after.size() < before.size();
  }
  EXPECT_GT(shorter, 30u);
  EXPECT_EQ(now.encode(kEnglish), old.encode(kEnglish));
}

TEST(AddPieces, TakesTokensThatAreThereOnTheWay) {
  const Tokenizer old = byte_level();
  // "xyz" needs "xy", and "xyzw" then only one more.
  const TokenizerWithPieces made = add_pieces(old, std::vector<std::string>{"xyz", "xyzw", "xy"});
  EXPECT_EQ(made.steps, 0);
  EXPECT_EQ(made.tokenizer.vocab_size(), old.vocab_size() + 3);
  // A token of the old ones that its own merges did not reach from here: no second one is made.
  const TokenizerWithPieces again = add_pieces(made.tokenizer, std::vector<std::string>{"xyxy"});
  EXPECT_EQ(again.steps, 0);
  EXPECT_EQ(again.tokenizer.encode("xyxy"), again.ids);
  // The merges that were there first come first.
  EXPECT_EQ(again.tokenizer.encode("xyxyz"), (Ids{made.ids[2], made.ids[0]}));
}

TEST(AddPieces, RefusesWhatCannotBeFound) {
  const Tokenizer old = byte_level();
  const auto error = [&](std::vector<std::string> pieces) {
    return error_of([&] { add_pieces(old, pieces); });
  };
  EXPECT_NE(error({""}).find("an empty token cannot be found"), std::string::npos);
  EXPECT_NE(error({"ab\xFF"}).find("is not valid UTF-8"), std::string::npos);
  EXPECT_NE(error({"xy", "xy"}).find("'xy' is listed twice"), std::string::npos);
  EXPECT_NE(error({" the"}).find("' the' is a token already; leave it out"), std::string::npos);
  EXPECT_NE(error({"<|end|>"}).find("'<|end|>' is a token already"), std::string::npos);
  EXPECT_NE(error({"two words"}).find("'two words' would never be found"), std::string::npos);
  const Tokenizer words = Tokenizer::from_json(
      R"({"model": {"type": "WordLevel", "vocab": {"a": 0, "?": 1}, "unk_token": "?"}})", "w");
  EXPECT_NE(error_of([&] {
              add_pieces(words, std::vector<std::string>{"b"});
            }).find("expected byte-level BPE"),
            std::string::npos);
}

TEST(ExtendTokenizer, SaysWhatCannotBe) {
  const Tokenizer old = byte_level();
  EXPECT_NE(error_of([&] { extended(old, {"xy xy"}, 40); }).find("give more text"),
            std::string::npos);
  EXPECT_NE(error_of([&] { extended(old, {"xy"}, 0); }).find("0 new pieces, expected 1 to"),
            std::string::npos);
  const Tokenizer words = Tokenizer::from_json(
      R"({"model": {"type": "WordLevel", "vocab": {"a": 0, "?": 1}, "unk_token": "?"}})", "w");
  EXPECT_NE(error_of([&] { extended(words, {"a"}, 1); }).find("expected byte-level BPE"),
            std::string::npos);
  SentencePieceFile spaces = llama_like();
  spaces.treat_whitespace_as_suffix = true;
  const Tokenizer other = sentencepiece_tokenizer(std::move(spaces), "s");
  EXPECT_NE(error_of([&] { extended(other, {"a"}, 1); }).find("white space behind words"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe
