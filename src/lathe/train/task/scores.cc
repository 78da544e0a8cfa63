#include "lathe/train/task/scores.h"

#include <map>

#include "lathe/model/load_model.h"

namespace lathe {

void load_or_begin_scores(Transformer& model, const std::string& folder, const Rng& rng,
                          const Log& log) {
  if (model.config().num_labels == 0 || read_model_config(folder).num_labels > 0)
    return load_weights(model, folder, log);
  const auto base =
      load_model(folder, {.dtype = model.activations(), .device = model.device(), .log = log});
  model.initialize(rng);
  std::map<std::string_view, Parameter*> theirs;
  for (Parameter* p : base->parameters()) theirs[p->name] = p;
  for (Parameter* p : model.parameters())
    if (const auto found = theirs.find(p->name); found != theirs.end())
      p->value.tensor().copy_from(found->second->value.tensor());
  log.info("{} predicts tokens: it gets {} score(s) for each text in place of its output head",
           folder, model.config().num_labels);
}

}  // namespace lathe
