// The functions of the Berkeley function-calling leaderboard: each set of parameters becomes a grammar, and answers
// written at random within it are valid.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "constraint/json_walk.h"
#include "constraint/schema_validator.h"
#include "io/shared_data.h"
#include "lathe/constraint/schema_grammar.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

// The set has names of types of several programming languages.
Json with_json_types(const Json& schema) {
  static const std::map<std::string, std::string> types = {
      {"dict", "object"},   {"HashMap", "object"},  {"Object", "object"},   {"tuple", "array"},
      {"Array", "array"},   {"ArrayList", "array"}, {"list", "array"},      {"Queue", "array"},
      {"Stack", "array"},   {"float", "number"},    {"double", "number"},   {"String", "string"},
      {"char", "string"},   {"str", "string"},      {"Boolean", "boolean"}, {"bool", "boolean"},
      {"long", "integer"},  {"byte", "integer"},    {"short", "integer"},   {"int", "integer"},
      {"Bigint", "integer"}};
  if (!schema.is_object()) return schema;
  Json out = Json::object();
  for (const auto& [key, value] : schema.items()) {
    if (key == "properties") {
      out[key] = Json::object();
      for (const auto& [name, inner] : value.items()) out[key][name] = with_json_types(inner);
    } else if (key == "type" && value.is_string()) {
      if (value == "any" || value == "Any") continue;
      const auto known = types.find(value.get<std::string>());
      out[key] = known == types.end() ? value : Json(known->second);
    } else {
      out[key] = with_json_types(value);
    }
  }
  return out;
}

// Those of every file, each once.
std::set<std::string> schemas_below(const fs::path& folder) {
  std::set<std::string> schemas;
  for (const fs::directory_entry& file : fs::directory_iterator(folder)) {
    if (!file.is_regular_file() || !file.path().filename().string().starts_with("BFCL")) continue;
    std::istringstream lines(testing::unpacked(file.path()));
    for (std::string line; std::getline(lines, line);) {
      const Json row = Json::parse(line, nullptr, false);
      if (!row.is_object() || !row.contains("function") || !row["function"].is_array()) continue;
      for (const Json& function : row["function"])
        if (function.contains("parameters"))
          schemas.insert(with_json_types(function["parameters"]).dump());
    }
  }
  return schemas;
}

TEST(Bfcl, ParametersOfFunctionsAreWrittenAsTheySay) {
  const fs::path folder = testing::shared_data() / "eval/bfcl/bfcl_eval/data";
  if (!fs::exists(folder)) GTEST_SKIP() << folder << " is not there";
  const auto v = testing::json_vocabulary();
  std::mt19937_64 random(3);
  int refused = 0, finished = 0;
  const std::set<std::string> schemas = schemas_below(folder);
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
