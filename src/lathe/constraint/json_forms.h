// How JSON is written, as expressions of a grammar: blanks, strings, numbers, given values. Internal to constraint/.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "lathe/constraint/grammar_builder.h"
#include "lathe/constraint/schema_grammar.h"

namespace lathe::constraint {

class JsonForms {
 public:
  JsonForms(GrammarBuilder& builder, const SchemaOptions& options);

  ExprId blanks() const { return blanks_; }                // behind `{`, `[`, before `}`, `]`
  ExprId separator() const { return separator_; }          // a comma and what may follow it
  ExprId key_separator() const { return key_separator_; }  // a colon and what may follow it

  // A string of `min` to `max` characters, each written in any way that JSON has.
  ExprId string(uint32_t min = 0, uint32_t max = kUnbounded);
  // A character of a set, in a string: characters of ASCII that need no escape as themselves, others
  // also as \u.
  ExprId plain_character(const CharSet& set);
  ExprId quoted(ExprId content);
  ExprId given_string(std::string_view text);
  // A key that is none of these.
  ExprId other_key(const std::vector<std::string>& names);
  // null, true, a number, … as it stands.
  ExprId value(const nlohmann::ordered_json& json);
  // Its text, if it has one form only.
  static std::optional<std::string> only_text(const nlohmann::ordered_json& json);
  ExprId number();
  ExprId integer();

 private:
  ExprId any_character();
  ExprId other_key_from(const std::vector<std::string_view>& rests);
  void add_part(const CharSet& set, const CharSet& part, std::optional<RuleId>& rule,
                std::vector<ExprId>& out);
  void add_forms(const CharSet& set, std::vector<ExprId>& out);
  // "\u" and four digits for each character below U+10000, two such for others.
  void add_escapes(const CharSet& set, std::vector<ExprId>& out);
  ExprId hex(uint32_t low, uint32_t high);

  GrammarBuilder& b_;
  ExprId blanks_ = 0, separator_ = 0, key_separator_ = 0;
  std::optional<ExprId> string_, any_character_, number_, integer_, key_tail_;
  std::optional<RuleId> escaped_rule_, foreign_rule_;
};

}  // namespace lathe::constraint
