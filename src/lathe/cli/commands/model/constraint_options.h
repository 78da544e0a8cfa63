// The options that say what an answer must fit.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lathe/config/visit.h"
#include "lathe/constraint/constraint.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

struct ConstraintOptions {
  std::optional<std::string> json_schema, grammar, regex;
  std::vector<std::string> choice;

  void visit(Visitor& v);
  // nullptr if none is given. `ends`: the ids that end an answer. Errors: kUsage for more than one
  // way, kIo and kConfig for files and grammars.
  std::shared_ptr<const Constraint> make(const Tokenizer& tokenizer,
                                         std::vector<int32_t> ends) const;
  bool given() const { return json_schema || grammar || regex || !choice.empty(); }
};

}  // namespace lathe
