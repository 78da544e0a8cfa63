#include <nlohmann/json.hpp>

#include "fuzz/fuzz.h"
#include "io/temp_folder.h"
#include "lathe/model/family.h"
#include "lathe/model/load_model.h"

namespace lathe::fuzz {

void check(std::string_view bytes) {
  static const TempFolder folder;
  folder.write("config.json", bytes);
  read_model_config(folder.path());
}

std::vector<Seed> seeds() {
  std::vector<Seed> made;
  for (const Family* family : families()) {
    ModelConfig c = default_config(*family);
    c.vocab_size = 300;
    c.hidden_size = 32;
    c.num_hidden_layers = 2;
    c.num_attention_heads = 4;
    c.eos_token_id = 2;
    made.push_back({std::string(family->name), write_family_config(*family, c).dump()});
  }
  return made;
}

}  // namespace lathe::fuzz
