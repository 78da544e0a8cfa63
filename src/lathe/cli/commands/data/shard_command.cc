#include <nlohmann/json.hpp>

#include "lathe/base/strings.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/data/corpus_input.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/corpus/sharder.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

void print(const ShardSummary& s, std::ostream& out) {
  out << fmt::format("{}: {} documents, {} tokens, {} of text, {:.2f} bytes a token\n", s.prefix,
                     s.documents, s.tokens, human_bytes(static_cast<double>(s.bytes)),
                     s.bytes_per_token());
}

void report(Sharder& sharder, const CorpusInput& input, const DocumentCounts& counts,
            CommandContext& context) {
  const ShardSummary train = sharder.train();
  const auto valid = sharder.valid();
  const int64_t in_both = sharder.validation_also_in_training();
  if (in_both > 0)
    context.log.warn(
        "{} of the {} validation documents are also in the training data; --val-by-content keeps "
        "equal documents in the same part",
        in_both, valid->documents);
  if (!context.json) {
    print(train, context.out);
    if (valid) print(*valid, context.out);
    return;
  }
  Json result = train.to_json();
  input.add_facts(counts, result);
  if (valid) {
    result["valid"] = valid->to_json();
    result["valid"]["also_in_training"] = in_both;
  }
  result["seconds"] = input.seconds();
  context.print_json(result);
}

int run_shard(const ShardConfig& config, CommandContext& context) {
  CorpusInput input(config.files, context);
  Sharder sharder(config, input.files().size(), throw_if_interrupted, context.log);
  const auto take = [&](Document&& document) {
    sharder.add(std::move(document));
    input.note(human_count(static_cast<double>(sharder.tokens())) + " tokens");
    return true;
  };
  const DocumentCounts counts =
      for_each_document(input.files(), config.documents, take, input.hook("encoding"));
  sharder.finish_reading();
  input.finish(counts);
  const ShardOrigin origin{.command = context.command_line(),
                           .inputs = input.manifest_inputs(),
                           .add_facts = [&](Json& facts) { input.add_facts(counts, facts); }};
  throw_if_interrupted();
  {
    const StopShield together;
    sharder.save(origin);
  }
  report(sharder, input, counts, context);
  return 0;
}

}  // namespace

Command shard_command() {
  return make_command<ShardConfig>(
      {.name = "shard",
       .summary = "turn text into token shards for training",
       .help =
           "Encodes documents with all cores and writes Megatron-LM's OUT.bin and OUT.idx, in the\n"
           "order of reading, with a manifest that names the tokenizer and every source file.\n"
           "A plain text file is one document unless --split says otherwise. JSON lines and JSON "
           "arrays are\n"
           "recognised by their content; all may be compressed with gzip or zstd.\n\n"
           "  lathe shard book.txt --tokenizer runs/tok --out runs/data --split blank-lines\n"
           "  lathe shard corpus.jsonl.gz more/ --tokenizer runs/tok --out runs/data "
           "--val-fraction 0.01\n"
           "  lathe shard /usr/share/games/fortunes --tokenizer runs/tok --out runs/data --split "
           "separator\n"},
      run_shard);
}

}  // namespace lathe
