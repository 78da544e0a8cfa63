#include "lathe/model/presets.h"

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/model/family.h"

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
  static constexpr Preset kPresets[] = {
      {"m26", "26M Llama: width 512, 8 layers, 8 heads, 2 key/value heads, vocabulary 6400", 8, 512,
       m26},
      {"m1", "0.9M Llama: width 128, 4 layers, 4 heads, vocabulary 512; 16 sequences of 256", 16,
       256, m1},
      {"m1-small", "the same model, one sequence of 64 tokens a step", 1, 64, m1},
      {"gpt2-124m", "GPT-2 small: width 768, 12 layers, 12 heads, vocabulary 50257", 4, 1024,
       gpt2_124m},
  };
  return kPresets;
}

const Preset& find_preset(std::string_view name) {
  std::vector<std::string> names;
  for (const Preset& p : presets()) {
    if (p.name == name) return p;
    names.emplace_back(p.name);
  }
  fail(ErrorKind::kConfig, "preset", "no preset '{}'.{} Known: {}", name, did_you_mean(name, names),
       join(names, ", "));
}

}  // namespace lathe
