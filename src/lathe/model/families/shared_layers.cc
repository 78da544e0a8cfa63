// Rotary positions in the two ways in which transformers has spelled them, and sliding windows.

#include <array>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/config/read_write.h"
#include "lathe/model/families/shared.h"
#include "lathe/nn/position/rope.h"

namespace lathe {

using Json = nlohmann::ordered_json;

Json first_of(const Json& json, std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys)
    if (const auto found = json.find(key); found != json.end() && !found->is_null()) return *found;
  return nullptr;
}

namespace {

constexpr std::array<std::string_view, 5> kRopeKeys = {"rope_theta", "rope_parameters",
                                                       "rope_scaling", "partial_rotary_factor",
                                                       "original_max_position_embeddings"};

constexpr std::array<std::string_view, 8> kWindowKeys = {"rope_theta",
                                                         "rope_parameters",
                                                         "rope_scaling",
                                                         "partial_rotary_factor",
                                                         "original_max_position_embeddings",
                                                         "use_sliding_window",
                                                         "sliding_window",
                                                         "max_window_layers"};

// A key of a rope block that has the same name in position.scaling. It is written for the kinds of
// scaling that read it: for those of `always` whatever its value, else where it is not the default.
struct ScalingKey {
  std::string_view name, always, otherwise = "";
  bool always_in(std::string_view kind) const {
    return always.find(kind) != std::string_view::npos;
  }
  bool read_by(std::string_view kind) const {
    return always_in(kind) || otherwise.find(kind) != std::string_view::npos;
  }
};
constexpr ScalingKey kScalingKeys[] = {
    {"factor", "linear ntk dynamic llama3 yarn", "longrope"},
    {"original_max_position_embeddings", "llama3 yarn longrope"},
    {"low_freq_factor", "llama3"},
    {"high_freq_factor", "llama3"},
    {"beta_fast", "", "yarn"},
    {"beta_slow", "", "yarn"},
    {"attention_factor", "", "yarn longrope"},
    {"mscale", "", "yarn"},
    {"mscale_all_dim", "", "yarn"},
    {"truncate", "", "yarn"},
    {"short_factor", "longrope"},
    {"long_factor", "longrope"},
};

// rope_scaling wins over rope_parameters unless it is empty.
Json rope_block(const Json& theirs) {
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const auto found = theirs.find(key);
    if (found == theirs.end() || found->is_null() || found->empty()) continue;
    require(found->is_object(), ErrorKind::kConfig, "config.json",
            "{} is {}, expected an object such as {{\"rope_type\": \"linear\", \"factor\": 2.0}}",
            key, found->dump());
    for (const auto& [part, value] : found->items())
      require(!value.is_object() && part != "mrope_section", ErrorKind::kConfig, "config.json",
              "{} has '{}': rotary settings that differ between layers or axes are not supported "
              "for this model_type",
              key, part);
    return *found;
  }
  return Json::object();
}

Json read_scaling(const Json& theirs, const Json& block, const std::string& type) {
  const std::string kind = type == "su" ? "longrope" : type;  // its first name
  Json scaling = {{"kind", kind}};
  for (const ScalingKey& key : kScalingKeys)
    if (Json value = first_of(block, {key.name}); !value.is_null() && key.read_by(kind))
      scaling[std::string(key.name)] = std::move(value);
  // A length beside the block wins over that in it.
  if (Json length = first_of(theirs, {"original_max_position_embeddings"});
      !length.is_null() && kind != "linear" && kind != "dynamic")
    scaling["original_max_position_embeddings"] = std::move(length);
  return scaling;
}

}  // namespace

std::span<const std::string_view> rope_keys() { return kRopeKeys; }
std::span<const std::string_view> window_keys() { return kWindowKeys; }

bool is_known_rope_key(std::string_view key) {
  for (const std::string_view known : {"rope_type", "type", "rope_theta", "partial_rotary_factor",
                                       "full_attention", "sliding_attention"})
    if (key == known) return true;
  for (const ScalingKey& known : kScalingKeys)
    if (key == known.name) return true;
  return false;
}

