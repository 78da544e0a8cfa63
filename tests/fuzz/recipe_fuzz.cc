#include <nlohmann/json.hpp>

#include "fuzz/fuzz.h"
#include "lathe/config/json_text.h"
#include "lathe/config/recipe_file.h"
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

std::vector<Seed> seeds() {
  Recipe recipe;
  recipe.model.vocab_size = 300;
  return {{"json", "j" + write_recipe(recipe).dump()},
          {"toml",
           "t[model]\nvocab_size = 300\nhidden_size = 32\nnum_hidden_layers = 2\n"
           "num_attention_heads = 4\nnorm.kind = \"rms\"\n[data]\ntrain = ['a', \"b\"]\n"
           "[train]\nsteps = 1_000\nseq_len = 0x40\n[optim]\nlr = 3e-4\n"},
          {"override", "omodel.norm.kind=rms"},
          {"override_list", "odata.train=[\"a\", 'b']"}};
}

}  // namespace lathe::fuzz
