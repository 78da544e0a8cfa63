// Rotary scaling in GGUF files.
//
//   linear     rope.scaling.type "linear", rope.scaling.factor
//   yarn       the same with "yarn", rope.scaling.original_context_length, and where they are not
//              the usual ones rope.scaling.yarn_beta_fast, yarn_beta_slow, attn_factor
//   llama3     no key: the divisor of each frequency as a tensor, rope_freqs.weight
//   longrope   rope.scaling.original_context_length, attn_factor, and two tensors of divisors:
//              rope_factors_long.weight, rope_factors_short.weight
//
// Divisors that Llama 3's formula gives for some setting are read as that setting, others as
// longrope with the same divisors for every length.

#include <cmath>

#include "lathe/base/error.h"
#include "lathe/config/read_write.h"
#include "lathe/model/gguf/shared.h"
#include "lathe/nn/position/rope.h"

namespace lathe::gguf {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFreqs = "rope_freqs.weight";
constexpr const char* kLong = "rope_factors_long.weight";
constexpr const char* kShort = "rope_factors_short.weight";

// What each frequency is divided by.
std::vector<float> divisors(const RopeScaling& scaling, int64_t width, double theta) {
  const auto frequencies = [&](const RopeScaling& s) {
    return find_rope_scaling(s.kind).frequencies(s, width, theta, 0).values;
  };
  const auto plain = frequencies({}), scaled = frequencies(scaling);
  std::vector<float> out;
  for (size_t i = 0; i < plain.size(); ++i) out.push_back(plain[i] / scaled[i]);
  return out;
}

bool close(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (std::abs(a[i] - b[i]) > 1e-5f * std::abs(b[i])) return false;
  return true;
}

// The setting of Llama 3's formula that gives these divisors: its two bounds are the published ones
// in every known model, the trained length is a power of two.
std::optional<RopeScaling> as_llama3(const std::vector<float>& wanted, double theta) {
  const auto width = static_cast<int64_t>(2 * wanted.size());
  RopeScaling s;
  s.kind = "llama3";
  s.factor = 1.0;
  for (const float divisor : wanted) s.factor = std::max(*s.factor, double{divisor});
  for (int64_t length = 16; length <= int64_t{1} << 24; length *= 2) {
    s.original_max_position_embeddings = length;
    if (close(divisors(s, width, theta), wanted)) return s;
  }
  return std::nullopt;
}

Json longrope(const std::vector<float>& short_factor, const std::vector<float>& long_factor) {
  return {{"kind", "longrope"}, {"short_factor", short_factor}, {"long_factor", long_factor}};
}

void read_divisors(const GgufDescription& theirs, Json& scaling) {
  const auto table = [&](const char* name) {
    const auto found = theirs.tables.find(name);
    return found == theirs.tables.end() ? nullptr : &found->second;
  };
  if (const auto* both = table(kFreqs)) {
    const double theta = number(theirs, "rope.freq_base", 10000.0);
    if (const auto s = as_llama3(*both, theta)) {
      scaling = {{"kind", s->kind},
                 {"factor", *s->factor},
                 {"original_max_position_embeddings", *s->original_max_position_embeddings}};
    } else {
      scaling = longrope(*both, *both);
      scaling["attention_factor"] = 1.0;
    }
  }
  const auto *long_factor = table(kLong), *short_factor = table(kShort);
  if (long_factor == nullptr && short_factor == nullptr) return;
  require(long_factor != nullptr && short_factor != nullptr, ErrorKind::kFormat, "gguf",
          "only one of the tensors {} and {} is there, expected both", kLong, kShort);
  scaling = longrope(*short_factor, *long_factor);
}

// Keys of the kinds that say everything with keys.
struct ScalingKey {
  const char *theirs, *ours;
  std::string_view kinds;
};
constexpr ScalingKey kScalingKeys[] = {
    {"rope.scaling.factor", "factor", "linear yarn"},
    {"rope.scaling.original_context_length", "original_max_position_embeddings", "yarn longrope"},
    {"rope.scaling.yarn_beta_fast", "beta_fast", "yarn"},
    {"rope.scaling.yarn_beta_slow", "beta_slow", "yarn"},
    {"rope.scaling.yarn_attn_factor", "attention_factor", "yarn"},
    {"rope.scaling.attn_factor", "attention_factor", "longrope"},
};

bool is_of(const ScalingKey& key, const std::string& kind) {
  return key.kinds.find(kind) != std::string_view::npos;
}

// The factor on cos and sin that longrope has for these settings if none is given.
double usual_attention_factor(const RopeScalingConfig& settings, int64_t length) {
  RopeScaling s;
  static_cast<RopeScalingConfig&>(s) = settings;
  s.attention_factor.reset();
  s.length = length;
  const auto width = static_cast<int64_t>(2 * s.long_factor.size());
  return find_rope_scaling(s.kind).frequencies(s, width, 10000.0, 0).attention_factor;
}

// The file always says it; in a configuration it is only said where it is not the usual one.
void drop_usual_attention_factor(const GgufDescription& theirs, Json& scaling) {
  if (scaling["kind"] != "longrope" || !scaling.contains("attention_factor")) return;
  RopeScalingConfig s;
  read_config(s, scaling, "gguf");
  const double usual = usual_attention_factor(s, integer(theirs, "context_length"));
  if (std::abs(*s.attention_factor - usual) < 1e-6 * usual) scaling.erase("attention_factor");
}

}  // namespace

void read_rope_scaling(const GgufDescription& theirs, Json& ours) {
  Json scaling = Json::object();
  read_divisors(theirs, scaling);
  const std::string type = text(theirs, "rope.scaling.type", "none");
  if (scaling.empty()) {
    if (type == "none") return;
    require(
        type == "linear" || type == "yarn", ErrorKind::kFormat, "gguf",
        "key 'rope.scaling.type' is \"{}\", expected none, linear or yarn, or longrope with its "
        "tensors of divisors",
        type);
    scaling["kind"] = type;
  }
  const auto kind = scaling["kind"].get<std::string>();
  for (const ScalingKey& key : kScalingKeys)
    if (is_of(key, kind) && theirs.keys.contains(key.theirs))
      scaling[key.ours] = theirs.keys[key.theirs];
  drop_usual_attention_factor(theirs, scaling);
  ours["position"]["scaling"] = scaling;
}

void write_rope_scaling(const ModelConfig& config, GgufDescription& theirs) {
  const auto& rope = config.position.get<RopeConfig>();
  const RopeScalingConfig& s = rope.scaling;
  if (!s.stretches()) return;
  if (s.kind == "llama3") {
    RopeScaling scaling;
    static_cast<RopeScalingConfig&>(scaling) = s;
    scaling.length = config.max_position_embeddings;
    theirs.tables[kFreqs] =
        divisors(scaling, rope.rotary_width(config.head_width()), rope.rope_theta);
    return;
  }
  const Json values = write_config(s);
  theirs.keys["rope.scaling.type"] = s.kind;
  for (const ScalingKey& key : kScalingKeys)
    if (is_of(key, s.kind) && values.contains(key.ours) && !values[key.ours].is_null())
      theirs.keys[key.theirs] = values[key.ours];
  if (s.kind != "longrope") return;
  theirs.keys["rope.scaling.attn_factor"] =
      s.attention_factor.value_or(usual_attention_factor(s, config.max_position_embeddings));
  theirs.tables[kShort] = {s.short_factor.begin(), s.short_factor.end()};
  theirs.tables[kLong] = {s.long_factor.begin(), s.long_factor.end()};
}

}  // namespace lathe::gguf
