// T5 (v1.0, v1.1, Flan-T5, UL2) and Switch Transformers: an encoder and a decoder without biases,
// RMS norms, scores that are not scaled, distances in buckets that all blocks of a stack share.

#include <cmath>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/model/components.h"
#include "lathe/model/families/shared.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr ConfigKey kKeys[] = {
    {"vocab_size", "vocab_size"},
    {"d_model", "hidden_size"},
    {"d_kv", "head_dim"},
    {"d_ff", "intermediate_size"},
    {"num_layers", "num_hidden_layers"},  // unless num_decoder_layers says otherwise
    {"num_layers", "num_encoder_layers"},
    {"num_decoder_layers", "num_hidden_layers"},
    {"num_heads", "num_attention_heads"},
    {"n_positions", "max_position_embeddings"},
    {"relative_attention_num_buckets", "position.relative_attention_num_buckets"},
    {"relative_attention_max_distance", "position.relative_attention_max_distance"},
    {"layer_norm_epsilon", "norm.eps"},
    {"tie_word_embeddings", "tie_word_embeddings"},
    {"dropout_rate", "hidden_dropout", nullptr, "0.1"},
    {"dropout_rate", "attention_dropout", nullptr, "0.1"},
};

// "relu", "gated-gelu": the kind of layer and its activation in one word, where a gated gelu is the
// tanh form. write_t5() puts them together again.
constexpr std::string_view kGated = "gated-";

std::string read_word(const Json& theirs) {
  require(theirs.is_string(), ErrorKind::kConfig, "feed_forward_proj",
          "{} is not a word such as \"relu\" or \"gated-gelu\"", theirs.dump());
  return theirs.get<std::string>();
}
const Spelling kKindSpelling = {
    [](const Json& theirs) {
      return Json(read_word(theirs).starts_with(kGated) ? "gated" : "mlp");
    },
    [](const Json& ours) { return ours; }};
const Spelling kProjectionSpelling = {
    [](const Json& theirs) {
      const std::string word = read_word(theirs);
      if (word == "gated-gelu") return Json("gelu_tanh");
      return kActivationSpelling.read(word.starts_with(kGated) ? word.substr(kGated.size()) : word);
    },
    [](const Json& ours) { return ours; }};

const ConfigKey kT5Keys[] = {
    {"scale_decoder_outputs", "scale_tied_head"},  // before transformers 5 every tied head was
    {"feed_forward_proj", "ffn.kind", &kKindSpelling},
    {"feed_forward_proj", "hidden_act", &kProjectionSpelling},
};

constexpr ConfigKey kSwitchKeys[] = {
    {"num_experts", "moe.num_experts", nullptr, "8"},
    {"expert_capacity", "moe.expert_capacity", nullptr, "64"},
    {"router_bias", "moe.router_bias", nullptr, "false"},
    {"router_jitter_noise", "moe.router_jitter_noise", nullptr, "0.01"},
    {"router_z_loss_coef", "moe.router_z_loss_coef", nullptr, "0.001"},
    {"router_aux_loss_coef", "moe.router_aux_loss_coef", nullptr, "0.001"},
    {"dense_act_fn", "hidden_act", &kActivationSpelling},
};

constexpr FixedKey kFixed[] = {{"is_encoder_decoder", "true"}};
constexpr FixedKey kSwitchFixed[] = {{"is_encoder_decoder", "true"},
                                     {"router_ignore_padding_tokens", "false"}};

constexpr ConfigKey kOtherKeys[] = {{"hidden_size", "hidden_size"},
                                    {"num_attention_heads", "num_attention_heads"}};

constexpr std::string_view kHookKeys[] = {"num_hidden_layers", "dense_act_fn", "is_gated_act",
                                          "is_decoder"};
constexpr std::string_view kSwitchHookKeys[] = {"num_hidden_layers",
                                                "num_sparse_encoder_layers",
                                                "num_sparse_decoder_layers",
                                                "encoder_sparse_step",
                                                "decoder_sparse_step",
                                                "feed_forward_proj",
                                                "is_gated_act",
                                                "is_decoder",
                                                "router_type"};

