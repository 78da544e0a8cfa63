// JSON Schema: what each keyword allows, what is refused and where.
#include "lathe/constraint/schema_grammar.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "constraint/matching.h"

namespace lathe::constraint {
namespace {

using Json = nlohmann::ordered_json;
using lathe::testing::fit;
using lathe::testing::message_of;

void expect_fits(std::string_view schema, const std::vector<std::string>& yes,
                 const std::vector<std::string>& no) {
  SCOPED_TRACE(schema);
  const Grammar g = schema_grammar(Json::parse(schema));
  for (const std::string& text : yes) EXPECT_EQ(fit(g, text), "yes") << text;
  for (const std::string& text : no) EXPECT_NE(fit(g, text), "yes") << text;
}

TEST(SchemaGrammar, WritesValuesAsJson) {
  expect_fits("true",
              {"null", "true", "-0", "1.5e-7", "1e307", "\"\"", "\"\\u00e9\\ud83d\\ude42\\/\"",
               "[]", "{}", "[1, [2,3],{\"a\":[ ]}]", "{\n  \"a\": 1,\n  \"b\": [\n    2\n  ]\n}"},
              {"01", "1.", "+1", ".5", "1e400", "\"\n\"", "\"\\ud83d\"", "\"\\udc00\"", "\"\\x\"",
               "[1,]", "{a:1}", "{\"a\" :1}", "[1,   2]", "nul", "\"\xFF\"", "1 "});
  expect_fits(R"({"const": {"a": ["x", null, 1.5, {}]}})",
              {R"({"a":["x",null,1.5,{}]})", R"({"a": ["x", null, 1.5, {}]})"},
              {R"({"a":["x",null,1.5]})"});
  expect_fits(R"({"enum": ["é", "a\"\n", 3]})",
              {"\"\xC3\xA9\"", "\"\\u00e9\"", "\"\\u00E9\"", "\"a\\\"\\n\"", "3"},
              {"\"\\u0061\\\"\\n\"", "4"});
}

TEST(SchemaGrammar, BlanksAreBounded) {
  const Json schema = Json::parse(R"({"type": "array", "items": {"type": "integer"}})");
  const auto fits = [&](JsonBlanks blanks, std::string_view text) {
    return fit(schema_grammar(schema, {.blanks = blanks}), text);
  };
  EXPECT_EQ(fits(JsonBlanks::kFree, "[1,\n" + std::string(32, ' ') + "2]"), "yes");
  EXPECT_EQ(fits(JsonBlanks::kFree, "[1,\n" + std::string(33, ' ') + "2]"), "no");
  EXPECT_EQ(fits(JsonBlanks::kFree, "[1,\n\n2]"), "no");
  EXPECT_EQ(fits(JsonBlanks::kOneSpace, "[1, 2]"), "yes");
  EXPECT_EQ(fits(JsonBlanks::kOneSpace, "[1,2]"), "no");
  EXPECT_EQ(fits(JsonBlanks::kNone, "[1,2]"), "yes");
  EXPECT_EQ(fits(JsonBlanks::kNone, "[1, 2]"), "no");
}

TEST(SchemaGrammar, BoundsNumbersByTheirDigits) {
  expect_fits(R"({"type": "integer", "minimum": -12, "maximum": 105})",
              {"-12", "-1", "0", "9", "10", "99", "100", "105"},
              {"-13", "106", "1.0", "-0", "007"});
  expect_fits(R"({"type": "integer", "exclusiveMinimum": 7})", {"8", "10", "123456789012345"},
              {"7", "-1", "0"});
  expect_fits(R"({"type": "integer", "maximum": -5})", {"-5", "-10", "-999"}, {"-4", "0", "5"});
  expect_fits(R"({"type": "integer", "minimum": 0.5, "maximum": 2.5})", {"1", "2"}, {"0", "3"});
  expect_fits(R"({"type": "number", "minimum": 0.25, "exclusiveMaximum": 3})",
              {"0.25", "0.3", "1", "2.999", "2.0"}, {"0.2", "0.249", "3", "3.0", "-1", "0", "1e0"});
  expect_fits(R"({"type": "number", "minimum": -1.5, "maximum": 0.5})",
              {"-1.5", "-1.50", "-0.001", "0", "0.5", "-1"}, {"-1.51", "0.51", "1", "-2"});
  expect_fits(R"({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1})",
              {"0.5", "0.001"}, {"0", "0.0", "0.000", "1", "1.0"});
  expect_fits(R"({"type": "number", "minimum": 2.41, "maximum": 2.43})",
              {"2.41", "2.42", "2.425", "2.43", "2.430"}, {"2.4", "2.44", "2.431", "2"});
  expect_fits(R"({"type": "number", "maximum": 100, "multipleOf": 0.01})",
              {"0.25", "100.00", "-7.5", "3"}, {"0.255", "100.01"});
  expect_fits(R"({"type": "number", "multipleOf": 1})", {"5", "-3"}, {"5.0", "0.5"});
  expect_fits(R"({"type": "number", "minimum": 5, "exclusiveMinimum": true})", {"5.1", "6"},
              {"5", "5.0"});
}

