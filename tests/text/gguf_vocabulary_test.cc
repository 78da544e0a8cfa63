#include "lathe/text/format/gguf_vocabulary.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <iterator>
#include <limits>

#include "io/shared_data.h"
#include "io/temp_folder.h"
#include "lathe/text/format/gguf_pre_tokenizers.h"
#include "lathe/text/format/gguf_reader.h"
#include "lathe/text/split/pretokenizer.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using lathe::testing::shared_data;
using lathe::testing::unpacked;
using text_json::Json;

GgufVocabulary sample() {
  GgufVocabulary v;
  v.model = "gpt2";
  v.pre = "gpt-2";
  v.tokens = {"a", "b", "ab", "<|x|>", "Ġ", "  "};
  v.types = {GgufTokenType::kNormal,  GgufTokenType::kNormal, GgufTokenType::kNormal,
             GgufTokenType::kControl, GgufTokenType::kNormal, GgufTokenType::kUserDefined};
  v.merges = {"a b"};
  v.bos = 3;
  v.eos = 3;
  v.add_bos = true;
  v.chat_template = "{{ x }}";
  return v;
}

GgufVocabulary through_file(const GgufVocabulary& v) {
  const TempFolder folder;
  GgufWriter writer(folder / "f");
  write_gguf_vocabulary(v, writer);
  writer.commit();
  const GgufReader reader(folder / "f");
  return read_gguf_vocabulary(reader.metadata());
}

TEST(GgufVocabulary, RoundTrip) {
  GgufVocabulary v = sample();
  v.scores = {0, -1, -2.5f, 0, 0, 1};
  v.unknown = 0;
  v.padding = 5;
  v.separator = 1;
  v.mask = 2;
  v.cls = 4;
  v.eot = 0;
  v.eom = 1;
  v.add_eos = false;
  v.add_sep = true;
  v.add_space_prefix = false;
  v.remove_extra_whitespaces = true;
  v.lowercase = false;
  v.strip_accents = true;
  v.precompiled_charsmap = std::string("\x04\0\xFF", 3);
  const GgufVocabulary back = through_file(v);
  EXPECT_EQ(back.model, v.model);
  EXPECT_EQ(back.pre, v.pre);
  EXPECT_EQ(back.tokens, v.tokens);
  EXPECT_EQ(back.scores, v.scores);
  EXPECT_EQ(back.types, v.types);
  EXPECT_EQ(back.merges, v.merges);
  EXPECT_EQ(std::tie(back.bos, back.eos, back.eot, back.eom, back.unknown, back.separator),
            std::tie(v.bos, v.eos, v.eot, v.eom, v.unknown, v.separator));
  EXPECT_EQ(std::tie(back.padding, back.cls, back.mask), std::tie(v.padding, v.cls, v.mask));
  EXPECT_EQ(std::tie(back.add_bos, back.add_eos, back.add_sep, back.add_space_prefix),
            std::tie(v.add_bos, v.add_eos, v.add_sep, v.add_space_prefix));
  EXPECT_EQ(std::tie(back.remove_extra_whitespaces, back.lowercase, back.strip_accents),
            std::tie(v.remove_extra_whitespaces, v.lowercase, v.strip_accents));
  EXPECT_EQ(back.precompiled_charsmap, v.precompiled_charsmap);
  EXPECT_EQ(back.chat_template, v.chat_template);
}

TEST(GgufVocabulary, CustomaryIdsAndEmptyTokens) {
  const auto read = [](const char* model) {
    const TempFolder folder;
    GgufWriter writer(folder / "f");
    writer.add_text("tokenizer.ggml.model", model);
    writer.add_texts("tokenizer.ggml.tokens", std::vector<std::string>{"<unk>", "", "x", ""});
    writer.commit();
    return read_gguf_vocabulary(GgufReader(folder / "f").metadata());
  };
  const GgufVocabulary llama = read("llama");
  EXPECT_EQ(llama.tokens[1], "[EMPTY_1]");
  EXPECT_EQ(llama.tokens[3], "[EMPTY_3]");
  EXPECT_EQ(llama.unknown, 0);
  EXPECT_EQ(llama.bos, 1);
  EXPECT_EQ(llama.eos, 2);
  EXPECT_EQ(llama.padding, std::nullopt);
  // Of the customary ids of "bert" only that of padding is one of these four.
  EXPECT_EQ(read("bert").unknown, std::nullopt);
  EXPECT_EQ(read("bert").padding, 0);
  EXPECT_EQ(read("gpt2").bos, std::nullopt);
}

