#include <nlohmann/json.hpp>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/base/printable.h"
#include "lathe/base/strings.h"
#include "lathe/base/utf8.h"
#include "lathe/cli/commands/tokenizer/extending.h"
#include "lathe/cli/commands/tokenizer/tokenizer.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/config/read_write.h"
#include "lathe/corpus/tokenizer_folder.h"
#include "lathe/io/mapped_file.h"
#include "lathe/text/chat_tokens.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct ExtendCommandOptions {
  std::string tokenizer, out;
  std::vector<std::string> text, special_token;
  std::optional<std::string> pattern, chat_template;
  int64_t add = 0, reserve = 0, memory_mib = 2048;
  bool overwrite = false;
  DocumentConfig documents;

  void visit(Visitor& v) {
    v.positional("tokenizer", tokenizer, kTokenizerHelp);
    v.field(
        "text", text,
        "a file of text or JSON to learn from, plain or compressed, or a folder of them; may be "
        "given several times");
    v.field("add", add, "how many new pieces to learn from the text", at_least(0));
    v.field("special_token", special_token,
            "a special token to add, which is found in every text; takes the place of a reserved "
            "one, if there is one");
    v.field("chat_template", chat_template,
            "a file with a chat template in Jinja: the markers in it are added as tokens "
            "(<|user|>, [INST], <think>), and tokenizer_config.json gets the template");
    v.field("reserve", reserve,
            "reserved special tokens to add, whose ids later ones can have without a larger model",
            at_least(0));
    v.field("out", out, "folder for tokenizer.json", required());
    v.field("memory_mib", memory_mib,
            "memory to use; if the distinct words do not fit, a sample stands for the rare ones",
            between(1, 1 << 20));
    v.field("overwrite", overwrite, "replace a tokenizer that is already in the folder");
    visit_pattern(v, pattern);
    documents.visit(v);
  }
};