// -3.4099999999999994 is the same double as the bound, and 8.1000000000000001 is 8.1.
TEST(SchemaGrammar, ExclusiveBoundsAreNotPassedByRounding) {
  expect_fits(R"({"type": "number", "exclusiveMaximum": -3.4099999999999993})",
              {"-3.41", "-3.4099999999999997", "-4"}, {"-3.4099999999999994", "-3.4", "-3"});
  expect_fits(R"({"type": "number", "exclusiveMinimum": 8.1, "maximum": 8.410000000000002})",
              {"8.11", "8.100000000000001", "8.41"}, {"8.1000000000000001", "8.1", "8.42"});
}

TEST(SchemaGrammar, BoundsTexts) {
  expect_fits(R"({"type": "string", "minLength": 2, "maxLength": 3})",
              {"\"ab\"", "\"\xC3\xA9\xF0\x9F\x99\x82\"", "\"\\n\\u00e9\\ud83d\\ude42\""},
              {"\"a\"", "\"abcd\""});
  expect_fits(R"({"type": "string", "maxLength": 100})", {"\"" + std::string(100, 'x') + "\""},
              {"\"" + std::string(101, 'x') + "\""});
  expect_fits(R"({"type": "string", "pattern": "b+$"})", {"\"abb\"", "\"b\"", "\"\\nb\""},
              {"\"ba\"", "\"\""});
  expect_fits(R"({"type": "string", "pattern": "^\"\\\\$"})", {R"("\"\\")"}, {"\"x\""});
  expect_fits(R"({"type": "string", "format": "date"})", {"\"2024-02-29\"", "\"2023-12-31\""},
              {"\"2023-02-29\"", "\"1900-02-29\"", "\"2023-13-01\"", "\"2023-04-31\""});
  expect_fits(R"({"type": "string", "format": "ipv6"})",
              {"\"::\"", "\"1:2:3:4:5:6:7:8\"", "\"1::8\"", "\"::ffff\"", "\"1:2:3:4:5:6:7::\""},
              {"\"1:2\"", "\"1::2::3\"", "\"1:2:3:4:5:6:7:8:9\"", "\"12345::\""});
  expect_fits(R"({"type": "string", "format": "ipv4"})", {"\"0.0.0.0\"", "\"255.249.99.1\""},
              {"\"256.0.0.1\"", "\"1.2.3\"", "\"01.2.3.4\""});
}

TEST(SchemaGrammar, PropertiesComeInTheOrderOfTheSchema) {
  const char* schema =
      R"({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "null"},
                           "c": true}, "required": ["b"], "additionalProperties": false})";
  expect_fits(schema,
              {R"({"b": null})", R"({"a": 1, "b": null})", R"({"a":1,"b":null,"c":[]})",
               R"({"b": null, "c": 5})"},
              {"{}", R"({"a": 1})", R"({"b": null, "a": 1})", R"({"b": null, "d": 1})",
               R"({"b": null,})", R"({,"b": null})"});
  expect_fits(
      R"({"type": "object", "properties": {"a": {"type": "integer"}, "ab": {"type": "integer"}},
                  "additionalProperties": {"type": "string"}})",
      {"{}", R"({"a": 1, "abc": "x"})", R"({"b": "x", "": "y"})", R"({"abcd": "", "é": ""})"},
      {R"({"abc": 1})", R"({"x": "y", "a": 1})", R"({"ab": "x"})", R"({"\u0061": "x"})"});
  expect_fits(R"({"type": "object", "required": ["x"], "minProperties": 1})",
              {R"({"x": 1})", R"({"x": 1, "y": 2})"}, {"{}", R"({"y": 1})"});
  expect_fits(
      R"({"type": "object", "properties": {"a": true, "b": true}, "minProperties": 1, "additionalProperties": false})",
      {R"({"a": 1})", R"({"b": 1})", R"({"a": 1, "b": 2})"}, {"{}"});
  expect_fits(
      R"({"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 2})",
      {"{}", R"({"a": 1})", R"({"a": 1, "b": 2})"}, {R"({"a": 1, "b": 2, "c": 3})"});
  expect_fits(R"({"type": "object", "properties": {"a": false}, "additionalProperties": true})",
              {"{}", R"({"b": 1})"}, {R"({"a": 1})"});
}

