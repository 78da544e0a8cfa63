// lathe extend: new tokens in a model's tokenizer, and rows for them in the model.

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/printable.h"
#include "lathe/base/utf8.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/model/converted_folder.h"
#include "lathe/cli/commands/model/model_input.h"
#include "lathe/cli/commands/tokenizer/extending.h"
#include "lathe/cli/commands/tokenizer/tokenizer.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/corpus/line_reader.h"
#include "lathe/io/output_folder.h"
#include "lathe/model/folder.h"
#include "lathe/model/load_model.h"
#include "lathe/text/chat_tokens.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct ExtendModelOptions {
  std::string model, out;
  std::optional<std::string> tokens, dtype;
  std::vector<std::string> corpus;
  std::optional<int64_t> vocab_size;
  bool special = false, overwrite = false;
  int64_t memory_mib = 2048, shard_mib = 5120, seed = 0;
  DocumentConfig documents;

  void visit(Visitor& v) {
    v.positional("model", model,
                 "folder or .gguf of the model, with its tokenizer; it is not changed");
    v.field("tokens", tokens, "a file of tokens to add, one a line, its spaces included");
    v.field("special", special,
            "with --tokens: special tokens, which are found in a text before anything else is done "
            "to it");
    v.field(
        "corpus", corpus,
        "text whose bytes per token are measured before and after; with --vocab-size new tokens "
        "are learned from it. A file or folder, plain or compressed; may be given several times");
    v.field("vocab_size", vocab_size, "how many tokens the tokenizer has afterwards", at_least(1));
    v.field("out", out, "folder to write", required());
    v.choice("dtype", dtype, weight_type_names(),
             "type of the weights on disk (default: the model's)");
    v.field("shard_mib", shard_mib, "largest size of one weight file, in MiB",
            between(1, kMostShardMib));
    v.field(
        "memory_mib", memory_mib,
        "memory to learn in; if the distinct words do not fit, a sample stands for the rare ones",
        between(1, 1 << 20));
    v.field("seed", seed, "seed of the rows of which nothing is known: those of special tokens",
            at_least(0));
    v.field("overwrite", overwrite, "replace an existing folder if it is a model folder");
    documents.visit(v);
  }
};

void check(const ExtendModelOptions& o) {
  require(
      o.tokens.has_value() != o.vocab_size.has_value(), ErrorKind::kUsage, "command line",
      "give one of --tokens FILE, for tokens that you have, and --vocab-size N with --corpus TEXT, "
      "for tokens that are learned");
  require(!o.vocab_size || !o.corpus.empty(), ErrorKind::kUsage, "command line",
          "--vocab-size needs --corpus, the text to learn from");
  require(!o.special || o.tokens, ErrorKind::kUsage, "command line",
          "--special says what the tokens of --tokens are");
}

// With file and line in front of what is wrong with one.
std::vector<std::string> read_tokens(const std::string& file) {
  constexpr size_t kLongestToken = 4096;
  LineReader lines(file, kLongestToken);
  std::vector<std::string> tokens;
  std::string_view line;
  while (lines.next(line)) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    const std::string place = fmt::format("{}:{}", file, lines.line_number());
    require(!line.empty(), ErrorKind::kData, place,
            "is empty, which is no token; write one token a line");
    require(is_valid_utf8(line), ErrorKind::kData, place, "is not valid UTF-8; save it as UTF-8");
    tokens.emplace_back(line);
  }
  require(!tokens.empty(), ErrorKind::kData, file, "has no tokens; write one token a line");
  return tokens;
}

// The new tokenizer and what it says of its tokens.
struct Extended {
  Tokenizer tokenizer;
  Json facts;
};

Json token_fact(int32_t id, const std::string& content) {
  return {{"id", id}, {"content", content}};
}

Extended with_special_tokens(const Tokenizer& old, const std::vector<std::string>& tokens) {
  std::vector<TokenToAdd> special;
  for (const std::string& token : tokens) special.push_back({token, true});
  TokenizerWithTokens made = add_tokens(old, special, 0);
  require(made.present.empty(), ErrorKind::kConfig, "--tokens",
          "'{}' is a token already; leave it out", made.present.empty() ? "" : made.present[0]);
  Json list = Json::array();
  for (const AddedToken& token : made.added) list.push_back(token_fact(token.id, token.content));
  return {std::move(made.tokenizer), {{"tokens", list}, {"took_places", made.took_places}}};
}

Extended with_given_tokens(const Tokenizer& old, const std::vector<std::string>& tokens) {
  TokenizerWithPieces made = add_pieces(old, tokens);
  Json list = Json::array();
  for (size_t i = 0; i < tokens.size(); ++i) list.push_back(token_fact(made.ids[i], tokens[i]));
  return {std::move(made.tokenizer), {{"tokens", list}, {"steps", made.steps}}};
}

Extended with_learned_tokens(const ExtendModelOptions& o, const Tokenizer& old, CorpusInput& input,
                             CommandContext& context) {
  const int64_t add = *o.vocab_size - old.vocab_size();
  require(add > 0, ErrorKind::kUsage, "--vocab-size",
          "{} is not more than the {} tokens that there are; give a larger number", *o.vocab_size,
          old.vocab_size());
  require_read_twice(input, "to learn and to measure");
  ExtendedTokenizer made = learn_pieces(old, {.add = add, .memory_bytes = o.memory_mib << 20},
                                        o.documents, input, context);
  return {std::move(made.tokenizer), {{"learned", add}}};
}

