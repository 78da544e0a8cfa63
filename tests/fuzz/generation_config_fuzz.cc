#include <nlohmann/json.hpp>

#include "fuzz/fuzz.h"
#include "lathe/config/recipe.h"
#include "lathe/infer/sampler/generation_config.h"

namespace lathe::fuzz {

void check(std::string_view bytes) {
  const GenerationConfig config = read_generation_config(parse_json(bytes, "f"), "f");
  read_generation_config(write_generation_config(config), "again");
}

}  // namespace lathe::fuzz