// What a writer refuses, a reader does, too: the file is put together from raw keys.
TEST(GgufVocabulary, RefusesDamage) {
  const auto says = [](auto&& change, const char* what) {
    const TempFolder folder;
    GgufWriter writer(folder / "f");
    change(writer);
    writer.commit();
    const std::string got =
        error_text([&] { read_gguf_vocabulary(GgufReader(folder / "f").metadata()); });
    EXPECT_NE(got.find(what), std::string::npos) << got;
  };
  using Texts = std::vector<std::string>;
  const auto begin = [](GgufWriter& w, const Texts& tokens) {
    w.add_text("tokenizer.ggml.model", "gpt2");
    w.add_texts("tokenizer.ggml.tokens", tokens);
  };
  says([](GgufWriter& w) { w.add_text("x", "y"); }, "key 'tokenizer.ggml.model' is missing");
  says([](GgufWriter& w) { w.add_text("tokenizer.ggml.model", "gpt2"); },
       "key 'tokenizer.ggml.tokens' is missing");
  says(
      [](GgufWriter& w) {
        w.add_text("tokenizer.ggml.model", "gpt2");
        w.add_list<int32_t>("tokenizer.ggml.tokens", std::vector<int32_t>{1});
      },
      "key 'tokenizer.ggml.tokens': got a list of 1 INT32, expected a list of STRING");
  says([&](GgufWriter& w) { begin(w, {"a", "b", "a"}); }, "tokens 0 and 2 are both 'a'");
  says([&](GgufWriter& w) { begin(w, {"a", "\xFF"}); }, "token 1 is not UTF-8");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  says(
      [&](GgufWriter& w) {
        begin(w, {"a", "b"});
        w.add_list<float>("tokenizer.ggml.scores", std::vector<float>{0, nan});
      },
      "the score of token 1 is nan");
  says(
      [&](GgufWriter& w) {
        begin(w, {"a", "b"});
        w.add_list<float>("tokenizer.ggml.scores", std::vector<float>{0});
      },
      "got 1 scores for 2 tokens");
  says(
      [&](GgufWriter& w) {
        begin(w, {"a", "b"});
        w.add_list<int32_t>("tokenizer.ggml.token_type", std::vector<int32_t>{1, 7});
      },
      "the type of token 1 is 7");
  says(
      [&](GgufWriter& w) {
        begin(w, {"a", "b"});
        w.add_list<int32_t>("tokenizer.ggml.token_type", std::vector<int32_t>{1});
      },
      "got 1 types for 2 tokens");
  says(
      [&](GgufWriter& w) {
        begin(w, {"a", "b"});
        w.add<uint32_t>("tokenizer.ggml.eos_token_id", 2);
      },
      "key 'tokenizer.ggml.eos_token_id': got 2, expected the id of one of 2 tokens");
  says(
      [&](GgufWriter& w) {
        begin(w, {"a", "b"});
        w.add_texts("tokenizer.ggml.merges", Texts{"a b", " b"});
      },
      "merge 1 is not two tokens");
  says([&](GgufWriter& w) { begin(w, Texts((size_t{1} << 21), "")); }, "expected at most");
  EXPECT_EQ(through_file([] {
              GgufVocabulary v;
              v.model = "none";
              return v;
            }())
                .tokens.size(),
            0u);
}

TEST(GgufReader, TokenizesAndAddsWhatTheFileAsksFor) {
  const Tokenizer tokenizer = gguf_tokenizer(sample(), "f");
  EXPECT_EQ(tokenizer.encode("ab<|x|>a  b"), (std::vector<int32_t>{2, 3, 0, 5, 1}));
  EXPECT_EQ(tokenizer.encode("ab", {.add_special_tokens = true}), (std::vector<int32_t>{3, 2}));
  EXPECT_TRUE(tokenizer.is_special(3));
  EXPECT_FALSE(tokenizer.is_special(5));
}

TEST(GgufReader, FirstOfEqualMergesCounts) {
  GgufVocabulary v = sample();
  v.tokens = {"a", "b", "ab", "ba"};
  v.types.clear();
  v.bos = v.eos = std::nullopt;
  v.merges = {"a b", "b a", "a b"};
  EXPECT_EQ(gguf_tokenizer(v, "f").encode("aba"), (std::vector<int32_t>{2, 0}));
}

TEST(GgufReader, NamesWhatItCannotRead) {
  GgufVocabulary v = sample();
  v.pre = "gpt2";
  const std::string unknown = error_text([&] { gguf_tokenizer(v, "f"); });
  EXPECT_NE(unknown.find("'gpt2' is unknown. Did you mean 'gpt-2'?"), std::string::npos) << unknown;
  EXPECT_NE(unknown.find("llama-bpe"), std::string::npos);
  v.pre = "gemma4";
  EXPECT_NE(error_text([&] { gguf_tokenizer(v, "f"); }).find("BPE on characters"),
            std::string::npos);
  v.model = "rwkv";
  EXPECT_NE(error_text([&] { gguf_tokenizer(v, "f"); }).find("'rwkv' is not supported"),
            std::string::npos);
}