// As a folder for as long as it is needed.
void write_tokenizer(const ExtendModelOptions& o, const Tokenizer& tokenizer,
                     const fs::path& folder) {
  write_file_atomically(folder / "tokenizer.json", tokenizer.to_json());
  write_file_atomically(folder / "tokenizer_config.json", changed_config(o.model, tokenizer));
}

void write_model(const ExtendModelOptions& o, const Tokenizer& fresh, const fs::path& folder,
                 CommandContext& context) {
  AtomicDirectory scratch(fs::path(o.out) += ".tokenizer");
  write_tokenizer(o, fresh, scratch.temporary());
  const NewTokenizer tokenizer(scratch.temporary().string(), o.model);
  ConversionOptions conversion;
  conversion.seed = o.seed;
  conversion.token_sources = tokenizer.sources();
  conversion.known_tokens = tokenizer.known_tokens();
  const ModelConfig before = read_model_config(o.model);
  auto source = load_model(o.model, {.dtype = DType::kF32, .log = context.log});
  throw_if_interrupted();
  const auto model = convert(std::move(source), conversion);
  throw_if_interrupted();
  write_converted_model(*model, &tokenizer,
                        {.from = o.model,
                         .dtype = o.dtype ? std::optional(weight_type(*o.dtype)) : std::nullopt,
                         .shard_bytes = o.shard_mib << 20},
                        folder);
  for (const std::string& note : conversion_notes(before, conversion)) context.log.info("{}", note);
}

void write_extend_manifest(const ExtendModelOptions& o, const Json& facts, const CorpusInput* input,
                           const fs::path& folder, const CommandContext& context) {
  Manifest manifest = new_manifest("model", context.command_line());
  manifest.seed = o.seed;
  manifest.facts = facts.dump(-1, ' ', false, Json::error_handler_t::replace);
  add_input(manifest, o.model, "model");
  if (o.tokens) add_input(manifest, *o.tokens, "text");
  if (input != nullptr)
    for (const ArtefactRef& each : input->manifest_inputs()) manifest.inputs.push_back(each);
  add_outputs_of_folder(manifest, folder);
  write_manifest(manifest_path(folder, true), manifest, manifest_path(o.out, true));
}

void report(const Json& facts, CommandContext& context) {
  if (context.json) return context.print_json(facts);
  context.out << fmt::format("{}: {} tokens, {} of them new\n", facts["out"].get<std::string>(),
                             facts["vocab_size"].get<int64_t>(), facts["added"].get<int64_t>());
  for (const Json& token : facts.value("tokens", Json::array()))
    context.out << fmt::format("{:>8}  {}\n", token["id"].get<int32_t>(),
                               printable(token["content"].get<std::string>()));
  if (const auto steps = facts.value("steps", int64_t{0}); steps > 0)
    context.out << fmt::format("{} more tokens are steps of merging on the way to these\n", steps);
  if (facts.contains("before"))
    context.out << fmt::format("bytes per token: {:.4f} before, {:.4f} after\n",
                               facts["before"]["bytes_per_token"].get<double>(),
                               facts["after"]["bytes_per_token"].get<double>());
}

int run_extend_model(const ExtendModelOptions& o, CommandContext& context) {
  check(o);
  AtomicDirectory folder = make_output_folder({o.out, o.overwrite, {o.model}});
  const Tokenizer old = load_tokenizer(o.model);
  std::optional<CorpusInput> input;
  if (!o.corpus.empty()) input.emplace(o.corpus, context);
  Extended made = o.vocab_size ? with_learned_tokens(o, old, *input, context)
                  : o.special  ? with_special_tokens(old, read_tokens(*o.tokens))
                               : with_given_tokens(old, read_tokens(*o.tokens));
  Json facts = {{"out", o.out},
                {"vocab_size", made.tokenizer.vocab_size()},
                {"added", made.tokenizer.vocab_size() - old.vocab_size()}};
  facts.update(made.facts);
  if (input) {
    Fertility all;
    for (const Fertility& each : measure_fertility(old, made.tokenizer, o.documents, *input))
      all += each;
    facts.update(all.facts());
  }
  write_model(o, made.tokenizer, folder.temporary(), context);
  write_extend_manifest(o, facts, input ? &*input : nullptr, folder.temporary(), context);
  folder.commit(throw_if_interrupted);
  report(facts, context);
  return 0;
}

}  // namespace

Command extend_command() {
  return make_command<ExtendModelOptions>(
      {.name = "extend",
       .summary = "add tokens to a model: to its tokenizer, its embedding and its head",
       .help =
           "Old tokens keep their ids and rows. The row of a new one is the mean of the rows of the\n"
           "tokens that it was before, so that the model reads it as their average until it is trained.\n"
           "Tokens are reached by merging (byte-level BPE), so texts are cut as before and then joined\n"
           "further. `lathe tokenizer extend` and `lathe convert --tokenizer` are the same in two steps,\n"
           "with more choices.\n\n"
           "  lathe extend MODEL --corpus chinese.txt --vocab-size 40000 --out runs/chinese\n"
           "  lathe extend MODEL --tokens terms.txt --corpus medicine.jsonl --out runs/medicine\n"
           "  lathe extend MODEL --tokens markers.txt --special --out runs/markers\n"},
      run_extend_model);
}

}  // namespace lathe