TEST(SchemaGrammar, BoundsLists) {
  expect_fits(R"({"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3})",
              {"[1]", "[1, 2, 3]"}, {"[]", "[1, 2, 3, 4]", "[\"a\"]"});
  expect_fits(
      R"({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": false, "minItems": 1})",
      {"[1]", "[1, \"a\"]"}, {"[]", "[\"a\"]", "[1, \"a\", 2]"});
  expect_fits(
      R"({"type": "array", "prefixItems": [{"type": "null"}], "items": {"type": "boolean"}, "minItems": 2, "maxItems": 4})",
      {"[null, true]", "[null, true, false, true]"},
      {"[null]", "[true, true]", "[null, true, true, true, true]"});
  expect_fits(R"({"type": "array", "maxItems": 0})", {"[]", "[ ]"}, {"[1]"});
}

TEST(SchemaGrammar, PutsSchemasTogether) {
  expect_fits(
      R"({"anyOf": [{"type": "integer"}, {"type": "string"}], "minimum": 3, "maxLength": 1})",
      {"3", "\"a\""}, {"2", "\"ab\"", "null"});
  expect_fits(R"({"allOf": [{"properties": {"a": {"minimum": 3}}, "required": ["a"]},
                            {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "null"}}}],
                  "additionalProperties": true})",
              {R"({"a": 3})", R"({"a": 5, "b": null})"}, {R"({"a": 2})", "{}", R"({"a": 3.5})"});
  expect_fits(R"({"oneOf": [{"properties": {"k": {"const": "x"}}, "required": ["k"]},
                            {"properties": {"k": {"const": "y"}, "v": {"type": "null"}}, "required": ["k", "v"]}], "type": "object"})",
              {R"({"k": "x"})", R"({"k": "y", "v": null})"}, {R"({"k": "y"})", R"({"k": "z"})"});
  expect_fits(
      R"({"$ref": "#/$defs/t", "$defs": {"t": {"type": "object", "properties": {"n": {"$ref": "#/$defs/t"}}, "additionalProperties": false}}})",
      {"{}", R"({"n": {"n": {"n": {}}}})"}, {R"({"n": 1})"});
  expect_fits(R"({"type": ["integer", "null"], "nullable": true, "enum": [1, null, "x"]})",
              {"1", "null"}, {"\"x\""});
  expect_fits(R"({"type": "string", "x-order": 3, "optional": true, "format": "password"})",
              {"\"a\""}, {"1"});
}

TEST(SchemaGrammar, RefusesAtOnceAndNamesThePlace) {
  const auto says = [](const char* schema, std::string_view part) {
    const std::string message = message_of([&] { schema_grammar(Json::parse(schema)); });
    EXPECT_NE(message.find(part), std::string::npos) << schema << ": " << message;
  };
  says(R"({"properties": {"a/b": {"type": "integr"}}})",
       "at #/properties/a~1b: `type` is 'integr'");
  says(R"({"properties": {"a": {"not": {}}}})",
       "at #/properties/a: the keyword `not` is not supported");
  says(R"({"items": {"uniqueItems": true}})", "at #/items: the keyword `uniqueItems`");
  says(R"({"reqired": []})", "there is no keyword `reqired`. Did you mean 'required'?");
  says(R"({"type": "integer", "minimum": 5, "maximum": 4})", "at #: no value can meet this");
  says(
      R"({"type": "object", "properties": {"x": {"type": "string", "minLength": 4, "maxLength": 2}}})",
      "at #/properties/x: no value");
  says(R"({"type": "string", "enum": [1, 2]})", "no value can meet this");
  says(R"({"type": "object", "required": ["a"], "additionalProperties": false})",
       "no value can meet this");
  says("false", "no value can meet this");
  says(R"({"allOf": [{"type": "string"}, {"type": "null"}]})", "no value can meet this");
  says(R"({"$ref": "#/$defs/x"})", "`$ref` is '#/$defs/x', and there is nothing at that place");
  says(R"({"$ref": "https://x.y/z"})", "only places in the same document");
  says(R"({"$ref": "#"})", "refers to itself with nothing in between");
  says(
      R"({"$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}, "minItems": 1}}, "$ref": "#/$defs/t"})",
      "never ends");
  says(R"({"oneOf": [{"type": "integer"}, {"type": "number"}]})",
       "at #/oneOf: alternatives 0 and 1 may both hold");
  says(R"x({"type": "string", "pattern": "(?=a)"})x", "at #: [regular expression]");
  says(R"({"type": "string", "pattern": "a", "maxLength": 3})",
       "may only say what its texts keep to (here 1 to any number of characters)");
  says(R"({"type": "string", "pattern": "^a+$", "format": "date"})",
       "only one `pattern` or `format`");
  says(R"({"type": "string", "format": "dat"})",
       "`format` 'dat' is not known. Did you mean 'date'?");
  says(R"({"multipleOf": 3})", "`multipleOf` is 3; supported are");
  says(R"({"minimum": 1e300})", "at most 2^53");
  says(R"({"minLength": -1})", "expected an integer of at least 0");
  says(R"({"items": 5})", "at #/items: this is 5, expected a schema");
  says(R"({"properties": []})", "at #/properties");
  says(R"({"required": [1]})", "expected texts");
  says(R"({"enum": []})", "`enum` is []");
  says(R"({"anyOf": []})", "at #/anyOf");
  says(R"({"type": "object", "minProperties": 2})", "`minProperties` above 1");
  says("[1]", "expected a schema");
  std::string deep = "{}";
  for (int i = 0; i < 80; ++i) deep = R"({"allOf": [)" + deep + "]}";
  says(deep.c_str(), "more than 64 deep");
  std::string wide = R"({"allOf": [)";
  for (int i = 0; i < 6; ++i)
    wide +=
        fmt::format(R"({}{{"anyOf": [{{"minimum": {}}}, {{"maximum": 9}}, {{"minLength": 1}}]}})",
                    i > 0 ? "," : "", i);
  says((wide + "]}").c_str(), "more than 256 combinations");
}

