#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/cli/commands/data/corpus_input.h"
#include "lathe/cli/commands/tokenizer/tokenizer.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/config/read_write.h"
#include "lathe/corpus/tokenizer_folder.h"
#include "lathe/text/prune_tokenizer.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct PruneCommandOptions {
  std::string tokenizer, out;
  std::vector<std::string> text;
  std::optional<std::string> pattern;
  PruneOptions prune;
  bool overwrite = false;
  DocumentConfig documents;

  void visit(Visitor& v) {
    v.positional("tokenizer", tokenizer, kTokenizerHelp);
    v.field(
        "text", text,
        "a file of text or JSON whose tokens are kept, plain or compressed, or a folder of them; "
        "may be given several times",
        required());
    v.field("out", out, "folder for tokenizer.json and id_map.json", required());
    v.field("keep_bytes", prune.keep_bytes,
            "keep the tokens of all single bytes, so that every text can still be encoded");
    v.field("overwrite", overwrite, "replace a tokenizer that is already in the folder");
    visit_pattern(v, pattern);
    documents.visit(v);
  }
};

struct Use {
  std::vector<bool> ids;
  int64_t tokens = 0;
};

Use used_ids(const PruneCommandOptions& options, const Tokenizer& old, CorpusInput& input) {
  Use use{std::vector<bool>(static_cast<size_t>(old.vocab_size()), false)};
  const auto receive = [&](Document&& document) {
    throw_if_interrupted();
    const std::vector<int32_t> ids = old.encode(document.text);
    for (const int32_t id : ids) use.ids[static_cast<size_t>(id)] = true;
    use.tokens += static_cast<int64_t>(ids.size());
    return true;
  };
  input.finish(
      for_each_document(input.files(), options.documents, receive, input.hook("encoding")));
  return use;
}

// That the corpus has the same tokens as before.
void verify(const PruneCommandOptions& options, const Tokenizer& old, const PrunedTokenizer& pruned,
            CorpusInput& input) {
  const auto receive = [&](Document&& document) {
    throw_if_interrupted();
    std::vector<int32_t> ids = pruned.tokenizer.encode(document.text);
    for (int32_t& id : ids) id = pruned.old_ids[static_cast<size_t>(id)];
    require(ids == old.encode(document.text), ErrorKind::kData, "prune",
            "a text has other tokens with the pruned tokenizer: {} line {}; nothing was written",
            input.files()[document.place.file].string(), document.place.line);
    return true;
  };
  for_each_document(input.files(), options.documents, receive, input.hook("checking"));
}

int run_prune(const PruneCommandOptions& options, CommandContext& context) {
  const Tokenizer old = load_tokenizer_of(options.tokenizer, options.pattern);
  CorpusInput input(options.text, context);
  refuse_existing_tokenizer(options.out, options.overwrite);
  require_read_twice(input, "to count and to check");
  const Use use = used_ids(options, old, input);
  const PrunedTokenizer pruned = prune_tokenizer(old, use.ids, options.prune);
  verify(options, old, pruned, input);
  Json facts = {
      {"before", {{"vocab_size", old.vocab_size()}, {"merges", old.merge_count()}}},
      {"after",
       {{"vocab_size", pruned.tokenizer.vocab_size()}, {"merges", pruned.tokenizer.merge_count()}}},
      {"used", std::ranges::count(use.ids, true)},
      {"tokens", use.tokens}};

  Manifest manifest = new_manifest("tokenizer", context.command_line());
  manifest.recipe = write_config(options).dump(-1, ' ', false, Json::error_handler_t::replace);
  manifest.facts = facts.dump();
  manifest.inputs = input.manifest_inputs();
  throw_if_interrupted();
  {
    const StopShield together;
    const TokenizerFile files[] = {
        {"tokenizer.json", pruned.tokenizer.to_json()},
        {"tokenizer_config.json", changed_config(options.tokenizer, pruned.tokenizer)},
        {kIdMapFile, Json(pruned.old_ids).dump() + "\n"}};
    write_tokenizer_folder(options.out, files, std::move(manifest));
  }
  facts["out"] = options.out;
  if (context.json) {
    context.print_json(facts);
  } else {
    context.out << fmt::format("{}: {} of {} tokens; the text uses {} of them\n", options.out,
                               pruned.tokenizer.vocab_size(), old.vocab_size(),
                               facts["used"].get<int64_t>());
  }
  return 0;
}

}  // namespace

Command tokenizer_prune_command() {
  return make_command<PruneCommandOptions>(
      {.name = "prune",
       .summary = "keep only the pieces that a corpus uses",
       .help =
           "Writes OUT/tokenizer.json with new ids, and OUT/id_map.json, a list of the old id of\n"
           "every new one. The text has the same tokens as before, which the command checks. Added\n"
           "tokens stay, and so does what the pieces in use are merged from. Takes BPE and\n"
           "Unigram.\n\n"
           "  lathe tokenizer prune runs/tok --text corpus.jsonl.zst --out runs/smaller\n"},
      run_prune);
}

}  // namespace lathe
