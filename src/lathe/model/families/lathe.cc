// Anything that no family of transformers can express: config.json is ModelConfig itself, and
// tensors carry this program's own parameter names (an empty rule list).

#include <nlohmann/json.hpp>

#include "lathe/config/config.h"
#include "lathe/model/family.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

class Lathe : public Family {
 public:
  std::string_view name() const override { return "lathe"; }
  std::string_view architecture() const override { return "LatheForCausalLM"; }
  std::string_view summary() const override { return "any combination of components"; }
  ModelConfig defaults() const override {
    ModelConfig c;
    c.model_type = "lathe";
    return c;
  }
  ModelConfig read(const Json& json) const override {
    ModelConfig c = defaults();
    Json own = json;
    for (const char* key : {"architectures", "dtype", "torch_dtype"}) own.erase(key);
    read_config(c, own, "config.json");
    return c;
  }
  bool can_express(const ModelConfig&) const override { return true; }
  Json write(const ModelConfig& c) const override {
    ModelConfig own = c;
    own.model_type = "lathe";
    Json json = write_config(own);
    json["architectures"] = {std::string(architecture())};
    return json;
  }
  std::vector<WeightRule> weights(const ModelConfig&) const override { return {}; }
};

}  // namespace

const Family& lathe_family() {
  static const Lathe family;
  return family;
}

}  // namespace lathe
