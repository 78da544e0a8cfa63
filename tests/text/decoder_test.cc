#include "lathe/text/decode/decoder.h"

#include <gtest/gtest.h>

#include <set>

#include "lathe/base/error.h"
#include "text/component_samples.h"
#include "text/random_text.h"

namespace lathe {
namespace {

using Tokens = std::vector<std::string>;

Decoder make(std::string_view json) {
  return Decoder::from_json(text_json::parse(json, "test"), "test");
}

constexpr const char* kLlama =
    R"({"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
        {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})";

// What each token and then the end of the stream adds.
Tokens deltas(std::string_view json, const Tokens& tokens) {
  const Decoder decoder = make(json);
  Decoder::Stream stream = decoder.stream();
  Tokens added(1);
  for (const std::string& token : tokens) {
    stream.push(token, added.back());
    added.emplace_back();
  }
  stream.finish(added.back());
  return added;
}

TEST(Decoder, SamplesNameEveryTypeOfTheCatalogue) {
  std::set<std::string> used, known;
  for (const char* text : testing::kDecoderSamples) {
    const text_json::Json json = text_json::parse(text, "test");
    if (!json.is_null()) used.insert(json["type"].get<std::string>());
  }
  for (const DecoderEntry& entry : kDecoders) known.emplace(entry.name);
  EXPECT_EQ(used, known);
}

TEST(Decoder, HandsOnWhatIsCertain) {
  EXPECT_EQ(deltas(kLlama, {"▁▁a", "<0xE4>", "<0xB8>", "▁b"}),
            (Tokens{" a", "\xE4", "\xB8", " b", ""}));
  EXPECT_EQ(deltas(R"({"type": "BPEDecoder", "suffix": "</w>"})", {"a", "b</w>c", "d</w>"}),
            (Tokens{"a", "b", " cd", ""}));
  EXPECT_EQ(deltas(R"({"type": "Sequence", "decoders": [{"type": "Fuse"},
                       {"type": "Strip", "content": " ", "start": 0, "stop": 2}]})",
                   {"a ", "  ", " b", " "}),
            (Tokens{"a", " ", "   b", "", ""}));
  EXPECT_EQ(deltas(R"({"type": "Sequence", "decoders": [{"type": "Fuse"},
                       {"type": "Replace", "pattern": {"String": "aab"}, "content": "-"}]})",
                   {"xa", "a", "a", "b", "aa"}),
            (Tokens{"x", "", "a", "-", "", "aa"}));
  EXPECT_EQ(deltas(R"({"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|",
                       "cleanup": true})",
                   {"h", "h", "<pad>", "h", "|"}),
            (Tokens{"h", "", "", "h", " ", ""}));
  EXPECT_EQ(deltas("null", {"a", "b"}), (Tokens{"a", " b", ""}));
}

TEST(Decoder, KeepsBytesThatAreNotUtf8) {
  EXPECT_EQ(deltas(R"({"type": "ByteFallback"})", {"<0xE4>", "a"}), (Tokens{"\xE4", "a", ""}));
  EXPECT_EQ(deltas(R"({"type": "ByteLevel"})", {"ä", "a"}), (Tokens{"\xE4", "a", ""}));
  // The run is not UTF-8, so its bytes are tokens of their own, and the last token is another.
  EXPECT_EQ(deltas(R"({"type": "Sequence", "decoders": [{"type": "ByteFallback"},
                       {"type": "Strip", "content": "a", "start": 1, "stop": 0}]})",
                   {"<0x61>", "<0xE4>", "<0x61>", "aa"}),
            (Tokens{"", "", "",
                    "\xE4"
                    "a",
                    ""}));
}

