// Steering vectors: directions in the residual stream that are added behind some layers while a
// model runs (Turner et al. 2023, arXiv:2308.10248; Zou et al. 2023, arXiv:2310.01405).
//
// The file is safetensors, or GGUF with general.architecture "controlvector" as llama.cpp reads it.
// In both the tensor `direction.N`, [hidden_size] of F32, F16 or BF16, acts on the output of layer N,
// counted from 0; layers without one are left alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <string>

#include "lathe/model/model_config.h"
#include "lathe/tensor/tensor.h"

namespace lathe {

// Immutable and thread-safe.
class SteeringVectors {
 public:
  // By layer, f32 [C] each, all of one width.
  explicit SteeringVectors(std::map<int64_t, Tensor> directions);

  const Tensor* of_layer(int64_t layer) const;  // nullptr if there is none
  const std::map<int64_t, Tensor>& directions() const { return directions_; }
  int64_t width() const { return directions_.begin()->second.size(0); }
  size_t bytes() const { return directions_.size() * static_cast<size_t>(width()) * sizeof(float); }
  const std::string& identity() const { return identity_; }  // a hash of all of it
  // What makes them unfit for a model, and what to do; empty if nothing does.
  std::string why_not(const ModelConfig& model) const;

 private:
  std::map<int64_t, Tensor> directions_;
  std::string identity_;
};

// Errors: kIo; kFormat for a damaged file, another architecture, tensors of other names or shapes,
// values that are not finite.
std::shared_ptr<const SteeringVectors> load_steering(const std::filesystem::path& file);

// How vectors act on one text: x += scale · direction behind the layers [first, last].
struct Steering {
  std::shared_ptr<const SteeringVectors> vectors;
  double scale = 1;
  int64_t first = 0, last = std::numeric_limits<int64_t>::max();

  // nullptr if nothing is added behind this layer.
  const Tensor* at(int64_t layer) const;
  std::string identity() const;
  friend bool operator==(const Steering&, const Steering&) = default;
};

}  // namespace lathe
