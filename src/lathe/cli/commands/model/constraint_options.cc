#include "lathe/cli/commands/model/constraint_options.h"

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/chat/token_vocabulary.h"
#include "lathe/constraint/choice_grammar.h"
#include "lathe/constraint/gbnf.h"
#include "lathe/constraint/regex_grammar.h"
#include "lathe/constraint/schema_grammar.h"
#include "lathe/io/json_file.h"
#include "lathe/io/mapped_file.h"

namespace lathe {

void ConstraintOptions::visit(Visitor& v) {
  v.field("json_schema", json_schema, "JSON file: the answer is JSON that this schema allows");
  v.field("grammar", grammar, "file in GBNF, the grammars of llama.cpp: the answer fits its root");
  v.field("regex", regex, "regular expression that the whole answer matches");
  v.field("choice", choice, "the answer is one of these texts");
}

std::shared_ptr<const Constraint> ConstraintOptions::make(const Tokenizer& tokenizer,
                                                          std::vector<int32_t> ends) const {
  const int ways =
      (json_schema ? 1 : 0) + (grammar ? 1 : 0) + (regex ? 1 : 0) + (choice.empty() ? 0 : 1);
  if (ways == 0) return nullptr;
  require(ways == 1, ErrorKind::kUsage, "generate",
          "give at most one of --json-schema, --grammar, --regex and --choice; {} are given", ways);
  std::erase_if(ends, [&](int32_t id) { return !tokenizer.has(id); });
  require(
      !ends.empty(), ErrorKind::kUsage, "generate",
      "a constrained answer ends with an end token, but the model names none that its tokenizer "
      "has; give --eos-token-id");
  auto rules = json_schema ? constraint::schema_grammar(read_json_file(*json_schema))
               : grammar   ? constraint::gbnf_grammar(read_file(*grammar))
               : regex     ? constraint::regex_grammar(*regex)
                           : constraint::choice_grammar(choice);
  return std::make_shared<const Constraint>(std::move(rules),
                                            token_vocabulary(tokenizer, std::move(ends)));
}

}  // namespace lathe
