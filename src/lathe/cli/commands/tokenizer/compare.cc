#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "lathe/base/printable.h"
#include "lathe/base/utf8.h"
#include "lathe/cli/commands/data/corpus_input.h"
#include "lathe/cli/commands/tokenizer/tokenizer.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/io/atomic_file.h"
#include "lathe/lab/tokenizer_page.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
constexpr size_t kRowsShown = 40, kNameCharacters = 34;

struct CompareOptions {
  std::vector<std::string> tokenizers, text;
  std::optional<std::string> by, html, pattern;
  int64_t hidden_size = 4096;
  DocumentConfig documents;

  void visit(Visitor& v) {
    v.positional("tokenizers", tokenizers, kTokenizerHelp);
    v.field("text", text, "file of text or JSON, plain or compressed, or a folder of them",
            required());
    v.field("by", by, "group JSON documents by this field, for example by language");
    v.field("hidden_size", hidden_size,
            "width of the model for which the parameters of the tables are counted", at_least(1));
    v.field("html", html, "also write a page with the same texts as each tokenizer cuts them");
    visit_pattern(v, pattern);
    documents.visit(v);
  }
};

TokenizerComparison compare(const CompareOptions& options, CommandContext& context) {
  std::vector<NamedTokenizer> tokenizers;
  for (const std::string& path : options.tokenizers)
    tokenizers.push_back({path, load_tokenizer_of(path, options.pattern)});
  TokenizerComparison comparison(std::move(tokenizers), throw_if_interrupted);
  DocumentConfig documents = options.documents;
  if (options.by) documents.label_field = *options.by;
  for (const std::string& path : options.text) {
    CorpusInput input(std::span(&path, 1), context);
    input.finish(comparison.add_text(path, input.files(), documents, input.hook("encoding")));
  }
  return comparison;
}

Json json_of(const PieceList& list, const Tokenizer& tokenizer) {
  Json examples = Json::array();
  for (const int32_t id : list.examples)
    examples.push_back({{"id", id}, {"text", printable(tokenizer.token_bytes(id))}});
  return {{"count", list.count}, {"examples", examples}};
}

Json json_of(const ComparedText& text, size_t tokenizer) {
  const TextLength& length = text.lengths[tokenizer];
  Json json = {{"path", text.path}};
  if (!text.group.empty()) json["group"] = replace_invalid_utf8(text.group);
  json.update({{"tokens", length.tokens},
               {"bytes", length.bytes},
               {"characters", length.characters},
               {"unknown_tokens", length.unknown},
               {"bytes_per_token", length.bytes_per_token()},
               {"tokens_per_character", length.tokens_per_character()}});
  return json;
}

double characters_per_8k_tokens(const TextLength& all) { return 8192 / all.tokens_per_character(); }

Json json_of(const TokenizerComparison& comparison, size_t t, const VocabularyFacts& facts,
             int64_t hidden_size) {
  const auto& [path, tokenizer] = comparison.tokenizers()[t];
  const int64_t table = tokenizer.vocab_size() * hidden_size;
  Json json = {{"path", path},
               {"vocab", tokenizer.vocab_size()},
               {"unused", facts.unused.count},
               {"unreachable", json_of(facts.unreachable, tokenizer)},
               {"partial_characters", facts.partial.count},
               {"undertrained_candidates", json_of(facts.undertrained, tokenizer)},
               {"embedding_parameters", table},
               {"head_parameters", table},
               {"characters_per_8k_tokens", characters_per_8k_tokens(comparison.total(t))}};
  json["texts"] = Json::array();
  for (const ComparedText& text : comparison.texts()) json["texts"].push_back(json_of(text, t));
  for (const CutSample& sample : kCutSamples) {
    Json pieces = Json::array();
    for (const int32_t id : tokenizer.encode(sample.text))
      pieces.push_back(printable(tokenizer.token_bytes(id)));
    json["samples"][sample.name] = pieces;
  }
  return json;
}

