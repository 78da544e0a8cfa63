// How values and types are written in messages, TOML files and tables; shared inside config/.
#pragma once

#include <string>
#include <string_view>

#include "lathe/config/visit.h"

namespace lathe {

std::string toml_literal(bool value);
std::string toml_literal(int64_t value);
std::string toml_literal(double value);  // shortest text that reads back as the same double
std::string toml_literal(const std::string& value);

// The current value of a field; nullopt if it is an unset optional.
std::optional<std::string> toml_literal(const FieldRef& value);

bool is_optional(const FieldRef& value);
std::string type_name(const FieldRef& value);   // "list of integers"
std::string limits_text(const Limits& limits);  // "at least 1", ""
// The whole text as a number; false for anything else.
bool parse_number(std::string_view text, int64_t& out);
bool parse_number(std::string_view text, double& out);  // finite

bool within(const Limits& limits, double value);

// Whether a field accepts the value: it is one of its choices and within its limits.
bool allowed(const FieldSpec& field, const std::string& value);
bool allowed(const FieldSpec& field, bool value);
bool allowed(const FieldSpec& field, int64_t value);
bool allowed(const FieldSpec& field, double value);

// What a field expects: "an integer, at least 1", "one of 'cosine', 'linear'".
std::string expectation(const FieldSpec& field);

}  // namespace lathe
