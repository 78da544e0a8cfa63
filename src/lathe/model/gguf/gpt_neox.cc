// "gptneox": GPT-NeoX and Pythia. The fused projection has all queries, then all keys, then all
// values. The public converter leaves out the base of the rotary frequencies, of which 10000 is then
// meant.

#include "lathe/base/error.h"
#include "lathe/model/gguf/shared.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using namespace gguf;

void read(const GgufDescription& theirs, Json& ours) {
  ours["attention_bias"] = theirs.has("blk.0.attn_qkv.bias");
  const Json parallel = theirs.keys.value("use_parallel_residual", Json(true));
  require(parallel.is_boolean(), ErrorKind::kFormat, "gguf",
          "key 'use_parallel_residual' is {}, expected true or false", parallel.dump());
  ours["parallel_block"] = parallel.get<bool>() ? "two_norms" : "none";
  read_rotary_width(theirs, ours);
  read_rope_scaling(theirs, ours);
}

void write(const ModelConfig& config, GgufDescription& theirs) {
  theirs.keys["use_parallel_residual"] = config.parallel_block == "two_norms";
  write_rotary_width(config, theirs);
  write_rope_scaling(config, theirs);
}

}  // namespace

const GgufArchitecture& gguf_gpt_neox() {
  static const GgufArchitecture architecture = {
      .name = "gptneox",
      .families = {{gpt_neox_family}},
      .keys = {size_keys(), layer_norm_keys(), rope_base_keys()},
      .weights = {ends(), block_norms(), fused_attention(), plain_ffn()},
      .read = read,
      .write = write,
  };
  return architecture;
}

}  // namespace lathe
