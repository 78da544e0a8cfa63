#include "lathe/constraint/choice_grammar.h"

#include "lathe/base/error.h"
#include "lathe/constraint/grammar_builder.h"

namespace lathe::constraint {

Grammar choice_grammar(std::span<const std::string> choices) {
  require(!choices.empty(), ErrorKind::kConfig, "constraint",
          "the list of choices is empty; give one text at least");
  GrammarBuilder builder;
  std::vector<ExprId> all;
  for (const std::string& choice : choices) all.push_back(builder.text(choice));
  const RuleId root = builder.declare("the choices");
  builder.define(root, builder.choice(std::move(all)));
  return builder.build(root);
}

}  // namespace lathe::constraint
