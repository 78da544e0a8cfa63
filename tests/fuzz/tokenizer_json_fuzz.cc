#include "fuzz/fuzz.h"
#include "lathe/text/tokenizer.h"
#include "text/sample_json.h"

namespace lathe::fuzz {

// What is accepted encodes and decodes, and what it writes is read again with the same ids. Behind
// the first NUL stands a text.
void check(std::string_view bytes) {
  constexpr std::string_view kText =
      "The river's 42 boats\n\n  \xE6\xB2\xB3\xF0\x9F\x9A\xA2\xFF<s>";
  const size_t end = std::min(bytes.find('\0'), bytes.size());
  const Tokenizer tokenizer = Tokenizer::from_json(bytes.substr(0, end), "f");
  const Tokenizer again = Tokenizer::from_json(tokenizer.to_json(), "again");
  for (const std::string_view text : {kText, bytes.substr(std::min(end + 1, bytes.size()))}) {
    const auto ids = tokenizer.encode(text, {.add_special_tokens = true});
    tokenizer.decode(ids, {.skip_special = true});
    promise(again.encode(text, {.add_special_tokens = true}) == ids);
  }
}

std::vector<Seed> seeds() {
  using testing::sample_json;
  return {
      {"plain", sample_json({})},
      {"pairs", sample_json({.merges_as_pairs = true})},
      {"parts", sample_json({
                    .added = R"([{"id": 264, "content": "<s>", "single_word": false, "lstrip": true,
"rstrip": true, "normalized": false, "special": true}])",
                    .normalizer = R"({"type": "Sequence", "normalizers": [{"type": "NFC"},
{"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]})",
                    .pre_tokenizer = R"({"type": "Sequence", "pretokenizers": [{"type": "Split",
"pattern": {"Regex": "\\s?\\p{L}+|\\p{N}{1,3}"}, "behavior": "Isolated", "invert": false},
{"type": "Digits", "individual_digits": true},
{"type": "ByteLevel", "add_prefix_space": true, "use_regex": false}]})",
                    .post_processor = R"({"type": "TemplateProcessing", "single": [{"SpecialToken":
{"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [],
"special_tokens": {"<s>": {"id": "<s>", "ids": [264], "tokens": ["<s>"]}}})",
                    .decoder = R"({"type": "Sequence", "decoders": [{"type": "ByteLevel"},
{"type": "Fuse"}]})",
                }) + '\0' +
                    "a  <s> b\xC3\xA9"},
      {"characters", R"({"normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend",
"prepend": "\u2581"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
"decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "\u2581"},
"content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ",
"start": 1, "stop": 0}]}, "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true,
"byte_fallback": true, "vocab": {"<unk>": 0, "\u2581": 1, "a": 2, "b": 3, "\u2581a": 4, "ab": 5,
"<0xC3>": 6, "<0xA9>": 7}, "merges": ["\u2581 a", "a b"]}})" +
                         std::string(1, '\0') + "ab ab\xC3\xA9 zz"},
      {"unigram", R"({"pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581",
"prepend_scheme": "always"}, "decoder": {"type": "Metaspace", "replacement": "\u2581"}, "model":
{"type": "Unigram", "unk_id": 0, "byte_fallback": false, "vocab": [["<unk>", 0], ["\u2581", -2],
["a", -3], ["\u2581a", -3.5], ["ab", -4.25], ["b", -5]]}})" +
                      std::string(1, '\0') + "ab a b  ba"},
      {"wordpiece", R"({"normalizer": {"type": "BertNormalizer", "clean_text": true,
"handle_chinese_chars": true, "strip_accents": null, "lowercase": true}, "pre_tokenizer": {"type":
"BertPreTokenizer"}, "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true}, "model":
{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
"max_input_chars_per_word": 20, "vocab": {"[UNK]": 0, "a": 1, "##b": 2, "ab": 3, ",": 4}}})" +
                        std::string(1, '\0') + "AB ab, aBb\xE6\xB2\xB3"},
      {"wordlevel", R"({"pre_tokenizer": {"type": "Whitespace"}, "model": {"type": "WordLevel",
"unk_token": "?", "vocab": {"?": 0, "a": 1, "ab": 2, ",": 3}}})" +
                        std::string(1, '\0') + "a ab,ab zz"},
  };
}

}  // namespace lathe::fuzz
