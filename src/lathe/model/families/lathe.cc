// Anything that no family of transformers can express: config.json is ModelConfig itself, and
// tensors carry this program's own parameter names (no rules).

#include <nlohmann/json.hpp>

#include "lathe/config/read_write.h"
#include "lathe/model/family.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

void read(const Json& theirs, Json& ours) {
  ours = theirs;
  for (const char* key : {"architectures", "model_type", "dtype", "torch_dtype", "id2label"}) ours.erase(key);
}

void write(const ModelConfig& config, Json& theirs) {
  theirs.update(write_config(config));
  theirs["model_type"] = "lathe";
}

}  // namespace

const Family& lathe_family() {
  static const Family family = {
      .name = "lathe",
      .architecture = "LatheForCausalLM",
      .summary = "any combination of components",
      .source = "docs/formats.md",
      .defaults =
          [] {
            ModelConfig c;
            c.model_type = "lathe";
            return c;
          },
      .keys = {},
      .fixed = {},
      .weights = {},
      .read = read,
      .write = write,
  };
  return family;
}

}  // namespace lathe