// Each of these would take minutes or all memory if nothing were counted.
TEST(SchemaGrammar, EndsSoonWhateverItIsGiven) {
  const auto says = [](const Json& schema, std::string_view part) {
    const std::string message = message_of([&] { schema_grammar(schema); });
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  Json names = Json::array(), numbers = Json::array(), others = Json::array(), ways = Json::array();
  for (int i = 0; i < 20'000; ++i) names.push_back(std::to_string(i));
  says({{"required", names}}, "`required` has 20000 entries");
  says({{"properties", {{std::string(5000, 'x'), true}}}}, "has 5000 bytes");
  for (int i = 0; i < 30'000; ++i) {
    numbers.push_back(i);
    others.push_back(-1 - i);
  }
  says({{"oneOf", {{{"enum", numbers}}, {{"enum", others}}}}}, "too many combinations");
  for (int i = 0; i < 200; ++i) {
    Json way = {{"type", "object"}, {"required", Json::array()}};
    for (int j = 0; j < 40; ++j) {
      const std::string name = std::to_string(j);
      way["properties"][name] = {{"type", "integer"}, {"minimum", i}};
      way["required"].push_back(name);
    }
    ways.push_back(way);
  }
  says({{"oneOf", ways}}, "may both hold");
  EXPECT_EQ(fit(schema_grammar({{"enum", numbers}}), "29999"), "yes");
}

TEST(SchemaGrammar, LengthsMayRepeatWhatAPatternSays) {
  expect_fits(R"({"type": "string", "pattern": "^(a|bc){2,4}$", "minLength": 2, "maxLength": 8})",
              {"\"aa\"", "\"bcbcbcbc\""}, {"\"a\""});
  expect_fits(R"({"type": "string", "format": "uri", "minLength": 1, "maxLength": 2083})",
              {"\"http://a.b/c\""}, {"\"\""});
}

TEST(SchemaGrammar, IsPartOfALargerGrammar) {
  GrammarBuilder b;
  const RuleId root = b.declare("two values");
  const ExprId number = schema_expr(b, {{"type", "integer"}});
  b.define(root, b.sequence({b.text("<call>\n"), number, b.text(" "),
                             schema_expr(b, {{"type", "null"}}), b.text("\n</call>")}));
  const Grammar g = b.build(root);
  EXPECT_EQ(fit(g, "<call>\n12 null\n</call>"), "yes");
  EXPECT_EQ(fit(g, "<call>\n12 null\n"), "prefix");
  EXPECT_EQ(fit(g, "12"), "no");
}

TEST(SchemaGrammar, AnyJsonAndAnyObject) {
  EXPECT_EQ(fit(json_grammar(), "[null]"), "yes");
  EXPECT_EQ(fit(json_object_grammar(), "[null]"), "no");
  EXPECT_EQ(fit(json_object_grammar(), R"({"a": [1]})"), "yes");
}

}  // namespace
}  // namespace lathe::constraint
