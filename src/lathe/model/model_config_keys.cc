#include "lathe/base/catalogue.h"
#include "lathe/kernels/activation/activations.h"
#include "lathe/model/model_config.h"

namespace lathe {
namespace {

void visit_special_ids(Visitor& v, ModelConfig& c) {
  v.field("bos_token_id", c.bos_token_id, "id that begins a text", at_least(0));
  v.field("eos_token_id", c.eos_token_id, "id that ends a text; generation stops there",
          at_least(0));
  v.field("other_eos_token_ids", c.other_eos_token_ids,
          "further ids that end a text, if eos_token_id in config.json is a list", at_least(0));
  v.field("pad_token_id", c.pad_token_id, "id that pads a batch", at_least(0));
  v.field("decoder_start_token_id", c.decoder_start_token_id,
          "encoder_decoder: id that the decoder starts with; default pad_token_id", at_least(0));
}

}  // namespace

void ModelConfig::visit(Visitor& v) {
  v.choice("body", body, names_of(bodies()),
           "which stacks of blocks the model has, and which tokens attend to which");
  v.field("vocab_size", vocab_size, "rows of the token table", at_least(1).required());
  v.field("hidden_size", hidden_size, "width C of the residual stream", at_least(1).required());
  v.field("num_hidden_layers", num_hidden_layers,
          "number of blocks L; for encoder_decoder, of the decoder", at_least(1).required());
  v.field("num_encoder_layers", num_encoder_layers,
          "encoder_decoder: number of blocks of the encoder; default num_hidden_layers",
          at_least(1));
  v.field("num_attention_heads", num_attention_heads, "query heads H", at_least(1).required());
  v.field("num_key_value_heads", num_key_value_heads,
          "key/value heads K: H is MHA (default), 1 is MQA, in between is GQA", at_least(1));
  v.field("head_dim", head_dim, "head width D; default hidden_size / num_attention_heads",
          at_least(1));
  v.field("intermediate_size", intermediate_size,
          "feed-forward width F; default 4·C for mlp, 8/3·C rounded up to 64 for gated",
          at_least(1));
  v.field("max_position_embeddings", max_position_embeddings, "length of the longest sequence",
          at_least(1));
  v.choice("hidden_act", hidden_act, kernels::activation_names(),
           "activation of the feed-forward layer");
  v.field(
      "lm_head", lm_head,
      "an output head that predicts tokens; false: the model gives hidden states only, for embeddings");
  v.field("tie_word_embeddings", tie_word_embeddings,
          "output head and token embedding share one matrix");
  v.field("attention_bias", attention_bias, "biases in the query, key and value projections");
  v.field("mlp_bias", mlp_bias, "biases in the feed-forward layer");
  v.field("lm_head_bias", lm_head_bias,
          "a bias in the output head, or beside the scores that take its place");
  v.field("head_transform", head_transform,
          "a dense layer, activation and norm before the output head (BERT)");
  v.field(
      "num_labels", num_labels,
      "number of scores of each token, from a matrix that takes the place of the output head: 1 for "
      "a reward model or a critic; 0: the head predicts tokens",
      between(0, 1 << 16));
  v.field("pooler", pooler,
          "a dense layer and tanh before the scores (BERT's sequence classifiers)");
  v.field(
      "type_vocab_size", type_vocab_size,
      "number of token types, each with a vector that is added to the embedding (BERT's segments)",
      at_least(0));
  v.field("num_nextn_predict_layers", num_nextn_predict_layers,
          "number of additional modules that learn to predict 2, 3 … tokens ahead (DeepSeek-V3)",
          between(0, 64));
  v.choice("parallel_block", parallel_block, {"none", "shared_norm", "two_norms"},
           "compute attention and feed-forward in parallel (GPT-J, PaLM), after a shared norm or "
           "one norm each");
  v.choice("layer_types", layer_types, attention_layer_types(),
           "attention of each layer; a shorter list is repeated. Default: sliding if "
           "sliding_window is set, else full");
  v.field("sliding_window", sliding_window,
          "tokens that a token attends to in a sliding_attention layer, itself included",
          at_least(1));
  v.field("attn_logit_softcapping", attn_logit_softcapping,
          "scores become cap·tanh(score / cap); 0 is off", at_least(0));
  v.field("final_logit_softcapping", final_logit_softcapping, "the same for the output logits",
          at_least(0));
  v.field("scale_embedding", scale_embedding, "multiply the embedded tokens by sqrt(hidden_size)");
  v.field("logit_scale", logit_scale, "multiplies the output logits", above(0));
  v.field("scale_tied_head", scale_tied_head,
          "divide the output logits by sqrt(hidden_size) when the head is the token table (T5)");
  visit_dropout(v, attention_dropout, hidden_dropout);
  v.field("initializer_range", initializer_range, "standard deviation of the initial weights",
          above(0).when_resumed(OnResume::kFree));
  v.field("scale_residual_init", scale_residual_init,
          "divide the initial output projections by sqrt(2·L), as GPT-2 does",
          when_resumed(OnResume::kFree));
  visit_special_ids(v, *this);
  v.group("norm", norm, "normalisation");
  v.group("position", position, "positions");
  v.group("attention", attention, "attention");
  v.group("ffn", ffn, "feed-forward");
  v.group("moe", moe, "mixture of experts");
}

void visit_dropout(Visitor& v, double& attention_dropout, double& hidden_dropout) {
  const Limits probability = between(0, 0.99).when_resumed(OnResume::kBranch);
  v.field("attention_dropout", attention_dropout, "dropout of attention weights while training",
          probability);
  v.field("hidden_dropout", hidden_dropout,
          "dropout of embeddings and sub-layer outputs while training", probability);
}

}  // namespace lathe
