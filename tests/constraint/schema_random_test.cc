// Random schemas: the text of a valid value is never forbidden, however it is cut into tokens; what is
// written at random within the mask is valid.
#include <gtest/gtest.h>

#include <random>

#include "constraint/json_walk.h"
#include "constraint/schema_generator.h"
#include "constraint/schema_validator.h"
#include "lathe/constraint/schema_grammar.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using testing::json_vocabulary;
using testing::random_walk;
using testing::SchemaGenerator;
using testing::SchemaValidator;

// Cut at random into tokens of the vocabulary.
std::vector<int32_t> cut(const TokenVocabulary& v, std::string_view text, std::mt19937_64& random,
                         bool greedy) {
  std::vector<int32_t> out;
  while (!text.empty()) {
    std::vector<int32_t> fitting;
    for (int32_t id = 0; static_cast<size_t>(id) < v.size(); ++id)
      if (!v.bytes(id).empty() && text.starts_with(v.bytes(id))) fitting.push_back(id);
    const auto longest =
        std::ranges::max_element(fitting, {}, [&](int32_t id) { return v.bytes(id).size(); });
    const int32_t id = greedy ? *longest : fitting[random() % fitting.size()];
    out.push_back(id);
    text.remove_prefix(v.bytes(id).size());
  }
  return out;
}

void replay(const Constraint& constraint, const std::string& text, std::mt19937_64& random) {
  const TokenVocabulary& v = constraint.vocabulary();
  for (const bool greedy : {true, false}) {
    Matcher matcher = constraint.matcher();
    std::string done;
    for (const int32_t id : cut(v, text, random, greedy)) {
      ASSERT_TRUE(has_bit(*matcher.mask(), id)) << done << " |" << v.bytes(id) << "| of " << text;
      ASSERT_TRUE(matcher.accept(id));
      done += v.bytes(id);
    }
    ASSERT_TRUE(matcher.can_end()) << text;
    ASSERT_TRUE(has_bit(*matcher.mask(), v.ends()[0]));
  }
}

// With Python's blanks and without, indented, with characters as \u.
std::vector<std::string> texts_of(const Json& value) {
  return {value.dump(), value.dump(-1, ' ', true), value.dump(2), value.dump(1, '\t', true)};
}

TEST(RandomSchemas, ForbidNoValidValueAndAllowNoOther) {
  const auto v = json_vocabulary();
  std::mt19937_64 random(11);
  int finished = 0, replayed = 0;
  for (uint64_t seed = 0; seed < 1000 && !::testing::Test::HasFailure(); ++seed) {
    SchemaGenerator generator(seed);
    const Json schema = generator.schema();
    SCOPED_TRACE(fmt::format("seed {}: {}", seed, schema.dump()));
    const SchemaValidator validator(schema);
    const Constraint constraint(constraint::schema_grammar(schema), v);
    for (int i = 0; i < 3; ++i) {
      const Json value = generator.value(schema, schema);
      if (!validator.valid(value)) continue;  // two schemas of an anyOf of which neither was meant
      ++replayed;
      for (const std::string& text : texts_of(value)) replay(constraint, text, random);
    }
    for (int i = 0; i < 3; ++i) {
      const auto text = random_walk(constraint, random);
      if (!text) continue;
      ++finished;
      const Json value = Json::parse(*text, nullptr, false);
      ASSERT_FALSE(value.is_discarded()) << *text;
      ASSERT_TRUE(validator.valid(value)) << *text;
    }
  }
  EXPECT_GT(replayed, 2700);
  EXPECT_GT(finished, 2000);
}

}  // namespace
}  // namespace lathe
