#include "lathe/text/tokenizer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "io/temp_folder.h"
#include "lathe/base/env.h"
#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/text/format/sentencepiece_file.h"
#include "text/random_text.h"
#include "text/sample_json.h"

namespace lathe {
namespace {

using testing::sample_json;
using testing::SampleJson;
using Ids = std::vector<int32_t>;

Tokenizer make(const SampleJson& sample = {}) {
  return Tokenizer::from_json(sample_json(sample), "test");
}

std::vector<std::string> tokens(const Tokenizer& t, std::string_view text,
                                const EncodeOptions& options = {}) {
  std::vector<std::string> out;
  for (int32_t id : t.encode(text, options)) out.push_back(t.token_bytes(id));
  return out;
}

using Tokens = std::vector<std::string>;

TEST(Tokenizer, EncodesByMergeRank) {
  const Tokenizer t = make();
  EXPECT_EQ(tokens(t, "the cat, then"), (Tokens{"the", " c", "at", ",", " the", "n"}));
  EXPECT_EQ(tokens(t, ""), Tokens{});
  EXPECT_EQ(t.vocab_size(), testing::kSampleSize);
}

TEST(Tokenizer, ArbitraryBytesSurvive) {
  const Tokenizer t = make();
  testing::Dice dice(5);
  for (size_t size : {1, 2, 3, 100, 20000}) {
    const std::string bytes = testing::random_bytes(dice, size);
    EXPECT_EQ(t.decode(t.encode(bytes)), bytes);
    const std::string text = testing::random_text(dice, size);
    EXPECT_EQ(t.decode(t.encode(text)), text);
  }
}

TEST(Tokenizer, HostileTextsComeBack) {
  const Tokenizer t = make();
  std::string alternating, family;
  for (int i = 0; i < 100000; ++i) alternating += "ab";
  for (int i = 0; i < 500; ++i) family += "👩‍👩‍👧‍👦";
  for (const std::string& text :
       {std::string(" "), std::string("\n"), std::string(300000, 'a'), std::string(100000, ' '),
        alternating, family, std::string("\t\n \r\n  \u00a0\u3000x"),
        std::string("\u200b\ufeff\u202e"), std::string(9999, '_') + "a", std::string(1, '\0'),
        std::string("<|end|><|end|")}) {
    EXPECT_EQ(t.decode(t.encode(text)), text);
  }
}

TEST(Tokenizer, AddedTokensAreFoundFirstAndLongest) {
  SampleJson s;
  s.added = R"([{"id": 264, "content": "<a>", "special": true, "normalized": false},
                {"id": 265, "content": "<a>b", "special": false, "normalized": false},
                {"id": 266, "content": "cat", "special": false, "normalized": false}])";
  const Tokenizer t = make(s);
  EXPECT_EQ(t.encode("<a><a>bcat"), (Ids{264, 265, 266}));
  EXPECT_EQ(tokens(t, "x<a"), (Tokens{"x", "<", "a"}));
  EXPECT_EQ(t.vocab_size(), 267);
  EXPECT_TRUE(t.is_special(264));
  EXPECT_FALSE(t.is_special(265));
  EXPECT_EQ(t.id_of("<a>b"), 265);
  EXPECT_FALSE(t.has(267));
}

// As `tokenizers` 0.23 numbers them: behind the vocabulary, in the order of the file.
TEST(Tokenizer, AddedTokensAreNumberedWhateverTheirIdsInTheFile) {
  const auto ids = [](const char* added) {
    SampleJson s;
    s.added = added;
    return make(s).encode("<a>x<b>y<c>");
  };
  const Ids text_c = {'<', 'c', '>'};
  const auto with_text_c = [&](Ids begin) {
    begin.insert(begin.end(), text_c.begin(), text_c.end());
    return begin;
  };
  EXPECT_EQ(ids(R"([{"id": 269, "content": "<a>"}, {"id": 273, "content": "<b>"}])"),
            with_text_c({264, 'x', 265, 'y'}));
  EXPECT_EQ(ids(R"([{"id": 273, "content": "<b>"}, {"id": 269, "content": "<a>"}])"),
            with_text_c({265, 'x', 264, 'y'}));
  EXPECT_EQ(ids(R"([{"id": 264, "content": "<a>"}, {"id": 264, "content": "<b>"}])"),
            with_text_c({264, 'x', 265, 'y'}));
  EXPECT_EQ(ids(R"([{"id": 5, "content": "<a>"}, {"id": 6, "content": "<a>"},
                    {"id": 7, "content": ""}, {"id": 8, "content": "<b>"}])"),
            with_text_c({264, 'x', 265, 'y'}));
  EXPECT_EQ(ids(R"([{"id": 290, "content": "<a>"}, {"id": 291, "content": "y"},
                    {"id": 292, "content": "<b>"}, {"id": 293, "content": "<c>"}])"),
            (Ids{264, 'x', 265, 'y', 266}));
}

