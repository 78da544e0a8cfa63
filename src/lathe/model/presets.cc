#include "lathe/model/presets.h"

#include "lathe/base/catalogue.h"
#include "lathe/model/family.h"
#include "lathe/model/published_models.h"

namespace lathe {
namespace {

// A small Llama: SwiGLU, GQA, rotary positions, tied head.
ModelConfig small_llama(int64_t vocabulary, int64_t width, int64_t layers, int64_t heads,
                        int64_t kv_heads) {
  ModelConfig c = default_config(llama_family());
  c.vocab_size = vocabulary;
  c.hidden_size = width;
  c.num_hidden_layers = layers;
  c.num_attention_heads = heads;
  c.num_key_value_heads = kv_heads;
  c.intermediate_size = width * 11 / 4;
  c.tie_word_embeddings = true;
  return c;
}

ModelConfig m26() { return small_llama(6400, 512, 8, 8, 2); }

ModelConfig m1() {
  ModelConfig c = small_llama(512, 128, 4, 4, 4);
  c.intermediate_size = 344;
  return c;
}

// The shape of m26 with experts in every layer, of which a token has one: as much work as without.
ModelConfig m26_moe4() {
  ModelConfig c = m26();
  c.moe.num_experts = 4;
  c.moe.router = "switch";
  return c;
}

ModelConfig gpt2_124m() {
  ModelConfig c = default_config(gpt2_family());
  c.vocab_size = 50257;
  c.hidden_size = 768;
  c.num_hidden_layers = 12;
  c.num_attention_heads = 12;
  return c;
}

}  // namespace

std::span<const Preset> presets() {
  static constexpr std::string_view kPalm = "Chowdhery et al. 2022, arXiv:2204.02311";
  static constexpr Preset kPresets[] = {
      {"m26", "26M Llama: width 512, 8 layers, 8 heads, 2 key/value heads, vocabulary 6400", 8, 512,
       m26},
      {"m26-moe4", "m26 with 4 experts of the dense width in every layer, 1 a token", 8, 512,
       m26_moe4},
      {"m1", "0.9M Llama: width 128, 4 layers, 4 heads, vocabulary 512; 16 sequences of 256", 16,
       256, m1},
      {"m1-small", "the same model, one sequence of 64 tokens a step", 1, 64, m1},
      {"gpt2-124m", "GPT-2 small: width 768, 12 layers, 12 heads, vocabulary 50257", 4, 1024,
       gpt2_124m, "124M parameters", "Radford et al. 2019"},
      {"palm-8b", "PaLM 8B: width 4096, 32 layers, 16 heads of 256 with one key/value head", 1,
       2048, palm_8b, "8.63B parameters", kPalm},
      {"palm-62b", "PaLM 62B: width 8192, 64 layers, 32 heads of 256 with one key/value head", 1,
       2048, palm_62b, "62.50B parameters", kPalm},
      {"palm-540b", "PaLM 540B: width 18432, 118 layers, 48 heads of 256 with one key/value head",
       1, 2048, palm_540b, "540.35B parameters", kPalm},
      {"u-palm-540b",
       "U-PaLM 540B: PaLM 540B trained further as a prefix decoder, on UL2's mixture", 1, 2048,
       u_palm_540b, "540B parameters", "Tay et al. 2022, arXiv:2210.11399"},
      {"gopher-280b",
       "Gopher: width 16384, 80 layers, 128 heads; a vector for each distance in place of "
       "Transformer-XL's positions, whose projections (width² a layer, 21.5B) are missing",
       1, 2048, gopher_280b, "280B parameters", "Rae et al. 2021, arXiv:2112.11446"},
      {"chinchilla-70b",
       "Chinchilla: width 8192, 80 layers, 64 heads; positions as in gopher-280b, 5.4B are missing",
       1, 2048, chinchilla_70b, "70B parameters", "Hoffmann et al. 2022, arXiv:2203.15556"},
      {"glam-64b-64e",
       "GLaM 64B/64E: width 8192, 64 layers, 128 heads of 128, every other layer with 64 experts, "
       "2 a token; T5's position biases in place of Transformer-XL's",
       1, 1024, glam_64b_64e, "1.2T parameters, of which 96.6B are active",
       "Du et al. 2021, arXiv:2112.06905"},
      {"glm-130b", "GLM-130B: width 12288, 70 layers, 96 heads, prefix decoder, DeepNorm, GeGLU", 1,
       2048, glm_130b, "130B parameters", "Zeng et al. 2022, arXiv:2210.02414"},
  };
  return kPresets;
}

const Preset& find_preset(std::string_view name) { return find_in(presets(), "preset", name); }

}  // namespace lathe
