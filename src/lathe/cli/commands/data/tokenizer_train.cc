#include "lathe/cli/commands/data/tokenizer_train.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/cli/commands/data/corpus_input.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/config/read_write.h"
#include "lathe/io/atomic_file.h"
#include "lathe/text/bpe_trainer.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct TrainOptions {
  std::vector<std::string> files, special_token;
  std::string out, pattern = "gpt2";
  int64_t vocab_size = 32000, min_count = 1, memory_mib = 2048, model_max_length = 0;
  std::optional<std::string> eos, bos, pad;
  bool overwrite = false;
  DocumentConfig documents;

  template <class V>
  void visit(V& v) {
    v.positional("files", files, "files of text or JSON, also packed, or folders of them");
    v.field("vocab_size", vocab_size, "tokens in all: special tokens, 256 bytes, merges",
            at_least(256));
    v.field("out", out, "folder for tokenizer.json and tokenizer_config.json", required());
    std::vector<std::string_view> patterns;
    for (const PatternInfo& info : kPreTokenizers) patterns.push_back(info.name);
    v.choice("pattern", pattern, patterns, "how text is cut before merging");
    v.field("special_token", special_token,
            "a special token, e.g. '<|endoftext|>'; may be repeated, gets the lowest ids");
    v.field("eos", eos, "which of them ends a text (default: the first)");
    v.field("bos", bos, "which of them begins a text");
    v.field("pad", pad, "which of them fills up a batch");
    v.field("min_count", min_count, "pairs that occur less often are not merged", at_least(1));
    v.field("memory_mib", memory_mib,
            "memory to use; when the distinct words do not fit, the rarest are forgotten",
            between(1, 1 << 20));
    v.field("overwrite", overwrite, "replace the tokenizer that is in the folder");
    v.field("model_max_length", model_max_length,
            "written to tokenizer_config.json; 0 leaves it out", at_least(0));
    documents.visit(v);
  }
};

void refuse_existing(const TrainOptions& options) {
  std::error_code error;
  require(options.overwrite || !fs::exists(fs::path(options.out) / "tokenizer.json", error),
          ErrorKind::kIo, options.out,
          "holds a tokenizer, from which shards and models may have been made; choose another "
          "folder, or replace it with --overwrite");
}

BpeTrainOptions train_options(const TrainOptions& options) {
  for (const auto* name : {&options.eos, &options.bos, &options.pad}) {
    const auto& known = options.special_token;
    require(!*name || std::find(known.begin(), known.end(), **name) != known.end(),
            ErrorKind::kUsage, "command line",
            "'{}' is not one of the special tokens; add --special-token '{}'", name->value_or(""),
            name->value_or(""));
  }
  BpeTrainOptions train;
  train.vocab_size = options.vocab_size;
  train.pattern = *find_pattern(options.pattern);
  train.special_tokens = options.special_token;
  train.min_count = options.min_count;
  train.memory_bytes = options.memory_mib << 20;
  return train;
}

// Documents as the trainer takes texts.
class FeedTrainer : public DocumentSink {
 public:
  explicit FeedTrainer(TextSink& to) : to_(to) {}
  void begin(const DocumentPlace&) override {}
  void add(std::string_view piece) override { to_.add(piece); }
  bool end() override {
    to_.end_text();
    return true;
  }

 private:
  TextSink& to_;
};

std::string config_json(const TrainOptions& options, const Tokenizer& tokenizer) {
  TokenizerConfig config;
  if (!options.special_token.empty()) config.eos = options.special_token.front();
  if (options.eos) config.eos = *options.eos;
  config.bos = options.bos.value_or("");
  config.pad = options.pad.value_or("");
  config.model_max_length = options.model_max_length;
  return tokenizer.config_json(config);
}