TEST(Tokenizer, AnIdThatAGapWouldGiveTwiceIsRefused) {
  SampleJson s;
  s.added = R"([{"id": 265, "content": "<a>"}])";
  std::string json = sample_json(s);
  const size_t last = json.find(":263");
  ASSERT_NE(last, std::string::npos);
  json.replace(last, 4, ":264");
  try {
    Tokenizer::from_json(json, "test");
    FAIL();
  } catch (const Error& e) {
    for (const char* part : {"<a>", "265", "264", "without gaps"})
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  }
}

TEST(Tokenizer, SpecialTokensCanBeText) {
  SampleJson s;
  s.added = R"([{"id": 264, "content": "<a>", "special": true, "normalized": false},
                {"id": 265, "content": "<b>", "special": false, "normalized": false}])";
  const Tokenizer t = make(s);
  EncodeOptions options;
  options.special_as_text = true;
  EXPECT_EQ(tokens(t, "<a><b>", options), (Tokens{"<", "a", ">", "<b>"}));
  EXPECT_EQ(t.decode(t.encode("the<a>"), {.skip_special = true}), "the");
}

TEST(Tokenizer, AddedTokenFlags) {
  SampleJson s;
  s.added = R"([{"id": 264, "content": "<l>", "lstrip": true, "normalized": false},
                {"id": 265, "content": "<r>", "rstrip": true, "normalized": false},
                {"id": 266, "content": "cat", "single_word": true, "normalized": false}])";
  const Tokenizer t = make(s);
  EXPECT_EQ(t.encode("the \u3000<l>").size(), 2u);
  EXPECT_EQ(t.encode("<r>  \n<l>"), (Ids{265, 264}));
  EXPECT_EQ(t.encode("cat"), (Ids{266}));
  EXPECT_EQ(t.encode("(cat"), (Ids{'(', 266}));
  EXPECT_EQ(tokens(t, "cats"), (Tokens{"c", "at", "s"}));
  EXPECT_EQ(tokens(t, "écat"), (Tokens{"\xC3", "\xA9", "c", "at"}));
}

TEST(Tokenizer, NormalisedAddedTokensAreFoundAfterNormalising) {
  SampleJson s;
  s.normalizer = R"({"type": "NFC"})";
  s.added = R"([{"id": 264, "content": "éx", "normalized": true},
                {"id": 265, "content": "üx", "normalized": false}])";
  const Tokenizer t = make(s);
  EXPECT_EQ(t.encode("e\u0301x"), (Ids{264}));
  EXPECT_EQ(t.encode("éx"), (Ids{264}));
  EXPECT_EQ(t.encode("üx"), (Ids{265}));
  EXPECT_EQ(t.encode("u\u0308x").size(), 3u);  // composed too late to be a raw token
}

TEST(Tokenizer, NormalisersKeepInvalidBytes) {
  SampleJson s;
  s.normalizer = R"({"type": "Sequence", "normalizers": [{"type": "NFC"},
      {"type": "Replace", "pattern": {"String": "th"}, "content": "TH"},
      {"type": "Prepend", "prepend": "_"}]})";
  const Tokenizer t = make(s);
  EXPECT_EQ(t.decode(t.encode("\xFF"
                              "e\u0301\x80the")),
            "_\xFF"
            "é\x80THe");
  EXPECT_EQ(t.decode(t.encode("")), "");
}

TEST(Tokenizer, NormalisationForms) {
  const auto through = [](std::string_view form, std::string_view text) {
    SampleJson s;
    s.normalizer = fmt::format(R"({{"type": "{}"}})", form);
    const Tokenizer t = make(s);
    return t.decode(t.encode(text));
  };
  EXPECT_EQ(through("NFC", "e\u0301ﬁ"), "éﬁ");
  EXPECT_EQ(through("NFD", "éﬁ"), "e\u0301ﬁ");
  EXPECT_EQ(through("NFKC", "e\u0301ﬁ①"), "éfi1");
  EXPECT_EQ(through("NFKD", "éﬁ"), "e\u0301fi");
}

