#include "lathe/constraint/choice_grammar.h"

#include "lathe/base/error.h"
#include "lathe/constraint/grammar_builder.h"

namespace lathe::constraint {
namespace {

constexpr size_t kMaxBytes = size_t{1} << 20;

}  // namespace

Grammar choice_grammar(std::span<const std::string> choices) {
  require(!choices.empty(), ErrorKind::kConfig, "constraint",
          "the list of choices is empty; give one text at least");
  size_t bytes = 0;
  for (const std::string& choice : choices) bytes += choice.size();
  require(bytes <= kMaxBytes, ErrorKind::kConfig, "constraint",
          "the choices have {} bytes, expected at most {}", bytes, kMaxBytes);
  GrammarBuilder builder;
  const RuleId root = builder.declare("the choices");
  builder.define(root, builder.one_of_texts({choices.begin(), choices.end()}));
  return builder.build(root);
}

}  // namespace lathe::constraint