TEST(Decoder, TextInTheMiddle) {
  EXPECT_EQ(make(kLlama).text_in_the_middle("▁the"), " the");
  EXPECT_EQ(make(kLlama).text_in_the_middle("<0x0A>"), "\n");
  const Decoder word_piece = make(R"({"type": "WordPiece", "prefix": "##", "cleanup": true})");
  EXPECT_EQ(word_piece.text_in_the_middle("##ing"), "ing");
  EXPECT_EQ(word_piece.text_in_the_middle("the"), " the");
  EXPECT_EQ(word_piece.text_in_the_middle("."), ".");
  EXPECT_EQ(make(R"({"type": "BPEDecoder", "suffix": "</w>"})").text_in_the_middle("a</w>"), "a ");
  EXPECT_EQ(make(R"({"type": "ByteLevel"})").text_in_the_middle("Ġthe"), " the");
  EXPECT_EQ(make("null").text_in_the_middle("a"), " a");
}

TEST(Decoder, ChainsOfTheLargeFamiliesBecomeSteady) {
  const auto steady_after = [](std::string_view json, const Tokens& tokens) {
    const Decoder decoder = make(json);
    Decoder::Stream stream = decoder.stream();
    std::string out;
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (stream.steady()) return static_cast<int>(i);
      stream.push(tokens[i], out);
    }
    return stream.steady() ? static_cast<int>(tokens.size()) : -1;
  };
  EXPECT_EQ(steady_after(kLlama, {"", "▁", "a", "b"}), 2);
  EXPECT_EQ(steady_after(kLlama, {"a", "b"}), 1);
  EXPECT_EQ(steady_after(R"({"type": "WordPiece", "prefix": "##", "cleanup": true})", {"a", "b"}),
            1);
  EXPECT_EQ(steady_after(R"({"type": "Metaspace", "replacement": "▁"})", {"▁", "b"}), 1);
  EXPECT_EQ(steady_after(R"({"type": "ByteLevel"})", {"a", "b"}), 1);
  EXPECT_EQ(steady_after(R"({"type": "BPEDecoder", "suffix": "</w>"})", {"a", "b"}), -1);
  EXPECT_FALSE(make(R"({"type": "BPEDecoder", "suffix": "</w>"})").token_local());
  EXPECT_TRUE(make(kLlama).token_local());
}

std::string random_token(testing::Dice& dice) {
  static const Tokens kTokens = {
      "",       "▁",     "▁▁",     "▁a",     " ",      "  a",    "##s", "##",  ".",  "n't",
      "do not", "'s",    "<0x41>", "<0xE4>", "<0xB8>", "<0xAD>", "Ġ",   "Ġa",  "Ċ",  "<pad>",
      "|",      "a</w>", "</w>",   "aab",    "aa",     "ab",     "b",   "aaa", "中", "a|b"};
  if (dice.below(5) > 0) return kTokens[dice.below(kTokens.size())];
  return dice.below(2) ? testing::random_text(dice, dice.below(4))
                       : testing::random_bytes(dice, dice.below(4));
}

TEST(Decoder, SteadyStreamsAddTheTextInTheMiddle) {
  testing::Dice dice(41);
  for (const char* json : testing::kDecoderSamples) {
    const Decoder decoder = make(json);
    Decoder::Stream pushed = decoder.stream();  // used again and again
    bool was_steady = false;
    for (int round = 0; round < 300; ++round) {
      Decoder::Stream mixed = decoder.stream();
      std::string by_push, by_table;
      for (uint64_t n = dice.below(12); n > 0; --n) {
        const std::string token = random_token(dice);
        pushed.push(token, by_push);
        if (mixed.steady()) {
          by_table += decoder.text_in_the_middle(token);
          was_steady = true;
        } else {
          mixed.push(token, by_table);
        }
        ASSERT_EQ(by_push, by_table) << json;
      }
      pushed.finish(by_push);
      mixed.finish(by_table);
      ASSERT_EQ(by_push, by_table) << json;
    }
    EXPECT_EQ(was_steady, decoder.token_local()) << json;
  }
}

TEST(Decoder, HostileTokensTakeTheirTime) {
  for (const char* json : testing::kDecoderSamples) {
    const Decoder decoder = make(json);
    for (const char* token : {"a", "aa", "▁", " ", "<0xE4>", "</w>", "\x80", "x"}) {
      Decoder::Stream stream = decoder.stream();
      std::string out;
      for (int i = 0; i < 50000; ++i) stream.push(token, out);
      stream.finish(out);
      EXPECT_LE(out.size(), 50000u * 16);
    }
  }
}

TEST(Decoder, RefusesWhatItDoesNotKnow) {
  for (
      const char* bad :
      {R"({"type": "Magic"})", R"({})", R"([])",
       R"({"type": "Strip", "content": "ab", "start": 0, "stop": 0})",
       R"({"type": "Strip", "content": "a", "start": -1, "stop": 0})",
       R"({"type": "WordPiece", "prefix": "##"})", R"({"type": "BPEDecoder"})",
       R"({"type": "Metaspace", "replacement": "ab"})",
       R"({"type": "Metaspace", "replacement": "a", "prepend_scheme": "last"})",
       R"({"type": "Metaspace", "replacement": "a", "prepend_scheme": "first", "add_prefix_space": false})",
       R"({"type": "Replace", "pattern": {"Regex": "("}, "content": ""})",
       R"({"type": "CTC", "pad_token": "a"})", R"({"type": "Sequence"})"})
    EXPECT_THROW(make(bad), Error) << bad;
  text_json::Json many = {{"type", "Sequence"}, {"decoders", text_json::Json::array()}};
  while (many["decoders"].size() <= Decoder::kMaxSteps)
    many["decoders"].push_back({{"type", "Fuse"}});
  EXPECT_THROW(Decoder::from_json(many, "test"), Error);
}

}  // namespace
}  // namespace lathe
