// Adapters that are trained: their values become master copies, in f32 whatever the model computes in.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "lathe/model/adapter/adapter.h"
#include "lathe/train/training_state.h"

namespace lathe {

// What `make` makes for the model, in f32.
std::shared_ptr<Adapter> with_master_copies(Transformer& model,
                                            const std::function<std::unique_ptr<Adapter>()>& make);
// What is trained of a model: all of it, or the adapter above it.
Trained trained_of(Transformer& model, Adapter* adapter);
// save_adapter() with `values` in place of its own.
void save_trained_adapter(Adapter& adapter, const Transformer& model, const TensorOf& values,
                          const std::filesystem::path& folder);

}  // namespace lathe
