#include <algorithm>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "lathe/base/strings.h"
#include "lathe/chat/text_stream.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/model/adapter_options.h"
#include "lathe/cli/commands/model/constraint_options.h"
#include "lathe/cli/commands/model/model_input.h"
#include "lathe/cli/commands/model/speculation_options.h"
#include "lathe/cli/commands/model/stream_options.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/infer/generate.h"
#include "lathe/io/json_file.h"
#include "lathe/model/load_model.h"
#include "lathe/text/tokenizer.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct GenerateOptions {
  std::string model;
  std::optional<std::string> input, prompt;
  std::string precision = "fp32", weights = "fp32";
  bool special = true;
  std::optional<int64_t> context_shift;
  int64_t context_keep = 4;
  std::optional<std::string> cache_precision;
  ConstraintOptions constraint;
  AdapterOptions adapters;
  StreamOptions stream;
  SpeculationOptions speculation;
  GenerationConfig generation;

  void visit(Visitor& v) {
    v.positional("model", model, kModelHelp);
    v.field("prompt", prompt, "text to continue");
    v.field("special", special,
            "recognise special tokens written in the prompt; without, they are plain text");
    v.field("input", input, "JSON file with input_ids, instead of --prompt");
    v.choice("precision", precision, precision_names(), "arithmetic and weights in memory");
    visit_weights(v, weights);
    visit_cache_precision(v, cache_precision);
    v.field(
        "context_shift", context_shift,
        "the model sees at most this many tokens: when there are more, the older half of them is "
        "lost; without it an answer ends where a table of positions ends",
        at_least(2));
    v.field("context_keep", context_keep, "first tokens that --context-shift never loses",
            at_least(0));
    stream.visit(v);
    adapters.visit(v);
    constraint.visit(v);
    speculation.visit(v);
    generation.visit(v);
  }
};

void check_tokenizer(const Tokenizer& tokenizer, const Transformer& model,
                     const std::string& folder) {
  require(tokenizer.vocab_size() <= model.config().vocab_size, ErrorKind::kData, folder,
          "the tokenizer has {} entries, but the model has only {}; they do not belong together",
          tokenizer.vocab_size(), model.config().vocab_size);
}

// What the answer must fit; the ids that end one are those that generation stops at.
std::shared_ptr<const Constraint> constraint_for(const GenerateOptions& o, const ModelConfig& model,
                                                 const Tokenizer& tokenizer) {
  const auto& ids =
      o.generation.eos_token_id.empty() ? model.eos_token_ids() : o.generation.eos_token_id;
  return o.constraint.make(tokenizer, {ids.begin(), ids.end()});
}

// A number of new tokens that nobody asked for is made to fit; one that was asked for is refused by
// the engine.
GenerationConfig fitting(GenerationConfig config, Transformer& model,
                         const GenerateRequest& request, const CommandContext& context) {
  const IdRows& prompts = request.prompts;
  if (request.context_shift || request.streaming) return config;
  if (std::ranges::find(context.given, "max_new_tokens") != context.given.end()) return config;
  const int64_t wanted = config.max_new_tokens;
  for (const auto& prompt : prompts)
    config.max_new_tokens =
        std::min(config.max_new_tokens,
                 room_after(model, std::ssize(prompt), std::ssize(prompts) * config.open_texts(),
                            {request.cache_precision, config.contrastive()}));
  if (config.max_new_tokens < wanted)
    context.log.info("writing at most {} tokens instead of {}: more do not fit after the prompt",
                     config.max_new_tokens, wanted);
  return config;
}

// What is known when all rows have ended.
struct Ends {
  std::vector<std::string> reasons;
  std::optional<EngineStatistics> guesses;

  void report(const CommandContext& context) const {
    if (guesses)
      context.log.info("{}", describe_guesses(guesses->guessed_tokens, guesses->accepted_tokens,
                                              guesses->new_tokens, guesses->steps));
  }
};

// A request with what the options say of all rows.
GenerateRequest request_of(const GenerateOptions& o, Transformer& model,
                           const Speculation& speculation, Ends& ends,
                           const CommandContext& context) {
  GenerateRequest request;
  request.adaptation = o.adapters.load(model, context.log);
  request.speculation = speculation;
  request.cache_precision = cache_dtype(o.cache_precision);
  request.streaming = o.stream.streaming(context);
  if (o.context_shift) request.context_shift = ContextShift{*o.context_shift, o.context_keep};
  request.on_finish = [&ends](size_t row, const Finished& end) {
    ends.reasons.resize(std::max(ends.reasons.size(), row + 1));
    ends.reasons[row] = name_of(end.reason);
  };
  if (o.speculation.given())
    request.on_end = [&ends](const EngineStatistics& s) { ends.guesses = s; };
  return request;
}

