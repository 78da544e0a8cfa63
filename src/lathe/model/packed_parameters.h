// Which parameters of a model can stay the blocks of quantised numbers that a file has of them.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "lathe/io/array_reader.h"
#include "lathe/model/weight_map.h"
#include "lathe/tensor/blocks/block_type.h"

namespace lathe {

// Collects the arrays of a file; a parameter stays packed if each of its rows is a row of blocks that
// products can compute on, and layers only multiply with it or look its rows up. Each expert of a stack
// has parts of its own (ops::PackedMatrix::rows).
class PackedParameters {
 public:
  // The blocks of `array` must stay in place until place().
  void add(const DiskTensor& place, const ArraySpan& array);
  // Whether the parameter of this place stays packed, once all are added.
  bool has(const DiskTensor& place) const;
  // Gives those parameters their weights.
  void place() const;

 private:
  struct Row {
    const BlockType* type = nullptr;
    const std::byte* blocks = nullptr;
  };
  struct Rows {
    std::vector<Row> all;
    int64_t of_one = 0;  // of one expert; all rows of a matrix that is no stack
  };
  std::map<Parameter*, Rows> rows_;
  std::set<const Parameter*> excluded_;
};

}  // namespace lathe
