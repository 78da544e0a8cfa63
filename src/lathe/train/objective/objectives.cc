#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/config/read_write.h"
#include "lathe/train/objective/objective.h"

namespace lathe {

std::span<const CatalogueEntry<ObjectiveFor>> objectives() {
  static const CatalogueEntry<ObjectiveFor> kObjectives[] = {
      {"next_token",
       "every token predicts the one after it",
       "Radford et al. 2019 (GPT-2)",
       {{"decoder", "prefix_decoder"}, make_next_token}},
      {"prefix_lm",
       "a random cut: the part before is given, the part behind it predicted",
       "Raffel et al. 2020, arXiv:1910.10683; Tay et al. 2022 (U-PaLM), arXiv:2210.11399",
       {{"prefix_decoder", "encoder_decoder"}, make_prefix_lm}},
      {"span_corruption",
       "random spans are taken out, each leaving a sentinel, and are to be said",
       "Raffel et al. 2020, arXiv:1910.10683",
       {{"encoder_decoder", "prefix_decoder", "decoder"}, make_span_corruption}},
      {"ul2",
       "a mixture of seven denoisers: short spans, long or many spans, and the rest of a text",
       "Tay et al. 2022, arXiv:2205.05131",
       {{"encoder_decoder", "prefix_decoder", "decoder"}, make_ul2}},
      {"masked_lm",
       "random tokens are hidden, replaced or kept, and predicted in place",
       "Devlin et al. 2019, arXiv:1810.04805",
       {{"encoder"}, make_masked_lm}},
  };
  return kObjectives;
}

void ObjectiveConfig::visit(Visitor& v) {
  v.choice("name", name, names_of(objectives()),
           "what is predicted from what; default: next_token for decoder, prefix_lm for "
           "prefix_decoder, span_corruption for encoder_decoder, masked_lm for encoder");
  v.field("mask_rate", mask_rate, "span_corruption, masked_lm: share of the tokens that is hidden",
          between(0.01, 0.9));
  v.field("mean_span", mean_span, "span_corruption: tokens of a hidden span, on average",
          at_least(1));
  v.field("sentinels", sentinels,
          "span_corruption, ul2: ids at the end of the vocabulary that stand for hidden spans, the "
          "last one first",
          at_least(1));
  v.field("mask_token_id", mask_token_id, "masked_lm: the id that hides a token", at_least(0));
  v.field("mode_token_ids", mode_token_ids,
          "ul2: ids that tell the model which kind of denoising it does: R, X, S; empty: none",
          at_least(0));
  v.field("further_weight", further_weight,
          "with model.num_nextn_predict_layers: weight of their mean loss beside the model's",
          above(0));
  v.field(
      "z_loss", z_loss,
      "adds this times the square of each label's log-sum-exp of logits to the loss, which keeps "
      "logits from drifting (PaLM used 1e-4); `loss` in the metrics is without it",
      at_least(0));
}

std::string objective_name(const ObjectiveConfig& config, const ModelConfig& model) {
  if (config.name) return *config.name;
  const auto entry = std::ranges::find_if(
      objectives(), [&](const auto& e) { return e.make.bodies.front() == model.body; });
  require(entry != objectives().end(), ErrorKind::kConfig, "objective.name",
          "nothing is the default for body = \"{}\"; say which", model.body);
  return std::string(entry->name);
}

std::unique_ptr<Objective> make_objective(const ObjectiveConfig& config, const ModelConfig& model,
                                          int64_t seq_len) {
  const std::string name = objective_name(config, model);
  const ObjectiveFor& entry = find_in(objectives(), "objective.name", name).make;
  require(std::ranges::find(entry.bodies, model.body) != entry.bodies.end(), ErrorKind::kConfig,
          "objective.name", "{} cannot train body = \"{}\"; it is for {}", name, model.body,
          fmt::join(entry.bodies, ", "));
  require(!model.body_traits().encoder || model.decoder_start(), ErrorKind::kConfig,
          "model.decoder_start_token_id",
          "an encoder_decoder needs an id that its decoder begins with; give this or pad_token_id");
  auto objective = entry.make({.config = config,
                               .body = model.body_traits(),
                               .vocab_size = model.vocab_size,
                               .seq_len = seq_len,
                               .eos_token_id = model.eos_token_id,
                               .decoder_start = model.decoder_start()});
  const Objective::Lengths most = objective->longest();
  require(std::max(most.text, most.ids) <= model.max_position_embeddings, ErrorKind::kConfig,
          "train.seq_len",
          "{} makes rows of up to {} tokens, more than model.max_position_embeddings = {}; raise "
          "that or shorten seq_len",
          name, std::max(most.text, most.ids), model.max_position_embeddings);
  return objective;
}

Example join_row(const ObjectiveOptions& o, std::span<const int32_t> inputs,
                 std::span<const int32_t> targets) {
  Example e;
  if (o.body.encoder) {
    e.text.assign(inputs.begin(), inputs.end());
    e.ids.push_back(static_cast<int32_t>(*o.decoder_start));
    e.ids.insert(e.ids.end(), targets.begin(), targets.end() - 1);
    e.labels.assign(targets.begin(), targets.end());
    return e;
  }
  e.ids.assign(inputs.begin(), inputs.end());
  e.ids.insert(e.ids.end(), targets.begin(), targets.end() - 1);
  e.labels.assign(inputs.size() - 1, -1);
  e.labels.insert(e.labels.end(), targets.begin(), targets.end());
  e.prefix = o.body.prefix ? static_cast<int64_t>(inputs.size()) : 0;
  return e;
}

Objective::Lengths joined_lengths(const ObjectiveOptions& o, int64_t inputs, int64_t targets) {
  if (o.body.encoder) return {.text = inputs, .ids = targets};
  return {.text = 0, .ids = inputs + targets - 1};
}

}  // namespace lathe
