#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/printable.h"
#include "lathe/base/strings.h"
#include "lathe/cli/commands/tokenizer/lattice_drawing.h"
#include "lathe/cli/commands/tokenizer/tokenizer.h"
#include "lathe/text/format/sentencepiece_parts.h"
#include "lathe/text/tokenizer_data.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct InspectOptions {
  std::string tokenizer;
  std::optional<std::string> text, pattern;
  std::optional<int64_t> nbest;
  bool self_test = false;

  void visit(Visitor& v) {
    v.positional("tokenizer", tokenizer, kTokenizerHelp);
    v.field("text", text,
            "show how this text is split into tokens, and of a Unigram model every piece that "
            "stands in it");
    v.field("nbest", nbest, "with --text: the N best segmentations and their scores (Unigram)",
            at_least(1));
    v.field("self_test", self_test, "encode the samples that a .model holds of itself");
    visit_pattern(v, pattern);
  }
};

size_t longest_token(const Tokenizer& t) {
  size_t longest = 0;
  for (int32_t id = 0; id < t.vocab_size(); ++id)
    if (t.has(id)) longest = std::max(longest, t.token_bytes(id).size());
  return longest;
}

Json added_tokens(const Tokenizer& t) {
  Json list = Json::array();
  for (const AddedToken& a : t.added_tokens())
    list.push_back({{"id", a.id}, {"content", a.content}, {"special", a.special}});
  return list;
}

Json tokens_of(const Tokenizer& t, std::span<const int32_t> ids) {
  Json tokens = Json::array();
  for (const int32_t id : ids) {
    Json token = {{"id", id}, {"text", printable(t.token_bytes(id))}};
    if (const auto weight = t.data().model->weight_of(id))
      token[std::string(weight->name)] = weight->value;
    tokens.push_back(std::move(token));
  }
  return tokens;
}

Json segmentations(const Tokenizer& t, const std::string& text, int64_t n) {
  Json list = Json::array();
  for (const auto& s : t.nbest(text, n)) {
    Json pieces = Json::array();
    for (const int32_t id : s.ids) pieces.push_back(t.data().spelling_of_token(id));
    list.push_back({{"score", s.score}, {"ids", s.ids}, {"pieces", std::move(pieces)}});
  }
  return list;
}

Json to_json(const Tokenizer::Lattice& lattice) {
  Json pieces = Json::array();
  for (const TokenModel::LatticePiece& p : lattice.pieces)
    pieces.push_back({{"begin", p.begin},
                      {"end", p.end},
                      {"id", p.id < 0 ? Json() : Json(p.id)},
                      {"text", printable(lattice.text.substr(p.begin, p.end - p.begin))},
                      {"score", p.score},
                      {"probability", p.probability},
                      {"best", p.best}});
  return {{"text", printable(lattice.text)}, {"pieces", std::move(pieces)}};
}

// The number of samples; throws kFormat if one is encoded otherwise than it says.
size_t self_test(const Tokenizer& t, const std::string& path) {
  const auto& parts = t.data().sentencepiece;
  require(parts != nullptr && !parts->file.self_test.empty(), ErrorKind::kUsage, "--self-test",
          "{} holds no samples of itself, which only some SentencePiece models do; leave "
          "--self-test out",
          path);
  check_self_test(parts->file, path, [&](std::string_view text) {
    std::vector<std::string> pieces;
    for (const int32_t id : t.encode(text, {.special_as_text = true}))
      pieces.push_back(t.data().spelling_of_token(id));
    return pieces;
  });
  return parts->file.self_test.size();
}