Json facts_of(const ExtendCommandOptions& options, const ExtendedTokenizer& extended,
              const CorpusInput& input, const std::vector<Fertility>& fertility) {
  Fertility all;
  for (const Fertility& f : fertility) all += f;
  Json facts = all.facts();
  facts["added"] = options.add;
  facts["characters"] = extended.characters;
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

void report_pieces(const Json& facts, CommandContext& context) {
  const auto fertility = [](const Json& text, const char* when) {
    return text[when]["tokens_per_character"].get<double>();
  };
  const auto added = facts["added"].get<int64_t>(), characters = facts["characters"].get<int64_t>();
  context.out << fmt::format("{} new pieces: {} characters, {} merges\n", added, characters,
                             added - characters);
  context.out << fmt::format("tokens per character: {:.4f} before, {:.4f} after\n",
                             fertility(facts, "before"), fertility(facts, "after"));
  for (const Json& text : facts["texts"])
    context.out << fmt::format("  {}: {:.4f} before, {:.4f} after\n",
                               text["file"].get<std::string>(), fertility(text, "before"),
                               fertility(text, "after"));
}

void report_tokens(const Json& facts, CommandContext& context) {
  for (const Json& token : facts["tokens"])
    context.out << fmt::format("{:>8}  {:8} {}\n", token["id"].get<int32_t>(),
                               token["special"].get<bool>() ? "special" : "added",
                               printable(token["content"].get<std::string>()));
  if (const auto& there = facts["present"]; !there.empty())
    context.out << fmt::format("there before: {}\n",
                               fmt::join(there.get<std::vector<std::string>>(), " "));
  if (const auto took = facts["took_places"].get<int64_t>(); took > 0)
    context.out << fmt::format("{} of them have the id of a reserved token\n", took);
  if (const auto reserved = facts["reserved"].get<int64_t>(); reserved > 0)
    context.out << fmt::format("{} more reserved tokens\n", reserved);
}

// Learns new pieces; what came of it goes to `facts` and what it was learned from to `manifest`.
Tokenizer with_pieces(const ExtendCommandOptions& options, const Tokenizer& old,
                      CommandContext& context, Json& facts, Manifest& manifest) {
  CorpusInput input(options.text, context);
  require_read_twice(input, "to learn and to measure");
  ExtendedTokenizer extended =
      learn_pieces(old, {.add = options.add, .memory_bytes = options.memory_mib << 20},
                   options.documents, input, context);
  facts.update(facts_of(options, extended, input,
                        measure_fertility(old, extended.tokenizer, options.documents, input)));
  manifest.inputs = input.manifest_inputs();
  return std::move(extended.tokenizer);
}

std::optional<std::string> read_template(const ExtendCommandOptions& options) {
  if (!options.chat_template) return std::nullopt;
  std::string text = read_file(*options.chat_template);
  require(is_valid_utf8(text), ErrorKind::kFormat, *options.chat_template,
          "is not valid UTF-8, expected a chat template; save it as UTF-8");
  return text;
}

Tokenizer with_tokens(const ExtendCommandOptions& options,
                      const std::optional<std::string>& chat_template, const Tokenizer& old,
                      Json& facts) {
  std::vector<TokenToAdd> tokens;
  for (const std::string& token : options.special_token) tokens.push_back({token, true});
  for (TokenToAdd& token : tokens_of_template(chat_template.value_or("")))
    if (std::ranges::find(options.special_token, token.content) == options.special_token.end())
      tokens.push_back(std::move(token));
  TokenizerWithTokens made = add_tokens(old, tokens, options.reserve);
  facts["tokens"] = Json::array();
  for (const AddedToken& token : made.added)
    facts["tokens"].push_back(
        {{"id", token.id}, {"content", token.content}, {"special", token.special}});
  facts["present"] = made.present;
  facts["took_places"] = made.took_places;
  facts["reserved"] = options.reserve;
  return std::move(made.tokenizer);
}

void check(const ExtendCommandOptions& o) {
  require(o.text.empty() == (o.add == 0), ErrorKind::kUsage, "command line",
          "--text and --add go together: the text to learn from and how many pieces to learn");
  require(o.add > 0 || o.reserve > 0 || o.chat_template || !o.special_token.empty(),
          ErrorKind::kUsage, "command line",
          "nothing to do; give --text and --add, --special-token, --chat-template or --reserve");
}

void save(const ExtendCommandOptions& options, const std::optional<std::string>& chat_template,
          const Tokenizer& tokenizer, Manifest manifest) {
  throw_if_interrupted();
  const StopShield together;
  const TokenizerFile files[] = {
      {"tokenizer.json", tokenizer.to_json()},
      {"tokenizer_config.json", changed_config(options.tokenizer, tokenizer, chat_template)}};
  write_tokenizer_folder(options.out, files, std::move(manifest));
}

int run_extend(const ExtendCommandOptions& options, CommandContext& context) {
  check(options);
  Tokenizer tokenizer = load_tokenizer_of(options.tokenizer, options.pattern);
  const int64_t old_size = tokenizer.vocab_size();
  refuse_existing_tokenizer(options.out, options.overwrite);
  const std::optional<std::string> chat_template = read_template(options);
  Manifest manifest = new_manifest("tokenizer", context.command_line());
  manifest.recipe = write_config(options).dump(-1, ' ', false, Json::error_handler_t::replace);
  Json facts;
  if (options.add > 0) tokenizer = with_pieces(options, tokenizer, context, facts, manifest);
  tokenizer = with_tokens(options, chat_template, tokenizer, facts);
  facts["vocab_size"] = tokenizer.vocab_size();
  manifest.facts = facts.dump(-1, ' ', false, Json::error_handler_t::replace);
  save(options, chat_template, tokenizer, std::move(manifest));
  facts["out"] = options.out;
  if (context.json) {
    context.print_json(facts);
    return 0;
  }
  context.out << fmt::format("{}: {} tokens, {} of them new\n", options.out, tokenizer.vocab_size(),
                             tokenizer.vocab_size() - old_size);
  if (options.add > 0) report_pieces(facts, context);
  report_tokens(facts, context);
  return 0;
}

}  // namespace

Command tokenizer_extend_command() {
  return make_command<ExtendCommandOptions>(
      {.name = "extend",
       .summary = "add pieces for new text, or special tokens, to a tokenizer",
       .help =
           "Writes OUT/tokenizer.json, where every old piece keeps its id and the new ones come\n"
           "after all of them. Text is first cut as before, then some neighbours are joined. Takes\n"
           "byte-level BPE, BPE on characters and Unigram, also from a .model such as that of Llama\n"
           "2. `lathe convert MODEL --tokenizer OUT` gives a model the new pieces.\n\n"
           "  lathe tokenizer extend runs/tok --text chinese.txt --add 1500 --out runs/longer\n\n"
           "Special tokens go into any kind of tokenizer. Each takes the place of a reserved token\n"
           "while there are any, so that a model can be trained for tokens that come later.\n\n"
           "  lathe tokenizer extend runs/tok --reserve 16 --out runs/reserved\n"
           "  lathe tokenizer extend runs/reserved --chat-template chat.jinja --out runs/chat\n"},
      run_extend);
}

}  // namespace lathe