constexpr WeightRule kWeights[] = {
    {"shared", "embedding"},
    {"encoder.block.0.layer.0.SelfAttention.relative_attention_bias", "encoder.position"},
    {"encoder.block.{}.layer.0.layer_norm", "encoder.layers.{}.attention_norm"},
    {"encoder.block.{}.layer.0.SelfAttention.q", "encoder.layers.{}.attention.qkv", 0},
    {"encoder.block.{}.layer.0.SelfAttention.k", "encoder.layers.{}.attention.qkv", 1},
    {"encoder.block.{}.layer.0.SelfAttention.v", "encoder.layers.{}.attention.qkv", 2},
    {"encoder.block.{}.layer.0.SelfAttention.o", "encoder.layers.{}.attention.output"},
    {"encoder.block.{}.layer.1.layer_norm", "encoder.layers.{}.ffn_norm"},
    {"encoder.final_layer_norm", "encoder.final_norm"},
    {"decoder.block.0.layer.0.SelfAttention.relative_attention_bias", "position"},
    {"decoder.block.{}.layer.0.layer_norm", "layers.{}.attention_norm"},
    {"decoder.block.{}.layer.0.SelfAttention.q", "layers.{}.attention.qkv", 0},
    {"decoder.block.{}.layer.0.SelfAttention.k", "layers.{}.attention.qkv", 1},
    {"decoder.block.{}.layer.0.SelfAttention.v", "layers.{}.attention.qkv", 2},
    {"decoder.block.{}.layer.0.SelfAttention.o", "layers.{}.attention.output"},
    {"decoder.block.{}.layer.1.layer_norm", "layers.{}.cross_norm"},
    {"decoder.block.{}.layer.1.EncDecAttention.q", "layers.{}.cross.query"},
    {"decoder.block.{}.layer.1.EncDecAttention.k", "layers.{}.cross.key_value", 0},
    {"decoder.block.{}.layer.1.EncDecAttention.v", "layers.{}.cross.key_value", 1},
    {"decoder.block.{}.layer.1.EncDecAttention.o", "layers.{}.cross.output"},
    {"decoder.block.{}.layer.2.layer_norm", "layers.{}.ffn_norm"},
    {"decoder.final_layer_norm", "final_norm"},
    {"lm_head", "head"},
};

constexpr WeightRule kDense[] = {
    {"encoder.block.{}.layer.1.DenseReluDense.wi", "encoder.layers.{}.ffn.up"},
    {"encoder.block.{}.layer.1.DenseReluDense.wi_0", "encoder.layers.{}.ffn.gate_up", 0},
    {"encoder.block.{}.layer.1.DenseReluDense.wi_1", "encoder.layers.{}.ffn.gate_up", 1},
    {"encoder.block.{}.layer.1.DenseReluDense.wo", "encoder.layers.{}.ffn.down"},
    {"decoder.block.{}.layer.2.DenseReluDense.wi", "layers.{}.ffn.up"},
    {"decoder.block.{}.layer.2.DenseReluDense.wi_0", "layers.{}.ffn.gate_up", 0},
    {"decoder.block.{}.layer.2.DenseReluDense.wi_1", "layers.{}.ffn.gate_up", 1},
    {"decoder.block.{}.layer.2.DenseReluDense.wo", "layers.{}.ffn.down"},
};

