// How scores grow with the compute of training: a metric of a task over models and checkpoints.
//
// Accuracy may stay at chance for long and then rise at once where the likelihood of the right answer has grown all the
// time (Schaeffer et al. 2023, arXiv:2304.15004). Both are given, and from where on each is more than noise.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lathe/lab/score_list.h"

namespace lathe {

struct Rung {
  const ScoredModel* model = nullptr;
  double flops = 0;
  Estimate score;
  std::optional<double> chance;
};

struct Ladder {
  std::string task, metric;
  std::string questions;  // the task's name where its file does not say
  int64_t shots = 0;
  std::vector<Rung> rungs;  // at least two different FLOPs, the fewest first
  // The first rung from which on all are above chance, for a share of right answers; else the first from which on all differ
  // from the lowest rung. By normal tests at the level of 5 %, one-sided and two-sided, adjusted for the number of rungs
  // (Holm). nullopt where there is none, and without a chance.
  std::optional<size_t> from;
};

// Of every task the first share of right answers and the first other metric, where models whose FLOPs are known have them.
// Ladders of the same questions and number of shots are neighbours. They point into `models`.
std::vector<Ladder> ladders_of(std::span<const ScoredModel> models);

}  // namespace lathe
