// "phi3": Phi-3, with fused projections and LongRoPE. A window of 0 is none.

#include "lathe/model/gguf/shared.h"
#include "lathe/nn/position/rope.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using namespace gguf;

void read(const GgufDescription& theirs, Json& ours) {
  if (const int64_t window = integer(theirs, "attention.sliding_window"); window > 0)
    ours["sliding_window"] = window;
  read_rotary_width(theirs, ours);
  read_rope_scaling(theirs, ours);
}

void write(const ModelConfig& config, GgufDescription& theirs) {
  theirs.keys["attention.sliding_window"] = config.sliding_window.value_or(0);
  theirs.keys["rope.scaling.original_context_length"] =
      config.position.get<RopeConfig>().scaling.original_max_position_embeddings.value_or(
          config.max_position_embeddings);
  write_rotary_width(config, theirs);
  write_rope_scaling(config, theirs);
}

}  // namespace

const GgufArchitecture& gguf_phi3() {
  static const GgufArchitecture architecture = {
      .name = "phi3",
      .families = {{phi3_family}},
      .keys = {size_keys(), kv_head_keys(), head_width_keys(), rms_norm_keys(), rope_base_keys()},
      .weights = {ends(), block_norms(), fused_attention(), fused_gated_ffn()},
      .read = read,
      .write = write,
  };
  return architecture;
}

}  // namespace lathe