constexpr WeightRule kSparse[] = {
    {"encoder.block.{}.layer.1.mlp.wi", "encoder.layers.{}.ffn.up"},
    {"encoder.block.{}.layer.1.mlp.wo", "encoder.layers.{}.ffn.down"},
    {"encoder.block.{}.layer.1.mlp.router.classifier", "encoder.layers.{}.ffn.router"},
    {"encoder.block.{}.layer.1.mlp.experts.expert_{e}.wi", "encoder.layers.{}.ffn.experts.up", 0,
     DiskLayout::kPlain, 1},
    {"encoder.block.{}.layer.1.mlp.experts.expert_{e}.wo", "encoder.layers.{}.ffn.experts.down", 0,
     DiskLayout::kPlain, 1},
    {"decoder.block.{}.layer.2.mlp.wi", "layers.{}.ffn.up"},
    {"decoder.block.{}.layer.2.mlp.wo", "layers.{}.ffn.down"},
    {"decoder.block.{}.layer.2.mlp.router.classifier", "layers.{}.ffn.router"},
    {"decoder.block.{}.layer.2.mlp.experts.expert_{e}.wi", "layers.{}.ffn.experts.up", 0,
     DiskLayout::kPlain, 1},
    {"decoder.block.{}.layer.2.mlp.experts.expert_{e}.wo", "layers.{}.ffn.experts.down", 0,
     DiskLayout::kPlain, 1},
};

// The table once more for each stack, as older releases saved it, and a bias that cross-attention
// once had and never used.
constexpr std::string_view kIgnored[] = {"embed_tokens.weight",
                                         "EncDecAttention.relative_attention_bias.weight"};

constexpr OldEnding kOldEndings[] = {{"shared.weight", "encoder.embed_tokens.weight"},
                                     {"shared.weight", "decoder.embed_tokens.weight"}};

ModelConfig defaults() {
  ModelConfig c;
  c.body = "encoder_decoder";
  c.norm.eps = 1e-6;
  c.position.kind = "t5";
  c.attention.scale = 1.0;
  c.ffn.kind = "mlp";
  c.hidden_act = "relu";
  c.max_position_embeddings = 512;
  c.tie_word_embeddings = c.scale_tied_head = true;
  c.scale_residual_init = false;
  c.eos_token_id = 1;
  c.pad_token_id = 0;
  return c;
}

ModelConfig switch_defaults() {
  ModelConfig c = defaults();
  c.moe.router = "switch";
  c.moe.expert = "mlp";
  c.moe.num_experts = 8;
  return c;
}

// A missing key and null mean the default.
int64_t integer_at(const Json& theirs, const char* key, int64_t absent) {
  const auto found = theirs.find(key);
  return found == theirs.end() || found->is_null() ? absent : found->get<int64_t>();
}

double scale_of_head(int64_t width) { return 1.0 / std::sqrt(static_cast<double>(width)); }

// transformers' other name of num_layers would change the encoder alone.
void check_alias(const Json& theirs) {
  const Json alias = first_of(theirs, {"num_hidden_layers"});
  const Json layers = first_of(theirs, {"num_layers"});
  require(alias.is_null() || alias == layers, ErrorKind::kConfig, "config.json",
          "num_hidden_layers is {}, but num_layers is {}; remove the first or make them equal",
          alias.dump(), layers.dump());
}

// dense_act_fn repeats what feed_forward_proj says, and wins over it in transformers. An output
// head of its own may be scaled, too.
void read_t5(const Json& theirs, Json& ours) {
  check_alias(theirs);
  const Json word = first_of(theirs, {"dense_act_fn"});
  require(word.is_null() || kActivationSpelling.read(word) == ours.value("hidden_act", word),
          ErrorKind::kConfig, "config.json",
          "dense_act_fn is {}, but feed_forward_proj is {}; they must name the same activation",
          word.dump(), theirs.value("feed_forward_proj", Json()).dump());
  const Json gated = first_of(theirs, {"is_gated_act"});
  require(gated.is_null() || gated == (ours["ffn"].value("kind", std::string("mlp")) == "gated"),
          ErrorKind::kConfig, "config.json",
          "is_gated_act is {}, but feed_forward_proj is {}; they must agree", gated.dump(),
          theirs.value("feed_forward_proj", Json()).dump());
  if (first_of(theirs, {"tie_word_embeddings"}) == false &&
      first_of(theirs, {"scale_decoder_outputs"}) == true)
    ours["logit_scale"] = scale_of_head(theirs.at("d_model").get<int64_t>());
}

