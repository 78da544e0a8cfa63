#include <array>
#include <nlohmann/json.hpp>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/cli/commands/tokenizer/tokenizer.h"
#include "lathe/io/atomic_file.h"
#include "lathe/text/format/added_tokens_json.h"
#include "lathe/text/format/gguf_tokenizer_writer.h"
#include "lathe/text/format/sentencepiece_writer.h"
#include "lathe/text/format/tiktoken.h"
#include "lathe/text/format/tiktoken_writer.h"
#include "lathe/text/tokenizer_data.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

// Writes a tokenizer to a path; what the user has to know of it goes to `facts`.
using Write = void (*)(const Tokenizer&, const std::string& path, Json& facts);
using Target = CatalogueEntry<Write>;

void write_json(const Tokenizer& tokenizer, const std::string& path, Json&) {
  write_file_atomically(path, tokenizer.to_json());
}

void write_sentencepiece_model(const Tokenizer& tokenizer, const std::string& path, Json&) {
  write_file_atomically(path, write_sentencepiece(sentencepiece_file_of(tokenizer)));
}

void write_tiktoken(const Tokenizer& tokenizer, const std::string& path, Json& facts) {
  const TiktokenFile file = to_tiktoken(tokenizer);
  write_file_atomically(path, file.ranks);
  facts["pattern"] = pattern_info(file.pattern).name;
  if (file.added.empty()) return;
  const std::string beside = path + std::string(kAddedTokensEnding);
  write_file_atomically(beside,
                        fmt::format("{{\"added_tokens\": {}}}\n", added_tokens_text(file.added)));
  facts["added_tokens"] = beside;
}

void write_gguf(const Tokenizer& tokenizer, const std::string& path, Json&) {
  const GgufVocabulary vocabulary = gguf_vocabulary_of(tokenizer);
  GgufWriter writer(path);
  writer.add_text("general.architecture", vocabulary.model == "gpt2" ? "gpt2" : "llama");
  writer.add_text("general.type", "vocab");
  write_gguf_vocabulary(vocabulary, writer);
  writer.commit();
}

constexpr std::array kTargets = {
    Target{"json", "tokenizer.json of `tokenizers`", "", write_json},
    Target{"sentencepiece", "tokenizer.model of `sentencepiece`", "", write_sentencepiece_model},
    Target{"tiktoken", "ranks, with added tokens in a file beside them", "", write_tiktoken},
    Target{"gguf", "the vocabulary of llama.cpp", "", write_gguf},
};

struct ConvertOptions {
  std::string tokenizer, to, out;
  std::optional<std::string> pattern;

  void visit(Visitor& v) {
    v.positional("tokenizer", tokenizer, kTokenizerHelp);
    v.choice("to", to, names_of(kTargets), "format of the new file", required());
    v.field("out", out, "the new file", required());
    visit_pattern(v, pattern);
  }
};

int run_convert(const ConvertOptions& options, CommandContext& context) {
  const Tokenizer tokenizer = load_tokenizer_of(options.tokenizer, options.pattern);
  Json facts = {{"out", options.out}, {"tokens", tokenizer.vocab_size()}};
  find_in(kTargets, "to", options.to).make(tokenizer, options.out, facts);
  if (context.json) {
    context.print_json(facts);
    return 0;
  }
  context.out << fmt::format("{}: {} tokens\n", options.out, tokenizer.vocab_size());
  if (facts.contains("pattern"))
    context.out << fmt::format("read it with --pattern {}\n", facts["pattern"].get<std::string>());
  if (facts.contains("added_tokens"))
    context.out << fmt::format("{}: the added tokens, which a file of ranks cannot hold\n",
                               facts["added_tokens"].get<std::string>());
  return 0;
}

}  // namespace

Command tokenizer_convert_command() {
  return make_command<ConvertOptions>(
      {.name = "convert",
       .summary = "write a tokenizer in another format",
       .help = "The new file gives the same ids for every text. What its format cannot say is an\n"
               "error that names it, and nothing is written.\n\n"
               "  lathe tokenizer convert llama2.model --to json --out tokenizer.json\n"
               "  lathe tokenizer convert runs/tok --to gguf --out tok.gguf\n"},
      run_convert);
}

}  // namespace lathe
