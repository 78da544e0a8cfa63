// Turns batches of rows into inputs of a model, and sums their losses.
#pragma once

#include <map>
#include <string>

#include "lathe/model/model_pass.h"
#include "lathe/train/data_loader.h"

namespace lathe {

// The losses of labels, added up.
struct LossSum {
  int64_t labels = 0;
  double sum = 0;
  void add(double loss) { ++labels, sum += loss; }
  void add(const LossSum& more) { labels += more.labels, sum += more.sum; }
  double mean() const { return sum / static_cast<double>(labels); }
};

// By Row::kind, for formats that mix several.
using LossByKind = std::map<std::string, LossSum>;

// Adds `losses`, one for each of batch.labels, to the sums of their rows' kinds.
void add_by_kind(const Batch& batch, const Tensor& losses, LossByKind& sums);

// A batch as the inputs of a model.
ModelInputs inputs_of(const Batch& batch);

}  // namespace lathe
