#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/model/adapter_options.h"
#include "lathe/cli/commands/model/chat_loop.h"
#include "lathe/cli/commands/model/model_input.h"
#include "lathe/cli/commands/model/speculation_options.h"
#include "lathe/cli/commands/model/stream_options.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/io/json_file.h"
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
  std::optional<std::string> cache_precision;
  std::optional<std::string> tools;
  std::string tool_choice = "auto";
  bool parallel_tool_calls = true;
  std::optional<int64_t> thinking_budget;
  AdapterOptions adapters;
  StreamOptions stream;
  SpeculationOptions speculation;
  GenerationConfig generation;

  void visit(Visitor& v) {
    v.positional("model", model, kModelHelp);
    v.field("system", system, "what the model is told before everything");
    v.field("chat_template", chat_template, "Jinja file instead of the model's own chat template");
    v.field("context", context, "tokens of a conversation that are kept in memory",
            between(64, 1 << 20));
    v.field("tools", tools,
            "JSON file with the tools that the model may call, as in OpenAI's requests");
    v.field("tool_choice", tool_choice, "auto, none, required, or the name of the tool to call");
    v.field("parallel_tool_calls", parallel_tool_calls, "an answer may have several calls");
    v.field("thinking_budget", thinking_budget,
            "tokens that the model may think before it answers; without, as many as it likes",
            between(0, 1 << 20));
    v.choice("precision", precision, precision_names(), "arithmetic and weights in memory");
    visit_weights(v, weights);
    visit_cache_precision(v, cache_precision);
    adapters.visit(v);
    stream.visit(v);
    speculation.visit(v);
    generation.visit(v);
  }
};

// "[31 tokens, 92.1 tokens/s, 61 % of the memory's rate; first after 0.12 s; 210 of 240 cached]"
std::string describe(const ChatAnswer& a, double bytes, double bandwidth) {
  // An answer that came all at once (beams, forced tokens) has no time of its own.
  const bool at_once = a.passes <= 0;
  const double seconds = at_once ? a.first_token_seconds + a.seconds : a.seconds;
  const auto per_second = [&](int64_t count) {
    return seconds > 0 ? static_cast<double>(count) / seconds : 0;
  };
  const char* end = a.reason == FinishReason::kLength    ? ", cut at the limit"
                    : a.reason == FinishReason::kStopped ? ", stopped"
                                                         : "";
  const std::string guesses =
      a.guessed_tokens == 0
          ? ""
          : fmt::format("; {} of {} guesses were right", a.accepted_tokens, a.guessed_tokens);
  const std::string thought =
      a.thinking_tokens == 0 ? "" : fmt::format(" ({} thought)", a.thinking_tokens);
  return fmt::format(
      "[{} tokens{}{}, {:.1f} tokens/s, {:.0f} % of the memory's rate; first after {:.2f} s; {} of {} "
      "tokens were cached{}]",
      a.new_tokens, thought, end, per_second(at_once ? a.new_tokens : a.new_tokens - 1),
      100 * per_second(a.passes) * bytes / bandwidth, a.first_token_seconds, a.cached_tokens,
      a.prompt_tokens, guesses);
}

ChatAbilities abilities_of(const ChatOptions& o, const CommandContext& context) {
  const auto given = [&](const char* key) {
    return std::ranges::find(context.given, key) != context.given.end();
  };
  require(o.tools || !(given("tool_choice") || given("parallel_tool_calls")), ErrorKind::kUsage,
          "chat", "--tool-choice and --parallel-tool-calls need --tools FILE.json");
  ChatAbilities out{.thinking_budget = o.thinking_budget, .streaming = o.stream.streaming(context)};
  if (!o.tools) return out;
  out.tools = read_json_file(*o.tools);
  nlohmann::ordered_json choice = o.tool_choice;
  if (choice != "auto" && choice != "none" && choice != "required")
    choice = {{"type", "function"}, {"function", {{"name", o.tool_choice}}}};
  out.tool_choice = tool_choice_of(choice, o.parallel_tool_calls);
  return out;
}

