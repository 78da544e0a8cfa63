#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include "lathe/base/strings.h"
#include "lathe/cli/commands/data/corpus_input.h"
#include "lathe/cli/commands/tokenizer/tokenizer.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/config/read_write.h"
#include "lathe/corpus/tokenizer_folder.h"
#include "lathe/corpus/tokenizer_training.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

TokenizerTraining train(const TokenizerTrainConfig& config, CommandContext& context,
                        CorpusInput& input) {
  std::optional<Progress> bar;
  std::string shown;
  TokenizerTrainHooks hooks;
  hooks.reading = input.hook("reading");
  hooks.read = [&](const DocumentCounts& counts) { input.finish(counts); };
  hooks.learning = [&](std::string_view phase, int64_t done, int64_t total) {
    throw_if_interrupted();
    if (shown != phase) {
      if (bar) bar->finish();
      shown = phase;
      bar.emplace(context.progress, shown, static_cast<double>(total), "");
    }
    bar->update(static_cast<double>(done));
  };
  TokenizerTraining training = train_tokenizer(config, input.files(), hooks);
  if (bar) bar->finish();
  return training;
}

void report(const TokenizerTrainConfig& config, const TokenizerTraining& training,
            const Json& facts, CommandContext& context) {
  const int64_t size = training.trained.tokenizer.vocab_size();
  const TrainStats& s = training.trained.stats;
  if (size < config.vocab_size && config.model != "byte")
    context.log.warn("the text is enough for only {} tokens; {} were requested", size,
                     config.vocab_size);
  if (s.forgotten > 0)
    context.log.warn(
        "{} rare words were dropped to stay within {} MiB, {} words are left, some of which stand for "
        "them; raise --memory-mib for an exact result",
        s.forgotten, config.memory_mib, s.distinct);
  if (context.json) return context.print_json(facts);
  context.out << fmt::format("{}: {} tokens from {} of text, {} words, {} of them distinct\n",
                             config.out, size, human_bytes(static_cast<double>(s.bytes)),
                             human_count(static_cast<double>(s.words)),
                             human_count(static_cast<double>(s.distinct)));
}

int run_train(const TokenizerTrainConfig& config, CommandContext& context) {
  const auto start = std::chrono::steady_clock::now();
  refuse_existing_tokenizer(config.out, config.overwrite);
  std::vector<std::string> paths;
  for (WeightedPath& w : weighted_paths(config.files)) paths.push_back(std::move(w.path));
  CorpusInput input(paths, context);
  const TokenizerTraining training = train(config, context, input);
  Json facts = training.facts();
  input.add_facts(training.counts, facts);

  Manifest manifest = new_manifest("tokenizer", context.command_line());
  manifest.recipe = write_config(config).dump(-1, ' ', false, Json::error_handler_t::replace);
  manifest.facts = facts.dump();
  manifest.inputs = input.manifest_inputs();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  throw_if_interrupted();
  {
    const StopShield together;
    save_tokenizer(config, training, std::move(manifest));
  }
  facts["out"] = config.out;
  facts["seconds"] = seconds;
  report(config, training, facts, context);
  return 0;
}

}  // namespace

Command tokenizer_train_command() {
  return make_command<TokenizerTrainConfig>(
      {.name = "train",
       .summary = "train a tokenizer",
       .help =
           "Writes OUT/tokenizer.json, which `tokenizers` and `transformers` can also read. The\n"
           "result does not depend on the number of threads. Plain text, JSON lines and JSON\n"
           "arrays are recognised by their content, also when compressed with gzip or zstd.\n\n"
           "  lathe tokenizer train book.txt --vocab-size 8000 --special-token '<|endoftext|>' "
           "--out runs/tok\n"
           "  lathe tokenizer train *.txt --pattern llama3 --special-token '<|endoftext|>' \\\n"
           "      --out runs/tok\n"
           "  lathe tokenizer train corpus.jsonl.zst --text-field body --out runs/tok\n"
           "  lathe tokenizer train *.txt --model unigram --sentencepiece --out runs/tok\n"
           "  lathe tokenizer train *.txt --model wordpiece --special-token '[UNK]' \\\n"
           "      --special-token '[CLS]' --special-token '[SEP]' --out runs/tok\n"},
      run_train);
}

}  // namespace lathe
