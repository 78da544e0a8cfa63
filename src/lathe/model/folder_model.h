// A Hugging Face folder as a StoredModel.
#pragma once

#include <filesystem>

#include "lathe/model/stored_model.h"

namespace lathe {

class FolderModel : public StoredModel {
 public:
  explicit FolderModel(std::filesystem::path folder) : folder_(std::move(folder)) {}

  ModelConfig config(const Log& log) const override;
  StoredWeights weights(Transformer& model) const override;

 private:
  std::filesystem::path folder_;
};

}  // namespace lathe
