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
  };
}

}  // namespace lathe::fuzz
