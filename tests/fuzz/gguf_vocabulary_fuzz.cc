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

namespace {

std::string file_of(const GgufVocabulary& vocabulary) {
  const TempFolder folder;
  GgufWriter writer(folder / "f");
  write_gguf_vocabulary(vocabulary, writer);
  writer.commit();
  return content_of(folder / "f");
}

GgufVocabulary byte_level(const std::string& pre) {
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
  return v;
}

// "llama" and "t5", which have scores in place of merges.
GgufVocabulary scored(const std::string& model) {
  GgufVocabulary v;
  v.model = model;
  v.tokens = {"<unk>", "<|x|>", "<0x0A>", "▁", "a", "b", "c", "▁a", "ab", "▁abc", "42"};
  v.types.assign(v.tokens.size(), GgufTokenType::kNormal);
  v.types[0] = GgufTokenType::kUnknown;
  v.types[1] = GgufTokenType::kControl;
  v.types[2] = GgufTokenType::kByte;
  v.types[10] = GgufTokenType::kUserDefined;
  for (size_t id = 0; id < v.tokens.size(); ++id) v.scores.push_back(-static_cast<float>(id));
  v.unknown = 0;
  v.add_space_prefix = true;
  return v;
}

GgufVocabulary words() {
  GgufVocabulary v;
  v.model = "bert";
  v.tokens = {"[UNK]", "[CLS]", "[SEP]", "▁a", "▁ab", "b", "c", "▁42", "▁<", "▁河"};
  v.types.assign(v.tokens.size(), GgufTokenType::kNormal);
  v.unknown = 0;
  v.cls = 1;
  v.separator = 2;
  return v;
}

}  // namespace

std::vector<Seed> seeds() {
  std::vector<Seed> out;
  for (const char* pre : {"gpt-2", "llama-bpe", "deepseek-v3", "falcon"})
    out.push_back({pre, file_of(byte_level(pre))});
  for (const char* model : {"llama", "t5"}) out.push_back({model, file_of(scored(model))});
  out.push_back({"bert", file_of(words())});
  return out;
}

}  // namespace lathe::fuzz
