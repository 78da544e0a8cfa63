#include "lathe/chat/text_stream.h"

#include <gtest/gtest.h>

#include "lathe/text/train/bpe_trainer.h"

namespace lathe {
namespace {

// Byte-level: one token a byte, and <end>.
const Tokenizer& bytes() {
  static const Tokenizer tokenizer = [] {
    BpeTrainOptions options;
    options.vocab_size = 257;
    options.special_tokens = {"<end>"};
    const std::string_view texts[] = {"a"};
    return train_bpe(texts, options).tokenizer;
  }();
  return tokenizer;
}

struct Streamed {
  std::string text, shown;
  bool stopped = false;
  size_t read = 0;  // tokens until the end
  std::vector<std::string> pieces;
};

Streamed stream(std::string_view text, const std::vector<std::string>& stop) {
  Streamed r;
  TextStream to(bytes(), stop, [&](std::string_view piece) {
    r.pieces.emplace_back(piece);
    r.shown += piece;
  });
  for (const int32_t id : bytes().encode(text)) {
    ++r.read;
    r.stopped = !to.push(id);
    if (r.stopped) break;
  }
  r.text = to.finish();
  return r;
}

TEST(TextStream, WithoutStopStringsEveryCharacterIsHandedOutAtOnce) {
  const Streamed r = stream("aé€<end>b", {});
  EXPECT_EQ(r.text, "aé€b");
  EXPECT_EQ(r.shown, r.text);
  EXPECT_EQ(r.pieces, (std::vector<std::string>{"a", "é", "€", "b"}));
}

TEST(TextStream, EndsAtAStopStringOfSeveralTokens) {
  const Streamed r = stream("one\n\ntwo", {"\n\n", ""});
  EXPECT_TRUE(r.stopped);
  EXPECT_EQ(r.text, "one");
  EXPECT_EQ(r.shown, "one") << "no part of the stop string was shown";
  EXPECT_EQ(r.read, 5u);
}

TEST(TextStream, WhatOnlyBeginsLikeAStopStringIsText) {
  const Streamed r = stream("a##b#", {"###"});
  EXPECT_FALSE(r.stopped);
  EXPECT_EQ(r.text, "a##b#");
  EXPECT_EQ(r.shown, r.text);
}

TEST(TextStream, NeverCutsACharacterWhileItWaits) {
  for (const std::string& piece : stream("ééééé", {"xyz"}).pieces)
    EXPECT_EQ(piece.size() % 2, 0u) << piece;
}

TEST(TextStream, IdsBeyondTheTokenizerAreNoText) {
  TextStream to(bytes(), {});
  EXPECT_TRUE(to.push(5000));
  EXPECT_TRUE(to.push(bytes().encode("x")[0]));
  EXPECT_EQ(to.finish(), "x");
}

}  // namespace
}  // namespace lathe