// At most kNameCharacters, the end of a path and the beginning of a group.
std::string padded_name(const ComparedText& text) {
  std::string name = printable(text.group.empty() ? text.path : text.group);
  std::vector<size_t> starts;
  for (size_t i = 0; i < name.size(); ++i)
    if ((name[i] & 0xC0) != 0x80) starts.push_back(i);
  size_t characters = starts.size();
  if (characters > kNameCharacters) {
    name = text.group.empty() ? "…" + name.substr(starts[characters - kNameCharacters + 1])
                              : name.substr(0, starts[kNameCharacters - 1]) + "…";
    characters = kNameCharacters;
  }
  return name + std::string(kNameCharacters - characters, ' ');
}

// The first and the last rows in order of the first tokenizer's bytes per token.
void print_texts(const TokenizerComparison& comparison, std::ostream& out) {
  const auto& texts = comparison.texts();
  std::vector<size_t> order(texts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, {},
                           [&](size_t i) { return texts[i].lengths[0].bytes_per_token(); });
  out << fmt::format("{:<{}}", "bytes per token", kNameCharacters);
  for (size_t t = 0; t < comparison.tokenizers().size(); ++t)
    out << fmt::format(" {:>7}", fmt::format("[{}]", t + 1));
  out << '\n';
  const size_t left_out = order.size() > kRowsShown ? order.size() - kRowsShown : 0;
  for (size_t k = 0; k < order.size(); ++k) {
    if (left_out > 0 && k == kRowsShown / 2) {
      out << fmt::format("… {} more; --json and --html list all\n", left_out);
      k += left_out;
    }
    out << padded_name(texts[order[k]]);
    for (const TextLength& length : texts[order[k]].lengths)
      out << fmt::format(" {:>7}", fmt::format("{}{:.2f}", length.is_lossy() ? "?" : "",
                                               length.bytes_per_token()));
    out << '\n';
  }
  const auto lossy = [](const ComparedText& text) {
    return std::ranges::any_of(text.lengths, &TextLength::is_lossy);
  };
  if (std::ranges::any_of(texts, lossy))
    out << "?: more than 1 % of the tokens are unknown, so text is lost\n";
}

void print_facts(const TokenizerComparison& comparison, size_t t, const VocabularyFacts& facts,
                 int64_t hidden_size, std::ostream& out) {
  const auto& [path, tokenizer] = comparison.tokenizers()[t];
  const TextLength all = comparison.total(t);
  out << fmt::format(
      "[{}] {}\n    vocabulary {}, {} unused, {} unreachable, {} undertrained candidates\n"
      "    {:.2f} bytes per token, {:.3f} tokens per character, {:.0f} characters in 8k tokens\n"
      "    embedding and head {} parameters each at width {}\n",
      t + 1, path, tokenizer.vocab_size(), facts.unused.count, facts.unreachable.count,
      facts.undertrained.count, all.bytes_per_token(), all.tokens_per_character(),
      characters_per_8k_tokens(all), tokenizer.vocab_size() * hidden_size, hidden_size);
}

int run_compare(const CompareOptions& options, CommandContext& context) {
  const TokenizerComparison comparison = compare(options, context);
  std::vector<VocabularyFacts> facts;
  for (size_t t = 0; t < comparison.tokenizers().size(); ++t)
    facts.push_back(comparison.vocabulary_facts(t));
  if (options.html)
    write_file_atomically(*options.html, tokenizer_page(comparison, facts, options.hidden_size));
  if (context.json) {
    Json list = Json::array();
    for (size_t t = 0; t < facts.size(); ++t)
      list.push_back(json_of(comparison, t, facts[t], options.hidden_size));
    context.print_json({{"tokenizers", list}});
    return 0;
  }
  for (size_t t = 0; t < facts.size(); ++t)
    print_facts(comparison, t, facts[t], options.hidden_size, context.out);
  context.out << '\n';
  print_texts(comparison, context.out);
  return 0;
}

}  // namespace

Command tokenizer_compare_command() {
  return make_command<CompareOptions>(
      {.name = "compare",
       .summary = "compare tokenizers on the same texts",
       .help =
           "Counts the tokens of every text, and the pieces that no text used, that no text can be\n"
           "encoded to, and that a model will therefore hardly learn.\n\n"
           "  lathe tokenizer compare runs/tok llama.model --text book.txt\n"
           "  lathe tokenizer compare a b --text udhr.jsonl.zst --by name --html compare.html\n"},
      run_compare);
}

}  // namespace lathe