TEST(Tokenizer, PostProcessorOnRequestOnly) {
  SampleJson s;
  s.added = R"([{"id": 264, "content": "<s>", "special": true, "normalized": false},
                {"id": 265, "content": "</s>", "special": true, "normalized": false}])";
  s.post_processor = R"({"type": "Sequence", "processors": [{"type": "ByteLevel"},
     {"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                 {"SpecialToken": {"id": "</s>", "type_id": 0}}],
      "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [264], "tokens": ["<s>"]},
                                     "</s>": {"id": "</s>", "ids": [265], "tokens": ["</s>"]}}}]})";
  const Tokenizer t = make(s);
  EXPECT_EQ(t.encode("a"), (Ids{'a'}));
  EXPECT_EQ(t.encode("a", {.add_special_tokens = true}), (Ids{264, 'a', 265}));
}

TEST(Tokenizer, UnknownIdsAreAnError) {
  const Tokenizer t = make();
  for (int32_t id : {-1, testing::kSampleSize, INT32_MAX})
    EXPECT_THROW(t.decode(std::array{id}), Error) << id;
}

TEST(Tokenizer, JsonRoundTripIsStable) {
  SampleJson s;
  s.normalizer = R"({"type": "NFC"})";
  s.added = R"([{"id": 264, "content": "<｜x｜>", "special": true, "normalized": false}])";
  const Tokenizer first = make(s);
  const std::string json = first.to_json();
  const Tokenizer second = Tokenizer::from_json(json, "again");
  EXPECT_EQ(second.to_json(), json);
  testing::Dice dice(9);
  for (int i = 0; i < 50; ++i) {
    const std::string text = testing::random_text(dice, 80) + "<｜x｜>the";
    EXPECT_EQ(second.encode(text), first.encode(text));
  }
}

