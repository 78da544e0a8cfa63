// Gradients of the tables that attention adds: distance bias, sink logits, Shaw's keys and values.
//
// Every unit of work (sequence, key/value head) has its own sums, which are added at the end in the
// order of the units, so that the result does not depend on which thread ran which unit. Distances
// and sinks, where one entry may gather millions of terms of either sign, are summed in f32 only
// within a tile of queries and in double across tiles. Include inside the level.h frame.
#pragma once

#include "lathe/kernels/cpu/isa/attention_scores.h"

// The sums of one unit; those that are not needed are empty.
struct TableSums {
  double *distances, *sinks;       // [group][R], [group]
  float *shaw_keys, *shaw_values;  // [2w+1][depth], [2w+1][value_depth]

  template <class Take>
  TableSums(const AttentionCall& c, const AttentionTables<TensorView>& g, Take&& take) {
    const auto take_doubles = [&](int64_t n) {
      return static_cast<double*>(static_cast<void*>(take(2 * n)));
    };
    distances = take_doubles(g.distance_bias ? c.group * g.distance_bias.shape[1] : 0);
    sinks = take_doubles(g.sink_logits ? c.group : 0);
    shaw_keys = take(g.shaw_keys ? g.shaw_keys.shape[0] * c.depth : 0);
    shaw_values = take(g.shaw_values ? g.shaw_values.shape[0] * c.value_depth : 0);
  }
};

class TableGradients {
 public:
  TableGradients(const AttentionCall& c, const AttentionTables<TensorView>& g)
      : call_(c), gradients_(g), floats_(count()), scratch_(floats_, units()) {
    for (int64_t u = 0; u < units(); ++u) {
      float* mine = scratch_.of_thread(static_cast<int>(u));
      std::fill(mine, mine + floats_, 0.0f);
    }
  }

  TableSums of_unit(int64_t unit) const {
    float* base = scratch_.of_thread(static_cast<int>(unit));
    return {call_, gradients_, [&base](int64_t n) {
              float* p = base;
              base += padded(n, 16);
              return p;
            }};
  }

  void write() const {
    const AttentionCall& c = call_;
    const auto& g = gradients_;
    for (int64_t h = 0; h < c.heads && g.sink_logits; ++h) {
      double sum = 0;
      for (int64_t b = 0; b < c.batch(); ++b) sum += of_head(b, h).sinks[h % c.group];
      g.sink_logits.as<float>()[h] = static_cast<float>(sum);
    }
    for (int64_t h = 0; h < c.heads && g.distance_bias; ++h) write_distances(h);
    if (g.shaw_keys) write_shaw(g.shaw_keys, &TableSums::shaw_keys, c.depth, c.spec->scale);
    if (g.shaw_values) write_shaw(g.shaw_values, &TableSums::shaw_values, c.value_depth, 1.0);
  }

 private:
  int64_t units() const { return call_.batch() * call_.kv_heads; }
  int64_t count() const {
    int64_t total = 0;
    TableSums(call_, gradients_, [&total](int64_t n) {
      total += padded(n, 16);
      return static_cast<float*>(nullptr);
    });
    return total;
  }
  TableSums of_head(int64_t b, int64_t h) const {
    return of_unit(b * call_.kv_heads + h / call_.group);
  }
  void write_distances(int64_t h) const {
    const TensorView& to = gradients_.distance_bias;
    const int64_t entries = to.shape[1];
    for (int64_t i = 0; i < entries; ++i) {
      double sum = 0;
      for (int64_t b = 0; b < call_.batch(); ++b)
        sum += of_head(b, h).distances[h % call_.group * entries + i];
      to.as<float>()[h * to.stride[0] + i] = static_cast<float>(sum);
    }
  }
  void write_shaw(const TensorView& to, float* TableSums::*sums, int64_t depth,
                  double factor) const {
    for (int64_t i = 0; i < to.shape[0]; ++i)
      for (int64_t d = 0; d < to.shape[1]; ++d) {
        double sum = 0;
        for (int64_t u = 0; u < units(); ++u) sum += (of_unit(u).*sums)[i * depth + d];
        to.as<float>()[i * to.stride[0] + d] = static_cast<float>(factor * sum);
      }
  }

  const AttentionCall& call_;
  const AttentionTables<TensorView>& gradients_;
  int64_t floats_;
  Scratch scratch_;
};
