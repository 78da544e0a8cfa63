// Whatever a model wants to write, every answer that ends is valid by its schema: random schemas, a
// random model at temperature 1.5, the engine's samplers and forced tokens.
#include "infer/random_answers.h"

#include "constraint/json_walk.h"
#include "constraint/schema_generator.h"
#include "constraint/schema_validator.h"
#include "lathe/constraint/schema_grammar.h"

namespace lathe::testing {
namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const TokenVocabulary& vocabulary, const std::vector<int32_t>& tokens) {
  std::string text;
  for (const int32_t token : tokens)
    if (!vocabulary.is_end(token)) text += vocabulary.bytes(token);
  return text;
}

TEST(RandomAnswers, AreValidByRandomSchemas) {
  const auto vocabulary = json_vocabulary();
  std::vector<Json> schemas;
  std::vector<std::shared_ptr<const Constraint>> constraints;
  const size_t count = tries(1000);
  for (uint64_t seed = 0; seed < count; ++seed) {
    schemas.push_back(SchemaGenerator(seed).schema());
    constraints.push_back(
        std::make_shared<Constraint>(constraint::schema_grammar(schemas.back()), vocabulary));
  }
  size_t finished = 0;
  int64_t forced = 0;
  const auto answers = random_answers(constraints, 5);
  for (size_t i = 0; i < answers.size(); ++i) {
    forced += answers[i].end.forced_tokens;
    if (answers[i].end.reason != FinishReason::kStopToken) continue;
    ++finished;
    const std::string text = text_of(*vocabulary, answers[i].tokens);
    const Json value = Json::parse(text, nullptr, false);
    EXPECT_TRUE(!value.is_discarded() && SchemaValidator(schemas[i]).valid(value))
        << "seed " << i << ": " << schemas[i].dump() << "\n"
        << text;
  }
  std::cout << finished << " of " << count << " answers ended, " << forced
            << " tokens were forced\n";
  EXPECT_GT(finished * 10, count * 8);
  EXPECT_GT(forced, 0);
}

}  // namespace
}  // namespace lathe::testing
