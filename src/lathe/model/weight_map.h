// The mapping between the tensors on disk and (rows of) the parameters of one model.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "lathe/model/family.h"
#include "lathe/model/transformer.h"

namespace lathe {

// Rows of a parameter, and where they are in a tensor on disk: in `runs` of rows / runs, the first at
// disk row `disk_first`, each `stride` rows after the one before. (Of a tensor with three dimensions
// the first two are its rows.)
struct WeightPiece {
  Parameter* parameter = nullptr;
  int64_t first_row = 0, rows = 0;
  int64_t disk_first = 0, runs = 1, stride = 0;

  int64_t run() const { return rows / runs; }
};

struct DiskTensor {
  std::string name;         // in the file
  Shape shape;              // there
  bool transposed = false;  // every matrix is stored [inputs, outputs]; pieces count outputs
  std::vector<WeightPiece> pieces;
  double added = 0.0;  // what is stored is the value plus this

  // Whether the file has the rows of one parameter as they are in the model.
  bool is_whole() const;

  // The tensor as it is on disk: a view of the parameter's if possible, else a copy.
  Tensor gather(const TensorOf& of) const;
  // The opposite; `on_disk` has this shape and any floating dtype.
  void scatter(const Tensor& on_disk, const TensorOf& of) const;
};

// What a file usually has of a parameter: its value.
inline const Tensor& value_of(Parameter& p) { return p.value.tensor(); }

// The whole parameter as it is, under a name of its own.
DiskTensor whole_tensor(std::string name, Parameter& p);

// The numbers of the places, in sets: no parameter is in places of two. So one set can be read, or taken in another
// form, without the others.
std::vector<std::vector<size_t>> independent_sets(std::span<const DiskTensor> places);

std::string name_on_disk(const WeightRule& rule, int64_t layer);

// With the names that these tables give, in their order, layer by layer; every row of every parameter
// has one place (checked). `family` below is a shorthand.
using WeightTables = std::vector<std::span<const WeightRule>>;
std::vector<DiskTensor> map_weights(Transformer& model, const WeightTables& tables);
// With the names of `family`, which for reading is the one that a folder's config.json names.
std::vector<DiskTensor> map_weights(Transformer& model, const Family& family);
// As the model is written: with the names of family_for() its configuration.
std::vector<DiskTensor> map_weights(Transformer& model);

}  // namespace lathe