// What an answer looks like: thoughts apart from it and dim on a terminal, calls by name.
class ShownAnswer {
 public:
  ShownAnswer(std::ostream& out, bool colours) : out_(out), colours_(colours) {}
  void show(const AnswerPart& part) {
    if (kind_ != part.kind || call_ != part.call) begin(part);
    out_ << part.text << std::flush;
  }
  void finish() { leave(); }

 private:
  using Kind = AnswerPart::Kind;
  void begin(const AnswerPart& part) {
    leave();
    if (kind_ && !(part.kind == Kind::kCallArguments)) out_ << "\n";
    if (part.kind == Kind::kThought) out_ << (colours_ ? "\x1b[2m" : "[thought] ");
    if (part.kind == Kind::kCallName) out_ << "[call] ";
    if (part.kind == Kind::kCallArguments) out_ << " ";
    kind_ = part.kind;
    call_ = part.call;
  }
  void leave() {
    if (colours_ && kind_ == Kind::kThought) out_ << "\x1b[0m" << std::flush;
  }

  std::ostream& out_;
  const bool colours_;
  std::optional<Kind> kind_;
  size_t call_ = 0;
};

// Ctrl-C ends a thought first, and the answer the next time.
ChatWish wish_of_reader(bool thinking) {
  if (!interrupt_requested()) return ChatWish::kGoOn;
  if (!thinking) return ChatWish::kStop;
  set_interrupt_requested(false);
  return ChatWish::kThinkNoMore;
}

ChatTemplate template_for(const ChatOptions& o) {
  require(
      o.chat_template || ChatTemplate::exists(o.model), ErrorKind::kUsage, o.model,
      "has no chat template; give --chat-template FILE, or continue texts with `lathe generate`");
  return ChatTemplate::load(
      o.model, o.chat_template ? std::optional(read_file(*o.chat_template)) : std::nullopt);
}

int run_chat(const ChatOptions& o, CommandContext& context) {
  require(!context.json, ErrorKind::kUsage, "--json",
          "chat is a conversation and has no result to print; leave it out, or use `lathe generate "
          "--json`");
  const Tokenizer tokenizer = load_tokenizer(o.model);
  const ChatTemplate chat_template = template_for(o);
  const auto model = load_for_inference(o.model, dtype_of_precision(o.precision), context.log,
                                        quantised_weights(o.weights));
  const auto guesses = o.speculation.load(o.model, *model, dtype_of_precision(o.precision),
                                          quantised_weights(o.weights), context.log);
  throw_if_interrupted();
  ChatSession session(*model, tokenizer, chat_template,
                      generation_of(o.model, o.generation, model->config(), context),
                      {.context = o.context, .cache_precision = cache_dtype(o.cache_precision)},
                      o.adapters.load(*model, context.log), guesses, abilities_of(o, context));
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
                      ShownAnswer shown(context.out, ::isatty(STDOUT_FILENO) == 1);
                      const ChatAnswer answer = session.answer(
                          said, [&](const AnswerPart& part) { shown.show(part); }, wish_of_reader);
                      shown.finish();
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
           "says how\nmany. Ctrl-C ends what the model thinks before it answers, then the answer, and "
           "leaves the chat\nopen. With --tools the model may call tools in the syntax of its template; "
           "arguments are valid\nby the tool's JSON Schema, and /tool gives the result back "
           "(docs/constraints.md).\n\n"
           "  lathe chat model.gguf\n"
           "  lathe chat model.gguf --system 'Answer in one sentence.' --temperature 0.7\n"
           "  lathe chat model.gguf --tools tools.json --thinking-budget 200\n"
           "  echo 'What is a llama?' | lathe chat model.gguf\n"},
      run_chat);
}

}  // namespace lathe