void print_text(const Json& result, std::span<const Tokenizer::Lattice> lattices,
                CommandContext& context) {
  for (const Json& token : result["tokens"]) {
    std::string weight;
    if (token.contains("score")) weight = fmt::format("{:>9.3f}", token["score"].get<double>());
    if (token.contains("merge")) weight = fmt::format("merge {:>6}", token["merge"].get<double>());
    context.out << fmt::format("{:>8}  {:>12}  '{}'\n", token["id"].get<int32_t>(), weight,
                               token["text"].get<std::string>());
  }
  // A stretch of one piece leaves nothing to choose.
  const auto has_choice = [](const Tokenizer::Lattice& l) { return l.pieces.size() > 1; };
  if (std::ranges::any_of(lattices, has_choice))
    context.out << "\nThe pieces in it, with score and probability, where there is a choice; heavy "
                   "lines are the best segmentation.\n";
  for (const Tokenizer::Lattice& lattice : lattices)
    if (has_choice(lattice)) context.out << "\n" << lattice_drawing(lattice);
  if (!result.contains("segmentations")) return;
  context.out << "\nBest segmentations, with score:\n";
  for (const Json& s : result["segmentations"])
    context.out << fmt::format("{:>12.3f}  {}\n", s["score"].get<double>(),
                               fmt::join(s["pieces"].get<std::vector<std::string>>(), " "));
}

void print(const Json& result, std::span<const Tokenizer::Lattice> lattices,
           CommandContext& context) {
  context.out << fmt::format(
      "model          {}\nvocabulary     {} tokens, {} merges\npre-tokeniser  {}\nlongest token  "
      "{} bytes\n",
      result["model"].get<std::string>(), result["vocab_size"].get<int64_t>(),
      result["merges"].get<int64_t>(), result["pre_tokenizer"].get<std::string>(),
      result["longest_token_bytes"].get<size_t>());
  if (result.contains("self_test"))
    context.out << fmt::format("self-test      {} samples, all as they should be\n",
                               result["self_test"].get<size_t>());
  for (const Json& a : result["added_tokens"])
    context.out << fmt::format("{:>8}  {:8} {}\n", a["id"].get<int32_t>(),
                               a["special"].get<bool>() ? "special" : "added",
                               printable(a["content"].get<std::string>()));
  if (result.contains("tokens")) print_text(result, lattices, context);
}

int run_inspect(const InspectOptions& options, CommandContext& context) {
  require(!options.nbest || options.text, ErrorKind::kUsage, "--nbest",
          "has no effect without --text");
  const Tokenizer t = load_tokenizer_of(options.tokenizer, options.pattern);
  Json result = {{"model", t.model_type()},
                 {"vocab_size", t.vocab_size()},
                 {"merges", t.merge_count()},
                 {"pre_tokenizer", t.pattern_name()},
                 {"longest_token_bytes", longest_token(t)},
                 {"added_tokens", added_tokens(t)}};
  if (options.self_test) result["self_test"] = self_test(t, options.tokenizer);
  std::vector<Tokenizer::Lattice> lattices;
  if (options.text) {
    result["tokens"] = tokens_of(t, t.encode(*options.text));
    if (t.model_type() == "Unigram") lattices = t.lattice(*options.text);
    for (const Tokenizer::Lattice& lattice : lattices)
      result["lattice"].push_back(to_json(lattice));
    if (options.nbest) result["segmentations"] = segmentations(t, *options.text, *options.nbest);
  }
  if (context.json)
    context.print_json(result);
  else
    print(result, lattices, context);
  return 0;
}

}  // namespace

Command tokenizer_inspect_command() {
  return make_command<InspectOptions>(
      {.name = "inspect",
       .summary = "show what a tokenizer is made of",
       .help =
           "With --text, each token comes with what makes the model take it: the place of its\n"
           "merge (BPE) or its log-probability (Unigram). Of a Unigram model all pieces in the\n"
           "text are drawn below it.\n\n"
           "  lathe tokenizer inspect runs/tok --text 'Hello, world'\n"
           "  lathe tokenizer inspect t5.model --text 'tokenizers' --nbest 5\n"},
      run_inspect);
}

}  // namespace lathe
