#include "lathe/text/format/token_sections.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/text/tokenizer.h"
#include "text/guarded_text.h"
#include "text/random_text.h"
#include "text/sample_json.h"

namespace lathe {
namespace {

using text_json::Json;

TokenSections sorted(TokenSections sections) {
  std::ranges::sort(sections.vocab);  // a tree of values has its keys in order
  return sections;
}

void expect_same(std::string_view json) {
  const std::optional<CutDocument> cut = cut_token_sections(json);
  ASSERT_TRUE(cut.has_value()) << json;
  Json whole = Json::parse(json);
  const TokenSections wanted = token_sections(whole["model"], "test");
  EXPECT_EQ(sorted(cut->sections).vocab, sorted(wanted).vocab);
  EXPECT_EQ(cut->sections.merges, wanted.merges);
  EXPECT_EQ(cut->sections.scores, wanted.scores);
  for (const char* list : {"vocab", "merges"})
    if (whole["model"].contains(list)) whole["model"][list].clear();
  EXPECT_EQ(cut->rest, whole);
}

TEST(TokenSections, AreThoseOfTheWholeDocument) {
  for (bool pairs : {false, true}) {
    testing::SampleJson sample;
    sample.merges_as_pairs = pairs;
    sample.added = R"([{"id": 300, "content": "]}\",{[", "special": true}])";
    const std::string json = testing::sample_json(sample);
    expect_same(json);
    expect_same(Json::parse(json).dump(2));
    expect_same(Json::parse(json).dump(-1, ' ', true));  // \u0120 for Ġ
  }
  expect_same(R"({"model":{"merges":[],"vocab":{}}})");
  expect_same(R"({"model":{"vocab":{"a": 1}}})");
  expect_same(
      R"({"model":{"unk_id": 1, "vocab":[["a", -1.5e-3], [ "\u0061b" , 0 ],["c",-12.25],["d",7]]}})");
  expect_same(
      " {\"a\" : [1, {\"vocab\": 3}] ,\n\t\"model\" : { \"x\":-1.5e3 , \"merges\" : [ \"a b\" , "
      "[ \"\\\"\" , \"\\\\\" ] ] , \"vocab\" : { \"\\ud83d\\ude00\" : 0 , \"b\":2147483647 } } } ");
}

TEST(TokenSections, LeavesEverythingElseToTheParser) {
  const auto model = [](std::string_view vocab, std::string_view merges) {
    return fmt::format(R"({{"model": {{"vocab": {}, "merges": {}}}}})", vocab, merges);
  };
  ASSERT_TRUE(cut_token_sections(model(R"({"a": 0})", R"(["a b"])")).has_value());
  for (const char* vocab : {"null",
                            R"(["a"])",
                            R"([["a"]])",
                            R"([["a", 1, 2]])",
                            R"([["a", 01]])",
                            R"([["a", 1.]])",
                            R"([["a", .5]])",
                            R"([["a", +1]])",
                            R"([["a", 1e999]])",
                            R"([["a", nan]])",
                            R"([["a", 1.e2]])",
                            R"([["a", -]])",
                            R"({"a": -1})",
                            R"({"a": 01})",
                            R"({"a": 1.0})",
                            R"({"a": 1e2})",
                            R"({"a": 2147483648})",
                            R"({"a": "1"})",
                            R"({"a": })",
                            R"({"a": 1,})",
                            R"({"a" 1})",
                            R"({"a": 1)",
                            "{\"a\n\": 1}",
                            R"({"\ud800": 1})",
                            R"({"\q": 1})"})
    EXPECT_FALSE(cut_token_sections(model(vocab, "[]")).has_value()) << vocab;
  for (const char* merges :
       {"null", "{}", R"(["ab"])", R"(["a b c"])", R"([["a"]])", R"([["a", "b", "c"]])",
        R"([["a", 1]])", R"(["a b",])", R"(["a b")", R"([1])"})
    EXPECT_FALSE(cut_token_sections(model("{}", merges)).has_value()) << merges;
  for (const char* json :
       {"", "[]", "{", R"({"model": {}})", R"({"model": {"vocab": {}, "merges": [], "vocab": {}}})",
        R"({"model": {"vocab": {}, "merges": []}, "model": {}})",
        R"({"model": {"vocab": {}, "merges": []}} x)", R"({"model": {"vocab": {}, "merges": []})",
        R"({"model": {"vocab": {}, "merges": [], "x": tru}})",
        "{\"model\": {\"vocab\": {}, \"merges\": []"
        ", \"x\": \"\xFF\"}}"})
    EXPECT_FALSE(cut_token_sections(json).has_value()) << json;
}

TEST(TokenSections, ADocumentCutShortIsReadToItsEndOnly) {
  const std::string_view whole =
      R"( { "a" : [ 1 , "\"" ] , "model" : { "merges" : [ "a b" , [ "\u0061" , "b" ] ] , )"
      R"("vocab" : { "a" : 0 , "b" : 12 } } } )";
  ASSERT_TRUE(cut_token_sections(whole).has_value());
  const size_t closed = whole.rfind('}') + 1;
  testing::GuardedText memory(whole.size());
  for (size_t n = 0; n <= whole.size(); ++n)
    EXPECT_EQ(cut_token_sections(memory.hold(whole.substr(0, n))).has_value(), n >= closed) << n;
}

TEST(TokenSections, DamageIsNeverReadAsSomethingElse) {
  testing::SampleJson sample;
  const std::string good = testing::sample_json(sample);
  testing::Dice dice(31);
  int cut_anyway = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string json = good;
    for (uint64_t n = 1 + dice.below(2); n > 0; --n)
      json[dice.below(json.size())] = "\"\\{}[],: 0a"[dice.below(11)];
    const std::optional<CutDocument> cut = cut_token_sections(json);
    if (!cut || !is_valid_utf8(json)) continue;
    ++cut_anyway;
    const Json whole = Json::parse(json, nullptr, false);
    ASSERT_FALSE(whole.is_discarded()) << json;
    // A key that is there twice: the one tree keeps the later, the other list both.
    const TokenSections wanted = token_sections(whole["model"], "test");
    if (wanted.vocab.size() == cut->sections.vocab.size()) {
      EXPECT_EQ(sorted(cut->sections).vocab, sorted(wanted).vocab);
    }
    EXPECT_EQ(cut->sections.merges, wanted.merges);
  }
  EXPECT_GT(cut_anyway, 100);
}

TEST(TokenSections, ATokenIsValidUtf8AndThereOnce) {
  const auto load = [](std::string_view vocab) {
    return Tokenizer::from_json(
        fmt::format(
            R"({{"pre_tokenizer": {{"type": "ByteLevel"}}, "decoder": {{"type": "ByteLevel"}},
                        "model": {{"vocab": {}, "merges": []}}}})",
            vocab),
        "test");
  };
  EXPECT_EQ(load(R"({"a": 0, "b": 1})").vocab_size(), 2);
  EXPECT_THROW(load("{\"a\": 0, \"\xE4\xB8\": 1}"), Error);
  EXPECT_THROW(load(R"({"a": 0, "a": 1})"), Error);
}

}  // namespace
}  // namespace lathe
