#include "lathe/train/task/trained_critic.h"

#include "lathe/io/output_folder.h"
#include "lathe/model/folder.h"
#include "lathe/optim/clip.h"
#include "lathe/train/task/trained_adapter.h"

namespace lathe {
namespace {

Recipe without_averages(Recipe recipe) {
  recipe.train.ema_decay = 0;
  return recipe;
}

}  // namespace

TrainedCritic::TrainedCritic(Transformer& model, std::shared_ptr<Adapter> adapter,
                             const Recipe& recipe)
    : model_(model),
      adapter_(std::move(adapter)),
      grad_clip_(recipe.optim.grad_clip),
      state_(trained_of(model, adapter_.get()), without_averages(recipe)) {}

ParameterGradients& TrainedCritic::fresh_gradients() {
  state_.gradients().clear();
  return state_.gradients();
}

void TrainedCritic::update(const StepInfo& update) {
  StepInfo own = update;
  own.grad_scale = clip_factor(state_.grad_norm(), grad_clip_);
  state_.update(own);
}

void TrainedCritic::for_each_state(const Task::StateFn& f) const {
  state_.for_each_tensor([&](CheckpointTensor tensor) {
    tensor.name = "critic/" + tensor.name;
    f(std::move(tensor));
  });
}

void TrainedCritic::write(const std::filesystem::path& folder) {
  AtomicDirectory out = make_output_folder({.path = folder, .overwrite = true});
  const TensorOf values = state_.values(false);
  if (adapter_ != nullptr) {
    save_trained_adapter(*adapter_, model_, values, out.temporary());
  } else {
    save_model(model_, out.temporary(), {.dtype = DType::kF32, .values = values});
  }
  out.commit();
}

}  // namespace lathe
