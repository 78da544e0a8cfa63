#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/printable.h"
#include "lathe/cli/commands/tokenizer/tokenizer.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct InspectOptions {
  std::string tokenizer;
  std::optional<std::string> text, pattern;

  void visit(Visitor& v) {
    v.positional("tokenizer", tokenizer, kTokenizerHelp);
    v.field("text", text, "show how this text is split into tokens");
    visit_pattern(v, pattern);
  }
};

int run_inspect(const InspectOptions& options, CommandContext& context) {
  const Tokenizer t = load_tokenizer_of(options.tokenizer, options.pattern);
  size_t longest = 0;
  for (int32_t id = 0; id < t.vocab_size(); ++id)
    if (t.has(id)) longest = std::max(longest, t.token_bytes(id).size());
  Json result = {{"model", t.model_type()},
                 {"vocab_size", t.vocab_size()},
                 {"merges", t.merge_count()},
                 {"pre_tokenizer", t.pattern_name()},
                 {"longest_token_bytes", longest}};
  result["added_tokens"] = Json::array();
  for (const AddedToken& a : t.added_tokens())
    result["added_tokens"].push_back(
        {{"id", a.id}, {"content", a.content}, {"special", a.special}});
  if (options.text) {
    result["tokens"] = Json::array();
    for (int32_t id : t.encode(*options.text))
      result["tokens"].push_back({{"id", id}, {"text", printable(t.token_bytes(id))}});
  }
  if (context.json) {
    context.print_json(result);
    return 0;
  }
  context.out << fmt::format(
      "model          {}\nvocabulary     {} tokens, {} merges\npre-tokeniser  {}\nlongest token  {} bytes\n",
      t.model_type(), t.vocab_size(), t.merge_count(), t.pattern_name(), longest);
  for (const AddedToken& a : t.added_tokens())
    context.out << fmt::format("{:>8}  {:8} {}\n", a.id, a.special ? "special" : "added",
                               printable(a.content));
  if (options.text)
    for (const Json& token : result["tokens"])
      context.out << fmt::format("{:>8}  '{}'\n", token["id"].get<int32_t>(),
                                 token["text"].get<std::string>());
  return 0;
}

}  // namespace

Command tokenizer_inspect_command() {
  return make_command<InspectOptions>(
      {.name = "inspect",
       .summary = "show what a tokenizer is made of",
       .help = "  lathe tokenizer inspect runs/tok --text 'Hello, world'\n"},
      run_inspect);
}

}  // namespace lathe
