#include <nlohmann/json.hpp>

#include "fuzz/fuzz.h"
#include "lathe/config/recipe.h"
#include "lathe/train/recipe.h"

namespace lathe::fuzz {

// The first byte chooses: TOML, JSON, or an override on the command line.
void check(std::string_view bytes) {
  if (bytes.empty()) return;
  const char kind = bytes[0];
  bytes.remove_prefix(1);
  nlohmann::ordered_json tree;
  if (kind == 't')
    tree = parse_toml(bytes, "f.toml");
  else if (kind == 'j')
    tree = parse_json(bytes, "f.json");
  else
    apply_override(tree, bytes);
  read_recipe(tree);
}

}  // namespace lathe::fuzz
