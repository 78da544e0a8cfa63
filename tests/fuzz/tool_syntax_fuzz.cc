#include "chat/tool_testing.h"
#include "constraint/constraint_fuzz.h"
#include "lathe/chat/token_vocabulary.h"
#include "lathe/chat/tool_call_grammar.h"

namespace lathe::fuzz {

// The part of a chat template that writes calls. If a syntax is found, grammars can be made of it, and the
// texts that it writes itself are among the calls.
void check(std::string_view bytes) {
  using namespace testing;
  const ToolCallSyntax syntax =
      tool_call_syntax(tool_template(std::string(bytes)), tool_tokenizer(), tool_ends());
  const auto vocabulary = token_vocabulary(tool_tokenizer(), tool_ends(), syntax.marks());
  for (const char* choice : {"required", "auto"}) {
    const Constraint constraint(*tool_call_grammar(syntax, weather_tools(), tool_choice_of(choice)),
                                vocabulary);
    Matcher matcher = constraint.matcher();
    std::string call;
    for (const MarkedText* part : {&syntax.open, &syntax.middle, &syntax.close})
      call += part->bytes + (part == &syntax.open ? "now" : part == &syntax.middle ? "{}" : "");
    for (size_t at; (at = call.find(MarkedText::kCallId)) != std::string::npos;)
      call.replace(at, 1, "abcdefghi");
    promise(call.empty() || matcher.accept_bytes(call));
    promise(matcher.can_end());
  }
}

std::vector<Seed> seeds() {
  using namespace testing;
  return {{"hermes", kHermes},
          {"mistral", kMistral},
          {"llama", kLlama},
          {"deepseek", kDeepseek},
          {"per_argument", kPerArgument}};
}

}  // namespace lathe::fuzz