void write_trained(const TrainOptions& options, const Tokenizer& tokenizer, Manifest manifest) {
  const fs::path folder = options.out;
  std::error_code error;
  fs::create_directories(folder, error);
  require(!error, ErrorKind::kIo, options.out, "cannot make the folder: {}", error.message());
  const std::string json = tokenizer.to_json(), config = config_json(options, tokenizer);
  throw_if_interrupted();
  const StopShield together;
  write_file_atomically(folder / "tokenizer.json", json);
  write_file_atomically(folder / "tokenizer_config.json", config);
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"})
    add_output(manifest, folder / name, "tokenizer");
  write_manifest(manifest_path(folder, true), manifest);
}

TrainedTokenizer train(const TrainOptions& options, CommandContext& context, CorpusInput& input,
                       DocumentCounts& counts) {
  std::optional<Progress> merging;
  const auto read = [&](TextSink& sink) {
    FeedTrainer feed(sink);
    counts = read_documents(input.files(), options.documents, feed, input.hook("reading"));
    input.finish(counts);
    merging.emplace(context.progress, "merging", static_cast<double>(options.vocab_size), "tokens");
  };
  TrainedTokenizer trained = train_bpe(read, train_options(options), [&](int64_t vocab_size) {
    throw_if_interrupted();
    merging->update(static_cast<double>(vocab_size));
  });
  merging->finish();
  return trained;
}

void report(const TrainOptions& options, const BpeTrainStats& s, const Json& facts,
            CommandContext& context) {
  const auto size = facts["vocab_size"].get<int64_t>();
  if (size < options.vocab_size)
    context.log.warn("the text has pairs for {} tokens only; {} were asked for", size,
                     options.vocab_size);
  if (s.forgotten > 0)
    context.log.warn(
        "{} of {} words were forgotten to stay within {} MiB; raise --memory-mib for an exact "
        "result",
        s.forgotten, s.words, options.memory_mib);
  if (context.json) return context.print_json(facts);
  context.out << fmt::format("{}: {} tokens from {} of text, {} words, {} of them distinct\n",
                             options.out, size, human_bytes(static_cast<double>(s.bytes)),
                             human_count(static_cast<double>(s.words)),
                             human_count(static_cast<double>(s.distinct)));
}

int run_train(const TrainOptions& options, CommandContext& context) {
  const auto start = std::chrono::steady_clock::now();
  refuse_existing(options);
  CorpusInput input(options.files, context);
  DocumentCounts counts;
  const TrainedTokenizer trained = train(options, context, input, counts);
  const BpeTrainStats& s = trained.stats;
  Json facts = {{"documents", counts.documents},
                {"vocab_size", trained.tokenizer.vocab_size()},
                {"merges", trained.tokenizer.merge_count()},
                {"bytes", s.bytes},
                {"words", s.words},
                {"distinct_words", s.distinct},
                {"forgotten_words", s.forgotten},
                {"last_count", s.last_count}};
  input.add_facts(counts, facts);

  Manifest manifest = new_manifest("tokenizer", context.command_line());
  manifest.recipe = write_config(options).dump(-1, ' ', false, Json::error_handler_t::replace);
  manifest.facts = facts.dump();
  manifest.inputs = input.manifest_inputs();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  write_trained(options, trained.tokenizer, std::move(manifest));
  facts["out"] = options.out;
  facts["seconds"] = seconds;
  report(options, s, facts, context);
  return 0;
}

}  // namespace

Command tokenizer_train_command() {
  return make_command<TrainOptions>(
      {.name = "train",
       .summary = "train a byte-level BPE tokenizer",
       .help = "Writes DIR/tokenizer.json, which `tokenizers` and `transformers` read as "
               "well. The\n"
               "result is the same whatever the number of threads. Plain text, JSON lines and "
               "JSON\n"
               "arrays are recognised by their content, also packed with gzip or zstd.\n\n"
               "  lathe tokenizer train book.txt --vocab-size 8000 --special-token '<|endoftext|>' "
               "--out runs/tok\n"
               "  lathe tokenizer train *.txt --pattern llama3 --special-token "
               "'<|endoftext|>' \\\n"
               "      --out runs/tok\n"
               "  lathe tokenizer train corpus.jsonl.zst --text-field body --out "
               "runs/tok\n"},
      run_train);
}

}  // namespace lathe