TEST(GgufPreTokenizers, EachIsAPreTokenizerThatHasItsNameBack) {
  for (const GgufPreTokenizer& pre : gguf_pre_tokenizers()) {
    const Json json = json_of(pre);
    const PreTokenizer cutter = PreTokenizer::from_json(json, std::string(pre.name));
    EXPECT_EQ(cutter.byte_level(), pre.byte_level);
    PreTokenizer::Scratch scratch;
    const std::string text = "Hello, wörld's 1234567 你好\r\n\t  x = [1,\t2]; ßé!! ";
    const std::string_view cut = cutter.split(text, 1, scratch);
    ASSERT_EQ(cut, text) << pre.name;
    size_t at = 0;  // no byte is lost
    for (const Piece& piece : scratch.pieces) {
      EXPECT_EQ(piece.begin, at) << pre.name;
      EXPECT_LT(piece.begin, piece.end) << pre.name;
      at = piece.end;
    }
    EXPECT_EQ(at, text.size()) << pre.name;
    const auto name = gguf_pre_tokenizer_name(json, pre.ignore_merges);
    ASSERT_TRUE(name.has_value()) << pre.name;
    EXPECT_EQ(find_gguf_pre_tokenizer(*name, "f").regexes, pre.regexes) << pre.name;
  }
}

TEST(GgufPreTokenizers, NamesOfWellKnownPreTokenizers) {
  const auto name = [](std::string_view json, bool ignore_merges = false) {
    return gguf_pre_tokenizer_name(Json::parse(json), ignore_merges).value_or("none");
  };
  EXPECT_EQ(name(R"({"type": "ByteLevel", "add_prefix_space": false, "use_regex": true})"),
            "gpt-2");
  EXPECT_EQ(name(R"({"type": "ByteLevel", "add_prefix_space": true})"), "none");
  EXPECT_EQ(name(R"({"type": "Metaspace"})"), "none");
  EXPECT_EQ(name("null"), "none");
  EXPECT_EQ(name(R"({"type": "Sequence", "pretokenizers": [
                   {"type": "Digits", "individual_digits": true},
                   {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}]})"),
            "smollm");
  for (const PatternInfo& info : kPreTokenizers)
    EXPECT_NE(gguf_pre_tokenizer_name(PreTokenizer::json_for(info.pattern),
                                      info.pattern == Pattern::kCl100k),
              std::nullopt)
        << info.name;
  const Json cl100k = PreTokenizer::json_for(Pattern::kCl100k);
  EXPECT_EQ(gguf_pre_tokenizer_name(cl100k, true), "llama-bpe");
  EXPECT_EQ(gguf_pre_tokenizer_name(cl100k, false), "dbrx");
}

// The vocabularies and texts that llama.cpp publishes; the ids are those of `tokenizers`.
class GgmlVocab : public ::testing::TestWithParam<const char*> {};

std::vector<std::string> cases_of(const std::string& text) {
  const std::string separator = "\n__ggml_vocab_test__\n";
  std::vector<std::string> cases;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(separator, at), text.size());
    cases.push_back(text.substr(at, end - at));
    at = end + separator.size();
  }
  return cases;
}

TEST_P(GgmlVocab, IdsAreThePublishedOnes) {
  const fs::path folder = shared_data() / "tokenizers" / "ggml_vocab";
  const std::string stem = std::string("ggml-vocab-") + GetParam() + ".gguf";
  if (!fs::exists(folder / (stem + ".zst")))
    GTEST_SKIP() << folder / (stem + ".zst") << " is not there";
  const TempFolder temporary;
  const fs::path file = temporary.write(stem, unpacked(folder / (stem + ".zst")));
  const GgufReader reader(file);
  const Tokenizer tokenizer =
      gguf_tokenizer(read_gguf_vocabulary(reader.metadata()), file.string());
  std::istringstream ids(content_of(folder / (stem + ".out")));
  for (const std::string& text : cases_of(content_of(folder / (stem + ".inp")))) {
    std::string line;
    ASSERT_TRUE(std::getline(ids, line));
    std::istringstream numbers(line);
    const std::vector<int32_t> want{std::istream_iterator<int32_t>(numbers), {}};
    EXPECT_EQ(tokenizer.encode(text), want) << text;
  }
}

INSTANTIATE_TEST_SUITE_P(ByteLevel, GgmlVocab,
                         ::testing::Values("deepseek-coder", "deepseek-llm", "falcon", "gpt-2", "mpt",
                                         "refact", "starcoder"));

}  // namespace
}  // namespace lathe