int generate_ids(const GenerateOptions& o, Transformer& model, const Speculation& speculation,
                 CommandContext& context) {
  Ends ends;
  GenerateRequest request = request_of(o, model, speculation, ends, context);
  request.prompts = id_rows(read_json_file(*o.input), "input_ids");
  // Stop strings of the folder say nothing where ids are all there is; those of the command line
  // need a tokenizer.
  const bool with_text =
      !o.generation.stop.empty() &&
      (std::ranges::find(context.given, "stop") != context.given.end() || has_tokenizer(o.model));
  std::optional<Tokenizer> tokenizer;
  if (with_text) tokenizer.emplace(load_tokenizer(o.model));
  std::vector<TextStream> rows;
  for (size_t row = 0; with_text && row < request.prompts.size(); ++row)
    rows.emplace_back(*tokenizer, o.generation.stop);
  request.on_token = [&](size_t row, int32_t token) {
    throw_if_interrupted();
    return rows.empty() || rows[row].push(token);
  };
  const IdRows out = generate(model, fitting(o.generation, model, request, context), request);
  const Json result = {{"output_ids", out}};
  if (context.json) {
    context.print_json({{"output_ids", out}, {"finish_reasons", ends.reasons}});
  } else {
    context.out << result.dump() << "\n";
  }
  ends.report(context);
  return 0;
}

int generate_text(const GenerateOptions& o, Transformer& model, const Speculation& speculation,
                  CommandContext& context) {
  const Tokenizer tokenizer = load_tokenizer(o.model);
  check_tokenizer(tokenizer, model, o.model);
  Ends ends;
  GenerateRequest request = request_of(o, model, speculation, ends, context);
  request.prompts = {
      tokenizer.encode(*o.prompt, {.special_as_text = !o.special, .add_special_tokens = true})};
  if (request.prompts[0].empty() && model.config().bos_token_id)
    request.prompts[0] = {static_cast<int32_t>(*model.config().bos_token_id)};
  request.constraint = constraint_for(o, model.config(), tokenizer);
  const GenerationConfig generation = fitting(o.generation, model, request, context);
  bool begun = context.json;
  const auto show = [&](std::string_view text) {  // nothing before it is certain that all is well
    if (!begun) context.out << *o.prompt;
    begun = true;
    if (!context.json) context.out << text << std::flush;
  };
  TextStream stream(tokenizer, o.generation.stop, show);
  request.on_token = [&](size_t, int32_t token) {
    throw_if_interrupted();
    return stream.push(token);
  };
  const IdRows out = generate(model, generation, request);
  const std::string text = stream.finish();
  if (context.json) {
    context.print_json({{"prompt", *o.prompt},
                        {"text", text},
                        {"output_ids", out},
                        {"finish_reasons", ends.reasons}});
  } else {
    show("\n");
    if (request.constraint && ends.reasons.front() == "length")
      context.log.warn(
          "the answer was cut after {} tokens and need not fit; give more with "
          "--max-new-tokens",
          out.front().size());
  }
  ends.report(context);
  return 0;
}

int run_generate(const GenerateOptions& options, CommandContext& context) {
  require(options.input.has_value() != options.prompt.has_value(), ErrorKind::kUsage, "generate",
          "give either --prompt TEXT or --input FILE.json");
  const auto given = [&](const char* name) {
    return std::ranges::find(context.given, name) != context.given.end();
  };
  require(options.context_shift || !given("context_keep"), ErrorKind::kUsage, "--context-keep",
          "has no effect without --context-shift");
  require(options.speculation.given() || !given("draft_tokens"), ErrorKind::kUsage,
          "--draft-tokens", "has no effect without --speculate or --draft");
  require(options.special || options.prompt, ErrorKind::kUsage, "--no-special",
          "has no effect without --prompt");
  require(!options.constraint.given() || options.prompt, ErrorKind::kUsage, "generate",
          "--json-schema, --grammar, --regex and --choice need --prompt; ids have no text");
  GenerateOptions o = options;
  const auto model = load_for_inference(o.model, dtype_of_precision(o.precision), context.log,
                                        quantised_weights(o.weights));
  o.generation = generation_of(o.model, options.generation, model->config(), context);
  const auto guesses = o.speculation.load(o.model, *model, dtype_of_precision(o.precision),
                                          quantised_weights(o.weights), context.log);
  return o.input ? generate_ids(o, *model, guesses, context)
                 : generate_text(o, *model, guesses, context);
}

}  // namespace

Command generate_command() {
  return make_command<GenerateOptions>(
      {.name = "generate",
       .summary = "continue a text, or token ids, with a model",
       .help =
           "  lathe generate runs/demo/model --prompt 'Once upon a time'\n"
           "  lathe generate runs/demo/model --prompt 'The' --temperature 0.8 --top-p 0.95 --seed "
           "3\n"
           "  lathe generate runs/demo/model --input ids.json --temperature 0 --ignore-eos "
           "--json\n"
           "  lathe generate runs/demo/model --prompt 'The best month is ' --choice May --choice "
           "June\n\n"
           "The model folder's generation_config.json, where there is one, gives the defaults of "
           "the\nsampling options below, and each option on the command line replaces its key.\n"
           "docs/repetition.md explains the penalties with measured examples, docs/constraints.md "
           "what a\nschema or a grammar may hold.\n"},
      run_generate);
}

}  // namespace lathe
