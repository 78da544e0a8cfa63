// The functions of the Berkeley function-calling leaderboard: each set of parameters becomes a grammar, and answers
// written at random within it are valid.
#include "constraint/bfcl.h"

#include <gtest/gtest.h>

#include "constraint/json_walk.h"
#include "constraint/schema_validator.h"
#include "lathe/constraint/schema_grammar.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

TEST(Bfcl, ParametersOfFunctionsAreWrittenAsTheySay) {
  if (!std::filesystem::exists(testing::bfcl_folder()))
    GTEST_SKIP() << testing::bfcl_folder() << " is not there";
  const auto v = testing::json_vocabulary();
  std::mt19937_64 random(3);
  int refused = 0, finished = 0;
  std::set<std::string> schemas;
  for (const std::string& function : testing::bfcl_functions())
    schemas.insert(Json::parse(function)["parameters"].dump());
  for (const std::string& text : schemas) {
    const Json schema = Json::parse(text);
    SCOPED_TRACE(text);
    try {
      const Constraint constraint(constraint::schema_grammar(schema), v);
      const auto answer = testing::random_walk(constraint, random);
      if (!answer) continue;
      ++finished;
      const Json value = Json::parse(*answer, nullptr, false);
      ASSERT_TRUE(!value.is_discarded() && testing::SchemaValidator(schema).valid(value))
          << *answer;
    } catch (const Error& e) {
      ++refused;  // an enum of texts for a type of numbers, and the like
      ASSERT_TRUE(std::string(e.what()).find("contradict") != std::string::npos ||
                  std::string(e.what()).find("`type` is ''") != std::string::npos)
          << e.what();
    }
  }
  std::cout << schemas.size() << " sets of parameters, " << finished << " answers, " << refused
            << " refused\n";
  EXPECT_LT(refused * 50, static_cast<int>(schemas.size()));
  EXPECT_GT(finished * 10, static_cast<int>(schemas.size()) * 8);
}

}  // namespace
}  // namespace lathe
