// BERT with its head for masked tokens, with scores (BertForSequenceClassification, BertForTokenClassification), or
// without either (BertModel): a post-norm encoder, learned positions, kinds of tokens. What checkpoints have beside
// it, a pooler that no scores follow and a head for pairs of sentences, is left alone.

#include <nlohmann/json.hpp>

#include "lathe/model/families/shared.h"

namespace lathe {
namespace {

constexpr ConfigKey kKeys[] = {
    {"intermediate_size", "intermediate_size"},
    {"hidden_act", "hidden_act", &kActivationSpelling},
    {"hidden_dropout_prob", "hidden_dropout", nullptr, "0.1"},
    {"attention_probs_dropout_prob", "attention_dropout", nullptr, "0.1"},
    {"layer_norm_eps", "norm.eps"},
    {"type_vocab_size", "type_vocab_size"},
    {"initializer_range", "initializer_range"},
};

constexpr FixedKey kFixed[] = {{"is_decoder", "false"},
                               {"add_cross_attention", "false"},
                               {"position_embedding_type", "\"absolute\""}};

constexpr WeightRule kWeights[] = {
    {"bert.embeddings.word_embeddings", "embedding"},
    {"bert.embeddings.position_embeddings", "position"},
    {"bert.embeddings.token_type_embeddings", "token_types"},
    {"bert.embeddings.LayerNorm", "embedding_norm"},
    {"bert.encoder.layer.{}.attention.self.query", "layers.{}.attention.qkv", 0},
    {"bert.encoder.layer.{}.attention.self.key", "layers.{}.attention.qkv", 1},
    {"bert.encoder.layer.{}.attention.self.value", "layers.{}.attention.qkv", 2},
    {"bert.encoder.layer.{}.attention.output.dense", "layers.{}.attention.output"},
    {"bert.encoder.layer.{}.attention.output.LayerNorm", "layers.{}.attention_norm"},
    {"bert.encoder.layer.{}.intermediate.dense", "layers.{}.ffn.up"},
    {"bert.encoder.layer.{}.output.dense", "layers.{}.ffn.down"},
    {"bert.encoder.layer.{}.output.LayerNorm", "layers.{}.ffn_norm"},
    {"bert.pooler.dense", "pooler"},
    {"cls.predictions.transform.dense", "head_transform.dense"},
    {"cls.predictions.transform.LayerNorm", "head_transform.norm"},
    {"cls.predictions.bias", "head_bias"},
    {"cls.predictions.decoder.weight", "head.weight"},
    {"cls.predictions.decoder.bias", "head.bias"},
};

constexpr std::string_view kIgnored[] = {"cls.predictions.decoder.weight",
                                         "cls.predictions.decoder.bias",
                                         "cls.predictions.bias",
                                         "pooler.dense.weight",
                                         "pooler.dense.bias",
                                         "cls.seq_relationship.weight",
                                         "cls.seq_relationship.bias"};

// As the first checkpoints called them; the bias of the head has two names.
constexpr OldEnding kOldEndings[] = {{".LayerNorm.weight", ".LayerNorm.gamma"},
                                     {".LayerNorm.bias", ".LayerNorm.beta"},
                                     {"cls.predictions.bias", "cls.predictions.decoder.bias"},
                                     {"cls.predictions.decoder.bias", "cls.predictions.bias"}};

ModelConfig defaults() {
  ModelConfig c = gpt2_family().defaults();
  c.body = "encoder";
  c.hidden_act = "gelu";
  c.norm.placement = "post";
  c.norm.eps = 1e-12;
  c.norm.final = false;
  c.norm.embedding = true;
  c.max_position_embeddings = 512;
  c.lm_head_bias = true;
  c.head_transform = true;
  c.type_vocab_size = 2;
  c.bos_token_id.reset();
  c.eos_token_id.reset();
  return c;
}

}  // namespace

const Family& bert_family() {
  static const Family family = {
      .name = "bert",
      .architecture = "BertForMaskedLM",
      .summary = "encoder, post-LayerNorm, learned positions, MHA, GELU",
      .source = "Devlin et al. 2019, arXiv:1810.04805",
      .defaults = defaults,
      .keys = {basic_keys(), kKeys},
      .fixed = kFixed,
      .weights = {kWeights},
      .ignored = kIgnored,
      .old_endings = kOldEndings,
  };
  return family;
}

}  // namespace lathe
