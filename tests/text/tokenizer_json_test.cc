// Damaged and foreign tokenizer.json files: an Error that says what is wrong, never a crash.
#include <gtest/gtest.h>

#include "lathe/base/error.h"
#include "lathe/text/tokenizer.h"
#include "text/random_text.h"
#include "text/sample_json.h"

namespace lathe {
namespace {

using testing::sample_json;
using testing::SampleJson;

std::string error_of(const std::string& json) {
  try {
    Tokenizer::from_json(json, "file.json");
  } catch (const Error& e) {
    EXPECT_EQ(static_cast<int>(e.kind()), static_cast<int>(ErrorKind::kFormat)) << e.what();
    return e.what();
  }
  return "";
}

// A document with the given model.
std::string with_model(const std::string& model) {
  return R"({"pre_tokenizer": {"type": "ByteLevel"}, "model": )" + model + "}";
}

void expect_error(const std::string& json, const std::string& part) {
  const std::string message = error_of(json);
  EXPECT_NE(message.find(part), std::string::npos) << json << "\n gave: " << message;
  EXPECT_NE(message.find("file.json"), std::string::npos) << message;
}

TEST(TokenizerJson, AcceptsBothSpellingsOfMerges) {
  SampleJson s;
  const Tokenizer strings = Tokenizer::from_json(sample_json(s), "test");
  s.merges_as_pairs = true;
  EXPECT_EQ(Tokenizer::from_json(sample_json(s), "test").to_json(), strings.to_json());
}

TEST(TokenizerJson, SaysWhatIsWrong) {
  expect_error("", "not valid JSON");
  expect_error("{", "not valid JSON");
  expect_error("\"\xFF\"", "not valid JSON");
  expect_error("[]", "the document is a array");
  expect_error("{}", "'model' is missing");
  expect_error(with_model("3"), "'model' is a number");
  expect_error(with_model(R"({"type": "Unigram"})"), "model type 'Unigram' is not supported");
  expect_error(with_model(R"({"type": "WordPiece"})"), "byte-level BPE");
  expect_error(with_model(R"({"unk_id": 0, "vocab": []})"), "'Unigram'");
  expect_error(with_model(R"({"type": "BPE", "merges": []})"), "'vocab' is missing");
  expect_error(with_model(R"({"type": "BPE", "vocab": [], "merges": []})"), "'vocab' is a array");
  expect_error(with_model(R"({"type": "BPE", "vocab": {"a": "0"}, "merges": []})"), "the id of a");
  expect_error(with_model(R"({"type": "BPE", "vocab": {"a": -1}, "merges": []})"), "the id of a");
  expect_error(with_model(R"({"type": "BPE", "vocab": {"a": 1.5}, "merges": []})"), "the id of a");
  expect_error(with_model(R"({"type": "BPE", "vocab": {"a": 1e99}, "merges": []})"), "the id of a");
  expect_error(with_model(R"({"type": "BPE", "vocab": {"a": 99999999}, "merges": []})"), "has id");
  expect_error(with_model(R"({"type": "BPE", "vocab": {"a": 0, "b": 0}, "merges": []})"), "id 0");
  expect_error(with_model(R"({"type": "BPE", "vocab": {"a": 0}})"), "'merges' is missing");
  expect_error(with_model(R"({"type": "BPE", "vocab": {"a": 0}, "merges": {}})"), "'merges' is a");
  expect_error(with_model(R"({"type": "BPE", "vocab": {"a": 0}, "merges": ["a"]})"), "merge 0");
  expect_error(with_model(R"({"type": "BPE", "vocab": {"a": 0}, "merges": ["a a a"]})"), "merge 0");
  expect_error(with_model(R"({"type": "BPE", "vocab": {"a": 0}, "merges": [["a"]]})"), "merge 0");
  expect_error(with_model(R"({"type": "BPE", "vocab": {"a": 0}, "merges": ["a a"]})"), "'aa'");
  expect_error(with_model(R"({"type": "BPE", "vocab": {"a": 0}, "merges": [], "dropout": 0.1})"),
               "'dropout'");
  expect_error(
      with_model(
          R"({"type": "BPE", "vocab": {"a": 0}, "merges": [], "end_of_word_suffix": "</w>"})"),
      "'end_of_word_suffix'");
  expect_error(with_model(R"({"type": "BPE", "vocab": {"a": 0}, "merges": [], "unk_token": "?"})"),
               "unk_token");
  expect_error(
      with_model(R"({"type": "BPE", "vocab": {"a": 0}, "merges": [], "byte_fallback": true})"),
      "byte_fallback");
}

TEST(TokenizerJson, RefusesComponentsItDoesNotKnow) {
  const auto check = [](auto&& change, const std::string& part) {
    SampleJson s;
    change(s);
    expect_error(sample_json(s), part);
  };
  check([](SampleJson& s) { s.pre_tokenizer = "null"; }, "no ByteLevel");
  check([](SampleJson& s) { s.pre_tokenizer = R"({"type": "Sideways"})"; }, "'Sideways'");
  check([](SampleJson& s) { s.normalizer = R"({"type": "Sideways"})"; }, "'Sideways'");
  check([](SampleJson& s) { s.normalizer = R"({"type": "Replace", "pattern": 1, "content": ""})"; },
        "Replace");
  check([](SampleJson& s) { s.decoder = R"({"type": "WordPiece"})"; }, "'WordPiece'");
  check([](SampleJson& s) { s.post_processor = R"({"type": "Magic"})"; }, "'Magic'");
  check([](SampleJson& s) { s.post_processor = R"({"type": "TemplateProcessing"})"; },
        "special_tokens");
  check(
      [](SampleJson& s) {
        s.post_processor = R"({"type": "BertProcessing", "cls": ["a", 9999], "sep": ["b", 1]})";
      },
      "9999");
  check([](SampleJson& s) { s.added = "{}"; }, "'added_tokens'");
  check([](SampleJson& s) { s.added = "[1]"; }, "added token");
}

TEST(TokenizerJson, DeepNestingIsAnErrorNotACrash) {
  EXPECT_FALSE(error_of(std::string(200000, '[')).empty());
  std::string deep = "null";
  for (int i = 0; i < 100; ++i) deep = R"({"type": "Sequence", "normalizers": [)" + deep + "]}";
  SampleJson s;
  s.normalizer = deep;
  expect_error(sample_json(s), "nested more than 64");
  deep = std::string(20000, '[') + std::string(20000, ']');
  s.normalizer = deep;
  expect_error(sample_json(s), "nested more than 256");
}

// Every mutation either loads, and then works, or is refused with an Error.
TEST(TokenizerJson, MutationsNeverCrash) {
  SampleJson s;
  s.normalizer = R"({"type": "Sequence", "normalizers": [{"type": "NFC"}]})";
  s.pre_tokenizer = R"({"type": "Sequence", "pretokenizers": [
      {"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}|[^a-c]+"}, "behavior": "Isolated", "invert": false},
      {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]})";
  s.added =
      R"([{"id": 300, "content": "<a>", "special": true, "normalized": false, "lstrip": true}])";
  const std::string good = sample_json(s);
  testing::Dice dice(99);
  int loaded = 0, refused = 0;
  for (int round = 0; round < 600; ++round) {
    std::string json = good;
    for (uint64_t n = 1 + dice.below(2); n > 0; --n) {
      // Half of the changes fall on the components before the vocabulary.
      const size_t region = dice.below(2) ? json.size() : std::min<size_t>(json.size(), 700);
      const size_t at = dice.below(region);
      const uint64_t change = dice.below(10);
      if (change < 6) {
        json[at] = static_cast<char>(change < 4 ? 0x20 + dice.below(0x5F) : dice.below(256));
      } else if (change < 8) {
        json.erase(at, 1 + dice.below(20));
      } else if (change < 9) {
        json.insert(at, json.substr(dice.below(json.size()), dice.below(30)));
      } else {
        json.resize(at);
        json += "x";
      }
    }
    try {
      const Tokenizer t = Tokenizer::from_json(json, "mutated");
      const std::string text = testing::random_text(dice, 30);
      for (int32_t id : t.encode(text)) EXPECT_TRUE(t.has(id));
      ++loaded;
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(loaded, 10);
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace lathe
