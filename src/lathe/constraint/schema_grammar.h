// JSON Schema (2020-12, and the same keywords of earlier drafts) to a grammar of the JSON texts that
// are valid by it. docs/constraints.md lists the keywords. What is not supported, and what no value can meet, is
// refused with the place in the schema.
//
// Properties come in the order in which the schema lists them, those that are only `required` behind
// them, and additional ones last.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "lathe/constraint/grammar_builder.h"

namespace lathe::constraint {

enum class JsonBlanks {
  kFree,  // behind brackets, commas and colons, and before closing brackets: nothing, a space, or a line
          // break and up to 32 blanks
  kOneSpace,  // one space behind commas and colons: more bytes are forced
  kNone,
};

struct SchemaOptions {
  JsonBlanks blanks = JsonBlanks::kFree;
};

// Values that are valid by the schema, as a part of a larger grammar. Throws kConfig, naming the place as a JSON pointer.
ExprId schema_expr(GrammarBuilder& builder, const nlohmann::ordered_json& schema,
                   const SchemaOptions& options = {});

// The same, which is all of the text.
Grammar schema_grammar(const nlohmann::ordered_json& schema, const SchemaOptions& options = {});

// Any JSON value; any JSON object.
Grammar json_grammar(const SchemaOptions& options = {});
Grammar json_object_grammar(const SchemaOptions& options = {});

}  // namespace lathe::constraint
