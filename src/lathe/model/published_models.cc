#include "lathe/model/published_models.h"

#include "lathe/model/family.h"
#include "lathe/nn/position/shaw.h"

namespace lathe {
namespace {

struct Sizes {
  int64_t vocabulary, width, layers, heads, head_width;
};

// No family of transformers has these: components one by one.
ModelConfig sized(const Sizes& s) {
  ModelConfig c = default_config(lathe_family());
  c.vocab_size = s.vocabulary;
  c.hidden_size = s.width;
  c.num_hidden_layers = s.layers;
  c.num_attention_heads = s.heads;
  c.head_dim = s.head_width;
  c.intermediate_size = 4 * s.width;
  c.max_position_embeddings = 2048;
  c.tie_word_embeddings = true;
  return c;
}

// SwiGLU, both branches behind one norm, one key/value head, rotary positions, no biases.
ModelConfig palm(int64_t layers, int64_t heads, int64_t width) {
  ModelConfig c = sized(
      {.vocabulary = 256000, .width = width, .layers = layers, .heads = heads, .head_width = 256});
  c.num_key_value_heads = 1;
  c.parallel_block = "shared_norm";
  c.norm.kind = "layer";
  // The paper draws the shared table from N(0, 1) and divides the logits by sqrt(C); with the table
  // itself divided, the inputs are multiplied instead.
  c.scale_embedding = true;
  return c;
}

// RMSNorm and relative positions, where a table of vectors for every distance stands in for the
// sinusoids of Transformer-XL and their projection.
ModelConfig gopher(int64_t heads, int64_t width) {
  ModelConfig c =
      sized({.vocabulary = 32000, .width = width, .layers = 80, .heads = heads, .head_width = 128});
  c.position.kind = "shaw";
  c.position.get<ShawConfig>().shaw_distance = c.max_position_embeddings - 1;
  c.ffn.kind = "mlp";
  c.hidden_act = "gelu";
  return c;
}

}  // namespace

ModelConfig palm_8b() { return palm(32, 16, 4096); }
ModelConfig palm_62b() { return palm(64, 32, 8192); }
ModelConfig palm_540b() { return palm(118, 48, 18432); }
ModelConfig u_palm_540b() {
  ModelConfig c = palm_540b();
  c.body = "prefix_decoder";
  return c;
}

ModelConfig gopher_280b() { return gopher(128, 16384); }
ModelConfig chinchilla_70b() { return gopher(64, 8192); }

// Every other layer has 64 experts of two matrices; the dense ones between are gated.
ModelConfig glam_64b_64e() {
  ModelConfig c =
      sized({.vocabulary = 256000, .width = 8192, .layers = 64, .heads = 128, .head_width = 128});
  c.max_position_embeddings = 1024;
  c.position.kind = "t5";
  c.hidden_act = "gelu";
  c.moe.num_experts = 64;
  c.moe.router = "gshard";
  c.moe.expert = "mlp";
  c.moe.decoder_sparse_step = 2;
  return c;
}

ModelConfig glm_130b() {
  ModelConfig c =
      sized({.vocabulary = 150528, .width = 12288, .layers = 70, .heads = 96, .head_width = 128});
  c.intermediate_size = 32768;
  c.hidden_act = "gelu";
  c.norm.kind = "layer";
  c.norm.placement = "glm";
  c.norm.bias = c.attention_bias = c.mlp_bias = true;
  c.body = "prefix_decoder";
  return c;
}

}  // namespace lathe
