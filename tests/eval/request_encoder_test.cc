// Where the border between prompt and continuation falls among the tokens.
#include "lathe/eval/ask/request_encoder.h"

#include <gtest/gtest.h>

#include "io/temp_folder.h"

namespace lathe {
namespace {

using Ids = std::vector<int32_t>;

// Letters a (0) to d (3), a blank (4), "a " (5), " b" (6), "ab" (7), and the token that begins texts (8).
Tokenizer tokenizer(bool adds_begin = false) {
  std::string json =
      R"({"pre_tokenizer": null, "decoder": {"type": "Fuse"}, "model": {"type": "BPE",
"merges": ["a  ", "  b", "a b"], "vocab": {"a": 0, "b": 1, "c": 2, "d": 3, " ": 4, "a ": 5, " b": 6, "ab": 7}},
"added_tokens": [{"id": 8, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
"normalized": false, "special": true}])";
  // A merge is written as its two parts with a blank between, so that those with a blank need a list.
  const std::string merges = R"(["a  ", "  b", "a b"])";
  json.replace(json.find(merges), merges.size(), R"([["a", " "], [" ", "b"], ["a", "b"]])");
  if (adds_begin)
    json +=
        R"(, "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>",
"type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [], "special_tokens": {"<s>": {"id": "<s>",
"ids": [8], "tokens": ["<s>"]}}})";
  return Tokenizer::from_json(json + "}", "test");
}

RequestRules rules(int64_t most = 100) {
  return {.most_tokens = most, .prefix = 8, .begin_text = "<s>"};
}

TEST(RequestEncoder, BlanksAtTheEndOfThePromptBelongToTheContinuation) {
  const Tokenizer t = tokenizer();
  const RequestEncoder encoder(t, rules());
  const EncodedRequest r = encoder.encode("cd ", "b");
  EXPECT_EQ(r.text.tokens, (Ids{2, 3, 6}));  // not "cd", " ", "b"
  EXPECT_EQ(r.text.context, 2);
  EXPECT_EQ(encoder.encode("cd", " b").text.tokens, r.text.tokens);
}

// Together "ab" is one token: the border is behind as many tokens as the prompt has alone.
TEST(RequestEncoder, BothAreEncodedTogetherAndCutAtTheLengthOfThePrompt) {
  const Tokenizer t = tokenizer();
  const EncodedRequest r = RequestEncoder(t, rules()).encode("ca", "bd");
  EXPECT_EQ(r.text.tokens, (Ids{2, 7, 3}));
  EXPECT_EQ(r.text.context, 2);
}

TEST(RequestEncoder, AnEmptyPromptIsTheTokenThatBeginsATextAndIsNeverTwice) {
  for (const bool adds : {false, true}) {
    const Tokenizer t = tokenizer(adds);
    const RequestEncoder encoder(t, rules());
    for (const char* prompt : {"", " "}) {
      const EncodedRequest r = encoder.encode(prompt, "c");
      EXPECT_EQ(r.text.tokens, *prompt ? (Ids{8, 4, 2}) : (Ids{8, 2}));
      EXPECT_EQ(r.text.context, 1);
    }
    EXPECT_EQ(encoder.encode("", "<s>c").text.tokens, (Ids{8, 2}));
    EXPECT_EQ(encoder.encode("<s>c", "d").text.tokens, (Ids{8, 2, 3}));
    EXPECT_EQ(encoder.encode("c", "d").text.tokens, adds ? (Ids{8, 2, 3}) : (Ids{2, 3}));
  }
}

TEST(RequestEncoder, WhatTheModelDoesNotReadIsCutFromTheLeft) {
  const Tokenizer t = tokenizer();
  const RequestEncoder encoder(t, rules(3));
  const EncodedRequest r = encoder.encode("ccdcd", "dc");
  EXPECT_EQ(r.text.tokens,
            (Ids{2, 3, 3, 2}));  // three are read, and the last one is only predicted
  EXPECT_EQ(r.text.context, 2);
  EXPECT_TRUE(r.truncated);
  EXPECT_FALSE(encoder.encode("cd", "dc").truncated);
  EXPECT_NE(error_text([&] {
              encoder.encode("c", "dddd");
            }).find("has 4 tokens, but the model reads at most 3"),
            std::string::npos);
  EXPECT_NE(error_text([&] { encoder.encode("c", ""); }).find("has no token of its own"),
            std::string::npos);
}

// Every token is predicted once; each window but the first reads what fits before it.
TEST(RequestEncoder, WindowsOfAText) {
  const Tokenizer t = tokenizer();
  const RequestEncoder encoder(t, rules(3));
  const auto windows = encoder.windows("cdcdcdcd");
  ASSERT_EQ(windows.size(), 3u);
  EXPECT_EQ(windows[0].tokens, (Ids{8, 2, 3, 2}));
  EXPECT_EQ(windows[0].context, 1);
  EXPECT_EQ(windows[1].tokens, (Ids{2, 3, 2, 3}));
  EXPECT_EQ(windows[1].context, 1);
  EXPECT_EQ(windows[2].tokens, (Ids{2, 3, 2, 3}));
  EXPECT_EQ(windows[2].context, 2);
  EXPECT_EQ(encoder.windows("cd")[0].tokens, (Ids{8, 2, 3}));
}

TEST(RequestEncoder, APromptLeavesRoomForTheAnswer) {
  const Tokenizer t = tokenizer();
  const RequestEncoder encoder(t, rules(5));
  EXPECT_EQ(encoder.prompt("cdcd", 3).tokens, (Ids{2, 3}));
  EXPECT_TRUE(encoder.prompt("cdcd", 3).truncated);
  EXPECT_EQ(encoder.prompt("", 3).tokens, Ids{8});
  EXPECT_NE(error_text([&] { encoder.prompt("c", 5); }).find("max_tokens is 5"), std::string::npos);
}

}  // namespace
}  // namespace lathe
