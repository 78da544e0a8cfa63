#include <unistd.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/model/adapter_options.h"
#include "lathe/cli/commands/model/chat_loop.h"
#include "lathe/cli/commands/model/model_input.h"
#include "lathe/cli/commands/model/speculation_options.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/io/mapped_file.h"
#include "lathe/kernels/machine.h"
#include "lathe/model/load_model.h"
#include "lathe/model/summary.h"

namespace lathe {
namespace {

struct ChatOptions {
  std::string model, precision = "fp32", weights = "native";
  std::optional<std::string> system, chat_template;
  int64_t context = 4096;
  AdapterOptions adapters;
  SpeculationOptions speculation;
  GenerationConfig generation;

  void visit(Visitor& v) {
    v.positional("model", model, kModelHelp);
    v.field("system", system, "what the model is told before everything");
    v.field("chat_template", chat_template, "Jinja file instead of the model's own chat template");
    v.field("context", context, "tokens of a conversation that are kept in memory",
            between(64, 1 << 20));
    v.choice("precision", precision, precision_names(), "arithmetic and weights in memory");
    visit_weights(v, weights);
    adapters.visit(v);
    speculation.visit(v);
    generation.visit(v);
  }
};

// "[31 tokens, 92.1 tokens/s, 61 % of the memory's rate; first after 0.12 s; 210 of 240 cached]"
std::string describe(const ChatAnswer& a, double bytes, double bandwidth) {
  const auto per_second = [&](int64_t count) {
    return a.seconds > 0 ? static_cast<double>(count) / a.seconds : 0;
  };
  const char* end = a.reason == FinishReason::kLength    ? ", cut at the limit"
                    : a.reason == FinishReason::kStopped ? ", stopped"
                                                         : "";
  const std::string guesses =
      a.guessed_tokens == 0
          ? ""
          : fmt::format("; {} of {} guesses were right", a.accepted_tokens, a.guessed_tokens);
  return fmt::format(
      "[{} tokens{}, {:.1f} tokens/s, {:.0f} % of the memory's rate; first after {:.2f} s; {} of {} "
      "tokens were cached{}]",
      a.new_tokens, end, per_second(a.new_tokens - 1),
      100 * per_second(a.passes) * bytes / bandwidth, a.first_token_seconds, a.cached_tokens,
      a.prompt_tokens, guesses);
}

ChatTemplate template_for(const ChatOptions& o) {
  require(
      o.chat_template || ChatTemplate::exists(o.model), ErrorKind::kUsage, o.model,
      "has no chat template; give --chat-template FILE, or continue texts with `lathe generate`");
  return ChatTemplate::load(
      o.model, o.chat_template ? std::optional(read_file(*o.chat_template)) : std::nullopt);
}

int run_chat(const ChatOptions& o, CommandContext& context) {
  const Tokenizer tokenizer = load_tokenizer(o.model);
  const ChatTemplate chat_template = template_for(o);
  const auto model = load_for_inference(o.model, dtype_of_precision(o.precision), context.log,
                                        quantised_weights(o.weights));
  const auto guesses = o.speculation.load(o.model, *model, dtype_of_precision(o.precision),
                                          quantised_weights(o.weights), context.log);
  throw_if_interrupted();
  ChatSession session(*model, tokenizer, chat_template,
                      generation_of(o.model, o.generation, model->config(), context), o.context,
                      o.adapters.load(*model, context.log), guesses.speculation);
  context.log.info("{}; /help lists the commands", session.description());
  const auto bytes = static_cast<double>(weight_bytes_per_token(*model));
  const double bandwidth = kernels::measure_read_bandwidth();
  Conversation conversation;
  if (o.system) conversation.set_system(*o.system);
  context.begin_to_save();  // Ctrl-C ends an answer, not the program
  const EndsTheAnswer notice;
  ChatLoop loop{.in = std::cin,
                .out = context.out,
                .prompts = ::isatty(STDIN_FILENO) == 1,
                .answer =
                    [&](const Conversation& said) {
                      set_interrupt_requested(false);
                      const ChatAnswer answer = session.answer(
                          said, [&](std::string_view text) { context.out << text << std::flush; },
                          interrupt_requested);
                      set_interrupt_requested(false);
                      return answer;
                    },
                .describe = [&](const ChatAnswer& a) { return describe(a, bytes, bandwidth); }};
  loop.run(conversation);
  return 0;
}

}  // namespace

Command chat_command() {
  return make_command<ChatOptions>(
      {.name = "chat",
       .summary = "talk to a model in the terminal",
       .help =
           "The model's chat template makes a text of the conversation. What was said before is "
           "kept\nin a cache, so that a turn costs only its new tokens; the line below an answer "
           "says how\nmany. Ctrl-C stops an answer and leaves the chat open.\n\n"
           "  lathe chat model.gguf\n"
           "  lathe chat model.gguf --system 'Answer in one sentence.' --temperature 0.7\n"
           "  echo 'What is a llama?' | lathe chat model.gguf\n"},
      run_chat);
}

}  // namespace lathe