TEST(Tokenizer, ManyThreadsShareOne) {
  const Tokenizer t = make();
  testing::Dice dice(2);
  const std::string text = testing::random_text(dice, 3000);
  const Ids want = t.encode(text);
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      for (int n = 0; n < 20; ++n) wrong[i] += t.encode(text) != want;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST(StreamDecoder, HoldsBackHalfCharacters) {
  const Tokenizer t = make();
  StreamDecoder stream(t);
  const std::string text = "a👩é";
  std::string joined;
  for (int32_t id : t.encode(text)) {
    const std::string part = stream.push(id);
    EXPECT_TRUE(is_valid_utf8(part));
    joined += part;
  }
  EXPECT_EQ(joined, text);
  EXPECT_EQ(stream.push(0xE4), "");
  EXPECT_EQ(stream.push(0xB8), "");
  EXPECT_EQ(stream.push('a'),
            "\xE4\xB8"
            "a");
  EXPECT_EQ(stream.push(0xE4), "");
  EXPECT_EQ(stream.finish(), "\xE4");
  EXPECT_EQ(stream.finish(), "");
}

TEST(Tiktoken, ReadsRanks) {
  // a b c ab bc abc, with "abc" made of ab+c and a+bc.
  const std::string ranks = "YQ== 0\nYg== 1\nYw== 2\nYWI= 3\nYmM= 4\r\nYWJj 5\n";
  const std::vector<std::string> special = {"<end>"};
  const Tokenizer t = Tokenizer::from_tiktoken(ranks, "test", Pattern::kCl100k, special);
  EXPECT_EQ(t.vocab_size(), 7);
  EXPECT_EQ(t.encode("abc"), (Ids{5}));
  EXPECT_EQ(t.encode("abcab"), (Ids{5, 3}));
  EXPECT_EQ(t.encode("cab<end>"), (Ids{2, 3, 6}));
  EXPECT_EQ(t.pattern_name(), "cl100k");
  EXPECT_THROW(t.encode("d"), Error);
  const Tokenizer again = Tokenizer::from_json(t.to_json(), "again");
  EXPECT_EQ(again.encode("abcabbcc"), t.encode("abcabbcc"));
}

// A file numbers added tokens by their place; where that is not their id, the vocabulary lists
// them.
TEST(Tiktoken, IdsBehindAGapComeBack) {
  const std::vector<std::string> special = {"<end>", "<more>"};
  const Tokenizer t =
      Tokenizer::from_tiktoken("YQ== 0\nYg== 1\nYWI= 9\n", "test", Pattern::kCl100k, special);
  EXPECT_EQ(t.encode("ab<end>a<more>"), (Ids{9, 10, 0, 11}));
  const Tokenizer again = Tokenizer::from_json(t.to_json(), "again");
  EXPECT_EQ(again.encode("ab<end>a<more>"), (Ids{9, 10, 0, 11}));
  EXPECT_EQ(again.to_json(), t.to_json());
}

TEST(Tiktoken, RefusesDamage) {
  for (const char* bad : {"", "\n\n", "YQ==", "YQ== x", "YQ== 1x", "YQ 0", "Y*== 0", " 0",
                          "YQ== -1", "YQ== 0\nYQ== 1", "YQ== 0\nYg== 0", "YQ== 99999999999"})
    EXPECT_THROW(Tokenizer::from_tiktoken(bad, "test", Pattern::kGpt2), Error) << bad;
}

TEST(LoadTokenizer, NamesWhatIsMissing) {
  EXPECT_THROW(load_tokenizer("/nonexistent/tokenizer.json"), Error);
  EXPECT_THROW(load_tokenizer(::testing::TempDir() + "/no-such-folder"), Error);
  const std::string file = ::testing::TempDir() + "/lathe_text_tokenizer.json";
  std::ofstream(file) << sample_json({});
  EXPECT_EQ(load_tokenizer(file).vocab_size(), testing::kSampleSize);
  EXPECT_THROW(load_tokenizer(file, Pattern::kGpt2), Error);
}

constexpr const char* kRanks = "YQ== 0\nYg== 1\nYWI= 2\n";

TEST(LoadTokenizer, KnowsAFileByItsContent) {
  const TempFolder folder;
  for (const char* name : {"ranks", "tokenizer.model", "some.json", "other.tiktoken"})
    EXPECT_EQ(load_tokenizer(folder.write(name, kRanks).string()).encode("ab"), (Ids{2})) << name;
  for (const char* name : {"plain", "wrong.tiktoken", "wrong.model"})
    EXPECT_EQ(load_tokenizer(folder.write(name, "\n " + sample_json({})).string()).vocab_size(),
              testing::kSampleSize)
        << name;
  EXPECT_EQ(load_tokenizer((folder / "ranks").string(), Pattern::kGpt2).pattern_name(), "gpt2");
  const auto error = [&](const char* name, const char* content) {
    return error_text([&] { load_tokenizer(folder.write(name, content).string()); });
  };
  EXPECT_NE(error("a", "GGUF\3").find("truncated"), std::string::npos);
  EXPECT_NE(error("a", "version https://git-lfs.github.com/spec/v1\n").find("Git LFS"),
            std::string::npos);
  EXPECT_NE(error("a", "[PAD\n[UNK\n").find("expected"), std::string::npos);
  EXPECT_NE(error("a", "").find("an empty file"), std::string::npos);
  EXPECT_NE(error("damaged.tiktoken", "YQ== zero\n").find("line 1"), std::string::npos);
}

TEST(LoadTokenizer, FindsTheRanksOfAFolder) {
  const TempFolder folder;
  folder.write("merges.model", "#version: 0.2\n");
  EXPECT_NE(error_text([&] { load_tokenizer(folder.path().string()); }).find("no tokenizer.json"),
            std::string::npos);
  folder.write("tokenizer.model", kRanks);
  EXPECT_EQ(load_tokenizer(folder.path().string()).encode("ab"), (Ids{2}));
  folder.write("more.tiktoken", kRanks);
  const std::string two = error_text([&] { load_tokenizer(folder.path().string()); });
  EXPECT_NE(two.find("more.tiktoken, "), std::string::npos) << two;
  EXPECT_EQ(load_tokenizer((folder / "more.tiktoken").string()).encode("ab"), (Ids{2}));
  folder.write("tokenizer.json", sample_json({}));
  EXPECT_EQ(load_tokenizer(folder.path().string()).vocab_size(), testing::kSampleSize);
}

constexpr const char* kFolderConfig = R"({"added_tokens_decoder": {"0": {"content": "<unk>",
"special": true}, "6": {"content": "<tool>", "special": false}, "5": {"content": "<|im_start|>",
"special": true}}})";

SentencePieceFile small_model(SentencePieceFile::ModelType type) {
  using Type = SentencePieceFile::Type;
  SentencePieceFile file;
  file.model_type = type;
  file.pieces = {{"<unk>", 0, Type::kUnknown},
                 {"<s>", 0, Type::kControl},
                 {"\u2581", -1, Type::kNormal},
                 {"a", -2, Type::kNormal},
                 {"b", -3, Type::kNormal}};
  return file;
}

