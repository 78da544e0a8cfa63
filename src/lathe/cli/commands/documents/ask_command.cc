#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/documents/index_encoder.h"
#include "lathe/cli/commands/model/model_input.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/documents/ask/asker.h"
#include "lathe/model/load_model.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct AskCommandOptions {
  std::string index, model, question;
  std::string precision = "fp32", weights = "native";
  AskOptions ask;

  void visit(Visitor& v) {
    v.positional("index", index, "folder that `lathe index` made");
    v.positional("model", model, "model folder or .gguf file with a chat template, which answers");
    v.field("question", question, "what to ask", required());
    v.field("passages", ask.passages, "passages that the model is shown, at most", between(1, 50));
    v.field("passage_tokens", ask.passage_tokens, "tokens of them together, at most", at_least(1));
    v.field("max_new_tokens", ask.new_tokens, "tokens of the answer, at most", at_least(8));
    v.field(
        "confidence", ask.confidence,
        "of the search, below which the answer is that the documents do not say; 0: the model always answers",
        between(0, 1));
    v.field("certain", ask.certain, "from this on the model must answer", between(0, 1));
    v.choice("precision", precision, precision_names(), "arithmetic and weights in memory");
    visit_weights(v, weights);
  }
};

Json as_json(const DocumentAnswer& answer) {
  Json citations = Json::array(), sentences = Json::array(), retrieved = Json::array();
  for (const Citation& one : answer.citations)
    citations.push_back({{"marker", one.marker},
                         {"path", one.path},
                         {"start", one.begin},
                         {"end", one.end},
                         {"quote", one.quote}});
  for (const auto& one : answer.sentences)
    sentences.push_back({{"text", one.text}, {"marker", one.marker}, {"support", one.support}});
  for (const FoundChunk& one : answer.retrieved)
    retrieved.push_back({{"path", one.path},
                         {"start", one.begin},
                         {"end", one.end},
                         {"score", one.score},
                         {"text", one.text}});
  return {{"answer", answer.text},
          {"citations", std::move(citations)},
          {"sentences", std::move(sentences)},
          {"retrieved", std::move(retrieved)},
          {"confidence", answer.confidence},
          {"abstained", answer.abstained}};
}

void print(const DocumentAnswer& answer, std::ostream& out) {
  constexpr double kUnsupported = 0.3;
  out << answer.text << "\n";
  for (const auto& one : answer.sentences)
    if (one.support < kUnsupported)
      out << fmt::format("  not supported by [{}] ({:.0f} % of its words): {}\n", one.marker,
                         100 * one.support, one.text);
  for (const Citation& one : answer.citations)
    out << fmt::format("  [{}] {}:{}-{}  \"{}\"\n", one.marker, one.path, one.begin, one.end,
                       one.quote);
}

// The likeliest tokens, with the ends that the model's folder names.
GenerationConfig greedy_of(const AskCommandOptions& o, const ModelConfig& model,
                           const CommandContext& context) {
  GenerationConfig config;
  config.temperature = 0;
  CommandContext given = context;
  given.given = {"temperature"};
  return generation_of(o.model, config, model, given);
}

int run_ask(const AskCommandOptions& o, CommandContext& context) {
  DocumentIndex index(o.index);
  const auto encoder = encoder_of(index, context.log);
  const DType dtype = dtype_of_precision(o.precision);
  const Tokenizer tokenizer = load_tokenizer(o.model);
  const ChatTemplate chat_template = ChatTemplate::load(o.model);
  const auto model = load_for_inference(o.model, dtype, context.log, quantised_weights(o.weights));
  throw_if_interrupted();
  DocumentAsker asker(index, encoder.get(), *model, tokenizer, chat_template,
                      greedy_of(o, model->config(), context), o.ask);
  const DocumentAnswer answer = asker.ask(o.question);
  if (context.json)
    context.print_json(as_json(answer));
  else
    print(answer, context.out);
  return 0;
}

}  // namespace

Command ask_command() {
  return make_command<AskCommandOptions>(
      {.name = "ask",
       .summary = "answer a question from documents",
       .help =
           "Finds passages of an index, shows them to a model, and prints its answer with the sentences that it comes\n"
           "from. Where the search is not sure enough, the answer is that the documents do not say.\n\n"
           "  lathe ask notes.index runs/demo/model --question 'How is the cache paged?'\n"},
      run_ask);
}

}  // namespace lathe