void write_t5(const ModelConfig& c, Json& theirs) {
  if (!c.tie_word_embeddings && c.logit_scale == scale_of_head(c.hidden_size))
    theirs["scale_decoder_outputs"] = true;
  const bool gated = ffn_traits(c).gated;
  const bool tanh_gate = gated && c.hidden_act == "gelu_tanh";
  const Json act = tanh_gate ? Json("gelu") : kActivationSpelling.write(Json(c.hidden_act));
  theirs["feed_forward_proj"] =
      std::string(gated ? kGated : "") + (act.is_string() ? act.get<std::string>() : c.hidden_act);
}

// Of every `step` layers the second has experts, or all when step is 1.
bool has_experts(int64_t layer, int64_t step) { return step == 1 || layer % step == 1; }

int64_t sparse_step(int64_t layers, int64_t sparse) {
  return sparse > 0 ? std::max<int64_t>(1, layers / sparse) : layers;
}

void read_switch(const Json& theirs, Json& ours) {
  check_alias(theirs);
  const int64_t layers = integer_at(theirs, "num_layers", 12);
  const int64_t decoder = integer_at(theirs, "num_decoder_layers", layers);
  const int64_t step = sparse_step(layers, integer_at(theirs, "num_sparse_encoder_layers", 3));
  const int64_t other = sparse_step(decoder, integer_at(theirs, "num_sparse_decoder_layers", 3));
  require(layers > 0 && decoder > 0 && layers <= (1 << 16) && decoder <= (1 << 16),
          ErrorKind::kConfig, "config.json", "{} and {} layers are out of range", layers, decoder);
  require(step == other, ErrorKind::kConfig, "config.json",
          "one in {} layers of the encoder has experts, but one in {} of the decoder; only equal "
          "numbers are supported",
          step, other);
  for (int64_t layer = 0; layer < std::max(layers, decoder); ++layer)
    if (!has_experts(layer, step)) ours["moe"]["mlp_only_layers"].push_back(layer);
}

void write_switch(const ModelConfig& c, Json& theirs) {
  const auto sparse = [&](int64_t layers) {
    int64_t count = 0;
    for (int64_t layer = 0; layer < layers; ++layer) count += c.moe.in_layer(layer);
    return count;
  };
  theirs["num_sparse_encoder_layers"] = sparse(c.encoder_layers());
  theirs["num_sparse_decoder_layers"] = sparse(c.num_hidden_layers);
  theirs["add_router_probs"] = false;
  if (!theirs["router_aux_loss_coef"].is_number()) theirs.erase("router_aux_loss_coef");
}

}  // namespace

const Family& t5_family() {
  static const Family family = {
      .name = "t5",
      .architecture = "T5ForConditionalGeneration",
      .summary =
          "encoder and decoder, RMSNorm, bucketed relative positions, ReLU or GeGLU (also Flan-T5, "
          "UL2)",
      .source = "Raffel et al. 2020, arXiv:1910.10683; Tay et al. 2022, arXiv:2205.05131",
      .defaults = defaults,
      .keys = {kKeys, kT5Keys},
      .fixed = kFixed,
      .other_keys = kOtherKeys,
      .hook_keys = {kHookKeys},
      .weights = {kWeights, kDense},
      .read = read_t5,
      .write = write_t5,
      .ignored = kIgnored,
      .old_endings = kOldEndings,
  };
  return family;
}

const Family& switch_family() {
  static const Family family = {
      .name = "switch_transformers",
      .architecture = "SwitchTransformersForConditionalGeneration",
      .summary = "T5 with one expert per token, chosen from many, and a capacity",
      .source = "Fedus et al. 2021, arXiv:2101.03961",
      .defaults = switch_defaults,
      .keys = {kKeys, kSwitchKeys},
      .fixed = kSwitchFixed,
      .other_keys = kOtherKeys,
      .hook_keys = {kSwitchHookKeys},
      .weights = {kWeights, kSparse},
      .read = read_switch,
      .write = write_switch,
      .ignored = kIgnored,
      .old_endings = kOldEndings,
  };
  return family;
}

}  // namespace lathe
