#include <gtest/gtest.h>

#include "lathe/documents/cut/cutter.h"
#include "lathe/documents/cut/sentences.h"
#include "lathe/documents/cut/words.h"

namespace lathe {
namespace {

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> out;
  for_each_word(text, [&](const std::string& word) { out.push_back(word); });
  return out;
}

std::vector<std::string> sentences_of(std::string_view text) {
  std::vector<std::string> out;
  int64_t begin = 0;
  for (const int64_t end : sentence_ends(text)) {
    out.emplace_back(text.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin)));
    begin = end;
  }
  return out;
}

using Strings = std::vector<std::string>;

TEST(Words, OfSeveralScripts) {
  EXPECT_EQ(words_of("The HERON's nest, K1234-567!"),
            (Strings{"the", "heron's", "nest", "k1234", "567"}));
  EXPECT_EQ(words_of("Stra\xC3\x9F"
                     "e \xC3\x89T\xC3\x89"),
            (Strings{"strasse", "\xC3\xA9t\xC3\xA9"}));
  EXPECT_EQ(words_of("王之渙 x"), (Strings{"王", "之", "王之", "渙", "之渙", "x"}));
  EXPECT_EQ(words_of("水。火"), (Strings{"水", "火"}));
  EXPECT_TRUE(words_of("...  \n").empty());
  EXPECT_EQ(words_of(std::string(1000, 'x')).front().size(), 64u);
}

TEST(Sentences, EndWhereTheyEnd) {
  EXPECT_EQ(sentences_of("Dr. Smith met Mr. Jones. He left!"),
            (Strings{"Dr. Smith met Mr. Jones. ", "He left!"}));
  EXPECT_EQ(sentences_of("他来了。他走了。"), (Strings{"他来了。", "他走了。"}));
  EXPECT_TRUE(sentence_ends("").empty());
}

// Four letters are a token.
int64_t tokens(std::string_view text) { return (std::ssize(text) + 3) / 4; }

TEST(Cut, PacksNeighboursUnderTheirHeading) {
  const std::string text =
      "# One\n\nfirst paragraph\n\nsecond paragraph\n\n## Two\n\nthird\n\n# Three\n";
  const auto chunks = cut(text, read_document(text, ".md"), {.chunk_tokens = 20, .tokens = tokens});
  ASSERT_EQ(chunks.size(), 3u);
  EXPECT_EQ(chunks[0].trail, "One");
  EXPECT_EQ(chunks[0].pieces.size(), 2u);
  EXPECT_EQ(chunks[0].pieces[0].words, "One\nfirst paragraph");
  EXPECT_EQ(text.substr(0, 40), text.substr(static_cast<size_t>(chunks[0].begin),
                                            static_cast<size_t>(chunks[0].end - chunks[0].begin)));
  EXPECT_EQ(chunks[1].trail, "One > Two");
  EXPECT_EQ(chunks[2].trail, "Three");
  EXPECT_EQ(chunks[2].pieces[0].words, "Three");
}

TEST(Cut, LongParagraphsBehindSentences) {
  std::string text;
  for (int i = 0; i < 40; ++i) text += "Sentence number " + std::to_string(100 + i) + ". ";
  const auto chunks =
      cut(text, read_document(text, ".txt"), {.chunk_tokens = 30, .overlap = 6, .tokens = tokens});
  ASSERT_GT(chunks.size(), 5u);
  EXPECT_EQ(chunks.front().begin, 0);
  EXPECT_EQ(chunks.back().end, std::ssize(text) - 1);
  for (size_t i = 0; i < chunks.size(); ++i) {
    const std::string& words = chunks[i].pieces[0].words;
    EXPECT_TRUE(words.starts_with("Sentence")) << words;
    EXPECT_LE(tokens(words), 30);
    if (i > 0) {
      EXPECT_LT(chunks[i].begin, chunks[i - 1].end);
    }
  }
}

TEST(Cut, WhatHasNoBlanksWithinCharacters) {
  std::string text;
  while (text.size() < 60'000) text += "水";
  const auto chunks = cut(text, read_document(text, ".txt"),
                          {.chunk_tokens = 100, .tokens = [](std::string_view) { return 1; }});
  EXPECT_GT(chunks.size(), 5u);
  for (const Chunk& chunk : chunks) {
    EXPECT_LE(chunk.end - chunk.begin, 8000);
    EXPECT_EQ(chunk.begin % 3, 0);
  }
}

}  // namespace
}  // namespace lathe
