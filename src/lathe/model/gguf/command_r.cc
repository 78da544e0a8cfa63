// "command-r": Cohere's Command R. What no key says is as llama.cpp takes it: the base of rotary
// frequencies is 10000 and logits are not scaled.

#include "lathe/base/error.h"
#include "lathe/model/gguf/shared.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using namespace gguf;

constexpr GgufKey kLogitScale[] = {{"logit_scale", "logit_scale"}};

void read(const GgufDescription& theirs, Json& ours) {
  require(!theirs.has("blk.0.attn_q_norm.weight"), ErrorKind::kConfig, "gguf",
          "the file has norms of queries (tensor 'blk.0.attn_q_norm.weight'), as Command R+ does; "
          "Lathe supports Command R without them");
  if (!theirs.keys.contains("rope.freq_base")) ours["position"]["rope_theta"] = 10000.0;
  ours["attention_bias"] = theirs.has("blk.0.attn_q.bias");
  read_rope_scaling(theirs, ours);
}

void write(const ModelConfig& config, GgufDescription& theirs) {
  theirs.keys["rope.scaling.type"] = "none";
  write_rope_scaling(config, theirs);
}

}  // namespace

const GgufArchitecture& gguf_command_r() {
  static const GgufArchitecture architecture = {
      .name = "command-r",
      .families = {{cohere_family}},
      .keys = {size_keys(), kv_head_keys(), head_width_keys(), layer_norm_keys(), rope_base_keys(),
               kLogitScale},
      .weights = {ends(), block_norms(), attention(), gated_ffn()},
      .read = read,
      .write = write,
  };
  return architecture;
}

}  // namespace lathe
