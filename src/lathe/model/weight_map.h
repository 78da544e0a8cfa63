// The mapping between the tensors on disk and (rows of) the parameters of one model.
#pragma once

#include <string>
#include <vector>

#include "lathe/model/family.h"
#include "lathe/model/transformer.h"

namespace lathe {

// Some rows of a parameter, and where they are in a tensor on disk. The tensor's rows are `groups`
// equal runs; the piece takes rows / groups of each, from `disk_first` of the run on.
struct WeightPiece {
  Parameter* parameter = nullptr;
  int64_t first_row = 0, rows = 0;
  int64_t groups = 1, disk_first = 0;
};

struct DiskTensor {
  std::string name;         // in the safetensors file
  Shape shape;              // there
  bool transposed = false;  // stored [inputs, outputs]
  std::vector<WeightPiece> pieces;

  // The tensor as it is on disk: a view of the parameter's if possible, else a copy.
  Tensor gather(const TensorOf& of) const;
  // The opposite; `on_disk` has this shape and any floating dtype.
  void scatter(const Tensor& on_disk, const TensorOf& of) const;
};

std::string name_on_disk(const WeightRule& rule, int64_t layer);

// With the names of `family`, which for reading is the one that a folder's config.json names. They
// are in the family's order, layer by layer; every row of every parameter has one place (checked).
std::vector<DiskTensor> map_weights(Transformer& model, const Family& family);
// As the model is written: with the names of family_for() its configuration.
std::vector<DiskTensor> map_weights(Transformer& model);

}  // namespace lathe
