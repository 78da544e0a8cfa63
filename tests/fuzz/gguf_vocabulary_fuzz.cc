#include "fuzz/fuzz.h"
#include "io/temp_folder.h"
#include "lathe/text/format/gguf_reader.h"

namespace lathe::fuzz {

// A vocabulary that is accepted is written again as it was read, and its tokenizer encodes.
void check(std::string_view bytes) {
  const GgufContent file = parse_gguf(std::as_bytes(std::span(bytes)), "f");
  const GgufVocabulary vocabulary = read_gguf_vocabulary(file.metadata);
  const TempFolder folder;
  GgufWriter writer(folder / "again");
  write_gguf_vocabulary(vocabulary, writer);
  writer.commit();
  const GgufVocabulary again = read_gguf_vocabulary(GgufReader(folder / "again").metadata());
  promise(again.tokens == vocabulary.tokens && again.merges == vocabulary.merges);
  const Tokenizer tokenizer = gguf_tokenizer(vocabulary, "f");
  tokenizer.decode(tokenizer.encode("ab abc  42\n \xE6\xB2\xB3\xFF<|x|>"));
}

std::vector<Seed> seeds() {
  std::vector<Seed> out;
  for (const char* pre : {"gpt-2", "llama-bpe", "deepseek-v3", "falcon"}) {
    GgufVocabulary v;
    v.model = "gpt2";
    v.pre = pre;
    v.tokens = {"a", "b", "c", "Ġ", "ab", "<|x|>", "  ", "Ċ", "4", "2"};
    v.types.assign(v.tokens.size(), GgufTokenType::kNormal);
    v.types[5] = GgufTokenType::kControl;
    v.types[6] = GgufTokenType::kUserDefined;
    v.scores.assign(v.tokens.size(), -1);
    v.merges = {"a b"};
    v.bos = 5;
    v.add_bos = true;
    const TempFolder folder;
    GgufWriter writer(folder / "f");
    write_gguf_vocabulary(v, writer);
    writer.commit();
    out.push_back({pre, content_of(folder / "f")});
  }
  return out;
}

}  // namespace lathe::fuzz
