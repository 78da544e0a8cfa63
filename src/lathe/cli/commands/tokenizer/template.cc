#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/cli/commands/tokenizer/tokenizer.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/io/json_file.h"
#include "lathe/io/mapped_file.h"
#include "lathe/text/chat_template.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct TemplateOptions {
  std::string tokenizer, input;
  std::optional<std::string> template_file, pattern;

  void visit(Visitor& v) {
    v.positional("tokenizer", tokenizer, kTokenizerHelp);
    v.field("input", input,
            "JSON file: a conversation {\"messages\": […], \"tools\": […], "
            "\"add_generation_prompt\": true, …}, or a list of them",
            required());
    v.field("template", template_file, "a Jinja file to use instead of the tokenizer's template");
    visit_pattern(v, pattern);
  }
};

// One conversation's text, ids and mask; what a conversation cannot be rendered for is in its result.
Json result_of(const Json& conversation, const ChatTemplate& chat, const Tokenizer& tokenizer) {
  try {
    const ChatTemplate::Rendering rendering = chat.render(conversation);
    const EncodedChat encoded = encode_chat(tokenizer, rendering);
    return {{"text", rendering.text},
            {"ids", encoded.ids},
            {"assistant_mask", encoded.assistant_mask ? Json(*encoded.assistant_mask) : Json()}};
  } catch (const Error& error) {
    return {{"error", error.what()}};
  }
}

int run_template(const TemplateOptions& options, CommandContext& context) {
  const Tokenizer tokenizer = load_tokenizer_of(options.tokenizer, options.pattern);
  std::optional<std::string> text;
  if (options.template_file) text = read_file(*options.template_file);
  const ChatTemplate chat = ChatTemplate::load(options.tokenizer, text);
  const Json input = read_json_file(options.input);
  const Json conversations = input.is_array() ? input : Json::array({input});
  Json results = Json::array();
  for (const Json& conversation : conversations) {
    throw_if_interrupted();
    if (context.json)
      results.push_back(result_of(conversation, chat, tokenizer));
    else
      context.out << chat.text(conversation) << "\n";
  }
  if (context.json) context.print_json({{"results", std::move(results)}});
  return 0;
}

}  // namespace

Command tokenizer_template_command() {
  return make_command<TemplateOptions>(
      {.name = "template",
       .summary = "conversations to text and ids with a chat template",
       .help =
           "The text is what transformers' apply_chat_template gives. With --json each conversation\n"
           "has its text, ids (special tokens recognised, none added) and a mask of the tokens that\n"
           "the assistant wrote, or the error that the template raises for it.\n\n"
           "  lathe tokenizer template model --input chat.json\n"
           "  lathe tokenizer template model.gguf --input chats.json --template new.jinja --json\n"},
      run_template);
}

}  // namespace lathe
