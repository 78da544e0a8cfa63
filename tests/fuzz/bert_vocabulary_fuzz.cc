#include "fuzz/fuzz.h"
#include "lathe/text/format/bert_vocabulary.h"

namespace lathe::fuzz {

// What is accepted encodes and decodes, and its tokenizer.json gives the same ids. Behind the first
// NUL stands a text.
void check(std::string_view bytes) {
  const size_t end = std::min(bytes.find('\0'), bytes.size());
  const std::string_view text = bytes.substr(std::min(end + 1, bytes.size()));
  const Tokenizer tokenizer = bert_tokenizer(bytes.substr(0, end), "f");
  const std::vector<int32_t> ids = tokenizer.encode(text, {.add_special_tokens = true});
  tokenizer.decode(ids, {.skip_special = true});
  const Tokenizer again = Tokenizer::from_json(tokenizer.to_json(), "again");
  promise(again.encode(text, {.add_special_tokens = true}) == ids);
}

std::vector<Seed> seeds() {
  using namespace std::string_literals;
  return {{"lower", "[UNK]\n[CLS]\n[SEP]\na\n##b\nab\n,\n\xE6\xB2\xB3\n\0AB, aab \xE6\xB2\xB3"s},
          {"cased", "[PAD]\n[UNK]\nA\n##b\n##c\nAb\n\0Abc abc\tA\xC3\xA9"s}};
}

}  // namespace lathe::fuzz