void read_partial_rope(const Json& theirs, Json& ours) {
  const Json block = rope_block(theirs);
  Json& position = ours["position"];
  if (!position.is_object()) position = Json::object();
  for (const char* key : {"rope_theta", "partial_rotary_factor"})
    for (const Json* from : {&theirs, &block})
      if (Json value = first_of(*from, {key}); !value.is_null()) position[key] = std::move(value);
  const Json type = first_of(block, {"rope_type", "type"});
  if (type.is_null() || type == "default") return;
  require(type.is_string(), ErrorKind::kConfig, "config.json", "rope_type is {}, expected a name",
          type.dump());
  position["scaling"] = read_scaling(theirs, block, type.get<std::string>());
}

void read_rope(const Json& theirs, Json& ours) {
  read_partial_rope(theirs, ours);
  const Json share = first_of(ours["position"], {"partial_rotary_factor"});
  require(share.is_null() || share == 1.0, ErrorKind::kConfig, "config.json",
          "partial_rotary_factor is {}; models of this model_type rotate all channels, so only 1.0 "
          "is supported",
          share.dump());
}

void write_rope(const ModelConfig& c, Json& theirs) {
  const Json given = write_config(c)["position"]["scaling"];
  const Json defaults = write_config(RopeScalingConfig());
  const auto& rope = c.position.get<RopeConfig>();
  Json block = {{"rope_theta", rope.rope_theta}};
  // transformers has no static NTK scaling: written unscaled, so that no family claims the model.
  const std::string kind = rope.scaling.kind == "ntk" ? "none" : rope.scaling.kind;
  block["rope_type"] = kind == "none" ? "default" : kind;
  const double usual = find_family(theirs.at("model_type").get<std::string>())
                           .defaults()
                           .position.get<RopeConfig>()
                           .partial_rotary_factor;
  for (const ScalingKey& key : kScalingKeys) {
    const Json value = first_of(given, {key.name});
    if (value.is_null() || !key.read_by(kind)) continue;
    if (key.always_in(kind) || value != first_of(defaults, {key.name}))
      block[std::string(key.name)] = value;
  }
  // Both spellings: those beside the block are read by older releases of transformers,
  // rope_parameters by newer ones.
  theirs["rope_theta"] = rope.rope_theta;
  if (rope.partial_rotary_factor != 1.0 || usual != 1.0)
    theirs["partial_rotary_factor"] = block["partial_rotary_factor"] = rope.partial_rotary_factor;
  theirs["rope_parameters"] = block;
}

Json alternating_layers(const Json& layers, int64_t period) {
  require(period >= 1, ErrorKind::kConfig, "config.json",
          "sliding_window_pattern is {}, expected at least 1: one layer in this many has full "
          "attention",
          period);
  constexpr int64_t kMostLayers = int64_t{1} << 16;  // more are refused by validate()
  Json types = Json::array();
  const int64_t count =
      layers.is_number_integer() ? std::min(layers.get<int64_t>(), kMostLayers) : 0;
  for (int64_t i = 1; i <= count; ++i)
    types.push_back(i % period == 0 ? "full_attention" : "sliding_attention");
  return types;
}

void write_alternating(const ModelConfig& config, Json& theirs) {
  const ModelConfig c = resolved(config);
  theirs["layer_types"] = c.layer_types;
  theirs["sliding_window"] = c.sliding_window.value_or(4096);
}

void read_windows(const Json& theirs, Json& ours) {
  read_rope(theirs, ours);
  const Json window = theirs.contains("sliding_window") ? theirs.at("sliding_window") : Json(4096);
  if (first_of(theirs, {"use_sliding_window"}) != true || window.is_null()) return;
  ours["sliding_window"] = window;
  const Json types = first_of(theirs, {"layer_types"});
  if (!types.is_null()) {
    ours["layer_types"] = types;
    return;
  }
  const Json first = first_of(theirs, {"max_window_layers"});
  const int64_t full = first.is_null() ? 28 : first.get<int64_t>();
  ours["layer_types"] = alternating_layers(theirs.at("num_hidden_layers"), 1);
  for (size_t i = 0; i < ours["layer_types"].size(); ++i)
    if (static_cast<int64_t>(i) >= full) ours["layer_types"][i] = "sliding_attention";
}

void write_windows(const ModelConfig& config, Json& theirs) {
  const ModelConfig c = resolved(config);
  theirs["use_sliding_window"] = c.sliding_window.has_value();
  theirs["sliding_window"] = c.sliding_window ? Json(*c.sliding_window) : Json();
  theirs["layer_types"] = c.layer_types;
  write_rope(config, theirs);
}

}  // namespace lathe
