#include <nlohmann/json.hpp>

#include "constraint/constraint_fuzz.h"
#include "constraint/schema_generator.h"
#include "lathe/constraint/schema_grammar.h"

namespace lathe::fuzz {

// Up to the first NUL the schema, behind it a text.
void check(std::string_view bytes) {
  const auto [source, text] = at_nul(bytes);
  int depth = 0, deepest = 0;
  for (const char c : source) {
    depth += c == '[' || c == '{' ? 1 : c == ']' || c == '}' ? -1 : 0;
    deepest = std::max(deepest, depth);
  }
  if (deepest > 64) return;  // config/json_text.h, which reads requests, refuses it
  const auto schema = nlohmann::ordered_json::parse(source, nullptr, false);
  if (!schema.is_discarded()) use(constraint::schema_grammar(schema), text);
}

std::vector<Seed> seeds() {
  std::vector<Seed> out;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    testing::SchemaGenerator generator(seed);
    const auto schema = generator.schema();
    out.push_back(
        {std::to_string(seed), schema.dump() + '\0' + generator.value(schema, schema).dump()});
  }
  return out;
}

}  // namespace lathe::fuzz
