#include <nlohmann/json.hpp>

#include "lathe/base/catalogue.h"
#include "lathe/base/strings.h"
#include "lathe/cli/commands/data/corpus_input.h"
#include "lathe/cli/commands/tokenizer/tokenizer.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/config/read_write.h"
#include "lathe/corpus/document_feed.h"
#include "lathe/corpus/tokenizer_folder.h"
#include "lathe/lab/tokenizer_comparison.h"
#include "lathe/text/extend_tokenizer.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct ExtendCommandOptions {
  std::string tokenizer, out;
  std::vector<std::string> text;
  std::optional<std::string> pattern;
  int64_t add = 0, memory_mib = 2048;
  bool overwrite = false;
  DocumentConfig documents;

  void visit(Visitor& v) {
    v.positional("tokenizer", tokenizer, kTokenizerHelp);
    v.field(
        "text", text,
        "a file of text or JSON to learn from, plain or compressed, or a folder of them; may be "
        "given several times",
        required());
    v.field("add", add, "how many new pieces to learn", at_least(1).required());
    v.field("out", out, "folder for tokenizer.json", required());
    v.field("memory_mib", memory_mib,
            "memory to use; if the distinct words do not fit, a sample stands for the rare ones",
            between(1, 1 << 20));
    v.field("overwrite", overwrite, "replace a tokenizer that is already in the folder");
    visit_pattern(v, pattern);
    documents.visit(v);
  }
};

ExtendedTokenizer learn(const ExtendCommandOptions& options, const Tokenizer& old,
                        CommandContext& context, CorpusInput& input) {
  std::optional<Progress> bar;
  const auto feed = [&](CorpusReceiver& receiver) {
    DocumentFeed documents(receiver);
    input.finish(
        read_documents(input.files(), options.documents, documents, input.hook("reading")));
  };
  const auto learning = [&](std::string_view phase, int64_t done, int64_t total) {
    throw_if_interrupted();
    if (!bar) bar.emplace(context.progress, std::string(phase), static_cast<double>(total), "");
    bar->update(static_cast<double>(done));
  };
  ExtendedTokenizer extended = extend_tokenizer(
      old, feed, {.add = options.add, .memory_bytes = options.memory_mib << 20}, learning);
  if (bar) bar->finish();
  return extended;
}

// What the old and the new tokenizer make of a text.
struct Fertility {
  TextLength before, after;

  Fertility& operator+=(const Fertility& o) {
    before += o.before;
    after += o.after;
    return *this;
  }
  static Json of(const TextLength& length) {
    return {{"tokens", length.tokens},
            {"tokens_per_character", length.tokens_per_character()},
            {"bytes_per_token", length.bytes_per_token()},
            {"unknown_tokens", length.unknown}};
  }
  Json facts() const { return {{"before", of(before)}, {"after", of(after)}}; }
};

// By file.
std::vector<Fertility> measure(const ExtendCommandOptions& options, const Tokenizer& before,
                               const Tokenizer& after, CorpusInput& input) {
  std::vector<Fertility> fertility(input.files().size());
  const auto receive = [&](Document&& document) {
    throw_if_interrupted();
    fertility[document.place.file] +=
        {text_length(before, document.text), text_length(after, document.text)};
    return true;
  };
  for_each_document(input.files(), options.documents, receive, input.hook("measuring"));
  return fertility;
}

Json facts_of(const ExtendCommandOptions& options, const ExtendedTokenizer& extended,
              const CorpusInput& input, const std::vector<Fertility>& fertility) {
  Fertility all;
  for (const Fertility& f : fertility) all += f;
  Json facts = all.facts();
  facts["added"] = options.add;
  facts["characters"] = extended.characters;
  facts["vocab_size"] = extended.tokenizer.vocab_size();
  facts["forgotten_words"] = extended.stats.forgotten;
  facts["texts"] = Json::array();
  for (size_t i = 0; i < fertility.size(); ++i) {
    const int64_t characters = fertility[i].before.characters;
    if (characters == 0) continue;
    Json text = {{"file", input.files()[i].string()}, {"characters", characters}};
    text.update(fertility[i].facts());
    facts["texts"].push_back(std::move(text));
  }
  return facts;
}

void report(const ExtendCommandOptions& options, const ExtendedTokenizer& extended,
            const Json& facts, CommandContext& context) {
  if (extended.stats.forgotten > 0)
    context.log.warn(
        "{} rare words were dropped to stay within {} MiB; raise --memory-mib for an exact result",
        extended.stats.forgotten, options.memory_mib);
  if (context.json) return context.print_json(facts);
  const auto fertility = [](const Json& text, const char* when) {
    return text[when]["tokens_per_character"].get<double>();
  };
  context.out << fmt::format("{}: {} tokens, {} of them new ({} characters, {} merges)\n",
                             options.out, extended.tokenizer.vocab_size(), options.add,
                             extended.characters, options.add - extended.characters);
  context.out << fmt::format("tokens per character: {:.4f} before, {:.4f} after\n",
                             fertility(facts, "before"), fertility(facts, "after"));
  for (const Json& text : facts["texts"])
    context.out << fmt::format("  {}: {:.4f} before, {:.4f} after\n",
                               text["file"].get<std::string>(), fertility(text, "before"),
                               fertility(text, "after"));
}

int run_extend(const ExtendCommandOptions& options, CommandContext& context) {
  const Tokenizer old = load_tokenizer_of(options.tokenizer, options.pattern);
  CorpusInput input(options.text, context);
  refuse_existing_tokenizer(options.out, options.overwrite);
  require_read_twice(input, "to learn and to measure");
  const ExtendedTokenizer extended = learn(options, old, context, input);
  const std::vector<Fertility> fertility = measure(options, old, extended.tokenizer, input);
  Json facts = facts_of(options, extended, input, fertility);

  Manifest manifest = new_manifest("tokenizer", context.command_line());
  manifest.recipe = write_config(options).dump(-1, ' ', false, Json::error_handler_t::replace);
  manifest.facts = facts.dump(-1, ' ', false, Json::error_handler_t::replace);
  manifest.inputs = input.manifest_inputs();
  throw_if_interrupted();
  {
    const StopShield together;
    const TokenizerFile files[] = {
        {"tokenizer.json", extended.tokenizer.to_json()},
        {"tokenizer_config.json", changed_config(options.tokenizer, extended.tokenizer)}};
    write_tokenizer_folder(options.out, files, std::move(manifest));
  }
  facts["out"] = options.out;
  report(options, extended, facts, context);
  return 0;
}

}  // namespace

Command tokenizer_extend_command() {
  return make_command<ExtendCommandOptions>(
      {.name = "extend",
       .summary = "add pieces for new text behind those of a tokenizer",
       .help =
           "Writes OUT/tokenizer.json, where every old piece keeps its id and the new ones come\n"
           "after all of them. Text is first cut as before, then some neighbours are joined. Takes\n"
           "byte-level BPE, BPE on characters and Unigram, also from a .model such as that of Llama\n"
           "2. A model that uses the tokenizer needs a larger embedding.\n\n"
           "  lathe tokenizer extend runs/tok --text chinese.txt --add 1500 --out runs/longer\n"},
      run_extend);
}

}  // namespace lathe