TEST(LoadTokenizer, AFolderMayAddTokensToAModel) {
  using ModelType = SentencePieceFile::ModelType;
  for (const ModelType type : {ModelType::kUnigram, ModelType::kBpe}) {
    const TempFolder folder;
    const std::string model =
        folder.write("tokenizer.model", write_sentencepiece(small_model(type))).string();
    folder.write("tokenizer_config.json", kFolderConfig);
    EXPECT_EQ(load_tokenizer(model).vocab_size(), 5);
    const Tokenizer t = load_tokenizer(folder.path().string());
    EXPECT_EQ(t.vocab_size(), 7);
    EXPECT_EQ(t.encode("a<|im_start|>b<tool>a"), (Ids{2, 3, 5, 4, 6, 3}));
    EXPECT_EQ(t.encode("a<s>"), (Ids{2, 3, 0}));  // a control symbol, as `sentencepiece` has it
    EXPECT_EQ(t.decode(Ids{2, 3, 5, 4, 6, 3}), "a<|im_start|>b<tool>a");
    EXPECT_EQ(t.decode(Ids{2, 3, 5, 4, 6, 3}, {.skip_special = true}), "ab<tool>a");
    // Only the special one can stay text.
    EXPECT_EQ(t.encode("<|im_start|><tool>", {.special_as_text = true}), (Ids{2, 0, 3, 0, 6}));
    const Tokenizer json = Tokenizer::from_json(t.to_json(), "json");
    EXPECT_EQ(json.encode("<|im_start|>"), Ids{5});
    folder.write("tokenizer_config.json", R"({"added_tokens_decoder": {"9": {"content": "x"}}})");
    EXPECT_NE(error_text([&] { load_tokenizer(folder.path().string()); }).find("id 9"),
              std::string::npos);
    folder.write("tokenizer_config.json", R"({"added_tokens_decoder": {"-1": {"content": "x"}}})");
    EXPECT_NE(error_text([&] { load_tokenizer(folder.path().string()); }).find("id -1"),
              std::string::npos);
  }
}

TEST(LoadTokenizer, AFolderMayAddTokensToRanks) {
  const TempFolder folder;
  folder.write("x.tiktoken", kRanks);
  folder.write("tokenizer_config.json", R"({"added_tokens_decoder": {"3": {"content": "<x>"}}})");
  EXPECT_EQ(load_tokenizer(folder.path().string()).encode("ab<x>"), (Ids{2, 3}));
  folder.write("tokenizer_config.json", R"({"added_tokens_decoder": {"1": {"content": "<x>"}}})");
  EXPECT_NE(
      error_text([&] { load_tokenizer(folder.path().string()); }).find("another token's rank"),
      std::string::npos);
}

TEST(LoadTokenizer, AFolderMayAddTokensToAVocabulary) {
  const TempFolder folder;
  folder.write("vocab.txt", "[UNK]\na\n##b\n[MASK]\n");
  folder.write("tokenizer_config.json", R"({"added_tokens_decoder": {"3": {"content": "[MASK]",
"special": true}, "4": {"content": "[X]", "special": true}}})");
  const Tokenizer t = load_tokenizer(folder.path().string());
  EXPECT_EQ(t.encode("ab[X]a[MASK]"), (Ids{1, 2, 4, 1, 3}));
  folder.write("tokenizer_config.json", R"({"added_tokens_decoder": {"1": {"content": "[X]"}}})");
  EXPECT_NE(error_text([&] { load_tokenizer(folder.path().string()); }).find("gives to 'a'"),
            std::string::npos);
}

TEST(Tokenizer, ConfigNamesKnownTokensOnly) {
  SampleJson s;
  s.added = R"([{"id": 264, "content": "<a>", "special": true, "normalized": false}])";
  const Tokenizer t = make(s);
  TokenizerConfig config;
  config.eos = "<a>";
  config.model_max_length = 512;
  const std::string json = t.config_json(config);
  EXPECT_NE(json.find("\"eos_token\": \"<a>\""), std::string::npos);
  EXPECT_NE(json.find("\"model_max_length\": 512"), std::string::npos);
  EXPECT_NE(json.find("PreTrainedTokenizerFast"), std::string::npos);
  config.eos = "<b>";
  EXPECT_THROW(t.config_json(config), Error);
}

}  // namespace
}  // namespace lathe
