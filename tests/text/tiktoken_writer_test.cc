#include "lathe/text/format/tiktoken_writer.h"

#include <gtest/gtest.h>

#include "io/temp_folder.h"
#include "lathe/text/byte_alphabet.h"
#include "lathe/text/format/json_fields.h"
#include "text/random_text.h"

namespace lathe {
namespace {

using text_json::Json;
using Pairs = std::vector<std::pair<std::string, std::string>>;

// All bytes, in the order of their values, and then a token for each merge, in order.
Json document(const Pairs& merges) {
  Json vocab = Json::object(), list = Json::array();
  int id = 0;
  for (int b = 0; b < 256; ++b)
    vocab[to_byte_alphabet(std::string(1, static_cast<char>(b)))] = id++;
  for (const auto& [left, right] : merges) {
    if (!vocab.contains(left + right)) vocab[left + right] = id++;
    list.push_back({left, right});
  }
  return {{"added_tokens", Json::array()},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
          {"decoder", {{"type", "ByteLevel"}}},
          {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", list}}}};
}

Json sample() { return document({{"a", "b"}, {"Ġ", "ab"}, {"ab", "c"}, {"c", "c"}, {"Ġab", "c"}}); }

std::string refusal(const Json& json) {
  return error_text([&] { to_tiktoken(Tokenizer::from_json(json.dump(), "f")); });
}

void says(const Json& json, const char* what) {
  EXPECT_NE(refusal(json).find(what), std::string::npos) << refusal(json);
}

TEST(TiktokenWriter, SameIdsForEveryText) {
  const Tokenizer from = Tokenizer::from_json(sample().dump(), "f");
  const TiktokenFile file = to_tiktoken(from);
  EXPECT_EQ(file.pattern, Pattern::kGpt2);
  EXPECT_TRUE(file.added.empty());
  const Tokenizer to = Tokenizer::from_tiktoken(file.ranks, "g", file.pattern);
  for (uint64_t seed = 0; seed < 500; ++seed) {
    std::string text;
    testing::Dice dice(seed);
    for (int i = 0; i < 40; ++i) text += "ab c"[dice.below(4)];
    EXPECT_EQ(to.encode(text), from.encode(text)) << text;
  }
  EXPECT_EQ(to_tiktoken(to).ranks, file.ranks);
}

TEST(TiktokenWriter, EveryLengthOfBase64) {
  const TiktokenFile file = to_tiktoken(Tokenizer::from_json(sample().dump(), "f"));
  EXPECT_NE(file.ranks.find("YQ== 97\n"), std::string::npos);
  EXPECT_NE(file.ranks.find("YWI= 256\n"), std::string::npos);
  EXPECT_NE(file.ranks.find("YWJj 258\n"), std::string::npos);
  EXPECT_NE(file.ranks.find("/w== 255\n"), std::string::npos);
}

TEST(TiktokenWriter, AddedTokensAreGivenBeside) {
  Json json = sample();
  json["added_tokens"] = {{{"id", 261}, {"content", "<|x|>"}, {"special", true}},
                          {{"id", 262}, {"content", "  "}, {"special", false}},
                          {{"id", 97}, {"content", "a"}, {"special", false}}};
  const TiktokenFile file = to_tiktoken(Tokenizer::from_json(json.dump(), "f"));
  ASSERT_EQ(file.added.size(), 2u);
  EXPECT_EQ(file.added[0].content, "<|x|>");
  EXPECT_EQ(file.added[1].content, "  ");
  EXPECT_EQ(file.ranks.find(" 261"), std::string::npos);
  EXPECT_NE(file.ranks.find("YQ== 97\n"), std::string::npos);
}

TEST(TiktokenWriter, NamesWhatARankFileCannotHold) {
  Json json = sample();
  json["normalizer"] = {{"type", "NFC"}};
  says(json, "it has a normaliser");
  json = sample();
  json["pre_tokenizer"]["add_prefix_space"] = true;
  says(json, "not one of the patterns that can be named: gpt2 cl100k");
  json = sample();
  json["model"]["unk_token"] = "a";
  says(json, "it has an unknown token");
  json = sample();
  json["model"]["vocab"].erase(to_byte_alphabet("\xFF"));
  says(json, "the byte 0xFF has no token");
  json = sample();
  json["model"]["vocab"]["< >"] = 300;
  says(json, "token 300 is '< >', which is not a string of bytes");
  json = sample();
  std::swap(json["model"]["merges"][0], json["model"]["merges"][1]);
  says(json, "the merge to token 256 ('ab') comes behind the merge to token 257");
}

// "bc" comes before "ab", so that "abc" is never made of "ab" and "c", but by ranks it is made of
// "a" and "bc".
TEST(TiktokenWriter, RefusesMergesThatRanksWouldMakeOtherwise) {
  const Json json = document({{"b", "c"}, {"a", "b"}, {"ab", "c"}});
  says(json, "by ranks, 'a' and 'bc' would merge to token 258, which no merge says");
  // It is exact: both ways listed are one way by ranks.
  const Json both = document({{"b", "c"}, {"a", "b"}, {"a", "bc"}});
  EXPECT_EQ(refusal(both), "no error");
}

TEST(TiktokenWriter, TokensOutsideTheMerges) {
  Json json = sample();
  json["model"]["vocab"]["xyz"] = 300;
  says(json, "token 300 ('xyz') is not what its own bytes are merged to");
  json["model"]["ignore_merges"] = true;
  EXPECT_EQ(refusal(json), "no error");
  const Tokenizer from = Tokenizer::from_json(json.dump(), "f");
  const TiktokenFile file = to_tiktoken(from);
  const Tokenizer to = Tokenizer::from_tiktoken(file.ranks, "g", file.pattern);
  for (const char* text : {"xyz", "xyzz", "abc xyz"}) EXPECT_EQ(to.encode(text), from.encode(text));
}

}  // namespace
}  // namespace lathe
