// Attention of few queries (decoding): keys and values are read in place, since converting them
// would cost more than using them. One query at a time: its scores over the runs of keys that it
// sees, softmax, weighted sum. Include inside the level.h frame.
#pragma once

#include "lathe/kernels/cpu/isa/attention_scores.h"

struct ForwardOutputs {
  TensorView out, lse;
};

// Buffers of one thread, for one query.
struct DecodeBuffers {
  float *scores, *query, *out, *related, *weighed;

  template <class Take>
  DecodeBuffers(const AttentionCall& c, Take&& take) {
    scores = take(c.most_keys);
    query = take(c.width);
    out = take(c.value_width);
    related = take(c.key_relations);    // the query's product with each row of Shaw's keys
    weighed = take(c.value_relations);  // the sum of weights per row of Shaw's values
  }
};

struct DecodeQuery {
  int64_t h, t;
};

// f(Range) for the runs of keys that the query sees, without regard to segments.
template <class F>
static void for_each_seen(const AttentionCall& c, const DecodeQuery& i, F&& f) {
  c.visibility.for_each_run(i.t, {0, c.keys()}, f);
}

// Turns products into scores of the softmax.
static void finish_run(const AttentionCall& c, const DecodeQuery& i, Range run,
                       const DecodeBuffers& w) {
  const AttentionSpec& spec = *c.spec;
  const AttentionTables<TensorView>& tables = spec.tables;
  const auto for_each_entry = [&](const TableRow& at, const float* table) {
    for (int64_t s = run.begin; s < run.end; ++s)
      w.scores[s] += table[std::clamp<int64_t>(at.first + s, 0, at.count - 1)];
  };
  if (tables.distance_bias) for_each_entry(distance_row(c, i.t, 0), distance_table(c, i.h));
  if (tables.shaw_keys) for_each_entry(relation_row(c, tables.shaw_keys, i.t, 0), w.related);
  if (tables.key_bias) {
    const float* bias = key_biases(c, i.h);
    for (int64_t s = run.begin; s < run.end; ++s) w.scores[s] += bias[s];
  }
  if (spec.softcap > 0.0f)
    for (int64_t s = run.begin; s < run.end; ++s)
      w.scores[s] = spec.softcap * std::tanh(w.scores[s] / spec.softcap);
  if (spec.query_segments)
    for (int64_t s = run.begin; s < run.end; ++s)
      if (!c.visibility.same_segment(i.t, s)) w.scores[s] = kNothing;
}

// Writes the scores of the runs; returns the largest, or the sink logit.
template <class T>
static float score_keys(const AttentionCall& c, const DecodeQuery& i, const DecodeBuffers& w) {
  load_rows<T>(c.q, c.sequence.query_rows, i.h, {i.t, i.t + 1}, c.width, w.query);
  for (int64_t d = 0; d < c.width; ++d) w.query[d] *= c.spec->scale;
  const TensorView& table = c.tables().shaw_keys;
  for (int64_t r = 0; table && r < table.shape[0]; ++r) {
    const float* row = table.as<float>() + r * table.stride[0];
    float dot = 0.0f;
#pragma omp simd reduction(+ : dot)
    for (int64_t d = 0; d < c.width; ++d) dot += w.query[d] * row[d];
    w.related[r] = dot;
  }
  float top = sink_logit(c, i.h);
  for_each_seen(c, i, [&](Range run) {
    for_each_row(c.sequence.key_rows, run, [&](int64_t s, int64_t row) {
      const T* k = row_of<T>(c.k, row, i.h / c.group);
      float dot = 0.0f;
#pragma omp simd reduction(+ : dot)
      for (int64_t d = 0; d < c.width; ++d) dot += w.query[d] * widen(k[d]);
      w.scores[s] = dot;
    });
    finish_run(c, i, run, w);
    for (int64_t s = run.begin; s < run.end; ++s) top = std::max(top, w.scores[s]);
  });
  return top;
}

// Turns scores into exp(score - top); returns their sum, including the sink's.
static float weigh_keys(const AttentionCall& c, const DecodeQuery& i, float top,
                        const DecodeBuffers& w) {
  if (top == kNothing) return 0.0f;
  const float sink = sink_logit(c, i.h);
  float sum = kernels::math::exp_nonpositive(sink - top);
  for_each_seen(c, i, [&](Range run) {
    float part = 0.0f;
#pragma omp simd reduction(+ : part)
    for (int64_t s = run.begin; s < run.end; ++s) {
      const float p = kernels::math::exp_nonpositive(w.scores[s] - top);
      w.scores[s] = p;
      part += p;
    }
    sum += part;
  });
  return sum;
}

// out = sum of weight / sum · (value + Shaw's).
template <class T>
static void sum_values(const AttentionCall& c, const DecodeQuery& i, float sum,
                       const DecodeBuffers& w) {
  const TensorView& table = c.tables().shaw_values;
  std::fill(w.out, w.out + c.value_width, 0.0f);
  std::fill(w.weighed, w.weighed + c.value_relations, 0.0f);
  if (!(sum > 0.0f)) return;
  const float inverse = 1.0f / sum;
  for_each_seen(c, i, [&](Range run) {
    const TableRow at = table ? relation_row(c, table, i.t, 0) : TableRow{};
    for_each_row(c.sequence.key_rows, run, [&](int64_t s, int64_t row) {
      const T* v = row_of<T>(c.v, row, i.h / c.group);
      const float p = w.scores[s] * inverse;
#pragma omp simd
      for (int64_t d = 0; d < c.value_width; ++d) w.out[d] += p * widen(v[d]);
      if (table) w.weighed[std::clamp<int64_t>(at.first + s, 0, at.count - 1)] += p;
    });
  });
  for (int64_t r = 0; table && r < table.shape[0]; ++r) {
    const float* row = table.as<float>() + r * table.stride[0];
#pragma omp simd
    for (int64_t d = 0; d < c.value_width; ++d) w.out[d] += w.weighed[r] * row[d];
  }
}

// The queries of all sequences that have at most `most`, in rows of one head each.
template <class T>
static void forward_in_place(const AttentionCall& call, int64_t most, const ForwardOutputs& to) {
  const AttentionRows& rows = call.spec->rows;
  const Scratch scratch(floats_of<DecodeBuffers>(call), thread_count());
  const int64_t grain =
      std::max<int64_t>(1, 65536 / std::max<int64_t>(1, call.most_keys * call.width));
  parallel_ranges(rows.queries() * call.heads, grain, [&](Range mine, int thread) {
    const auto w = placed_at<DecodeBuffers>(scratch.of_thread(thread), call);
    AttentionCall c = call;
    int64_t b = -1, end = 0;  // of the sequence entered, in rows
    for (int64_t row = mine.begin; row < mine.end; ++row) {
      while (row >= end) {
        c.enter(++b);
        end = (c.sequence.first_query + c.queries()) * c.heads;
      }
      if (c.queries() > most) continue;
      const int64_t inside = row - c.sequence.first_query * c.heads;
      const DecodeQuery i{inside / c.queries(), inside % c.queries()};
      const float top = score_keys<T>(c, i, w), sum = weigh_keys(c, i, top, w);
      sum_values<T>(c, i, sum, w);
      store_rows<T>(w.out, c.value_width, to.out, c.sequence.query_rows, i.h, {i.t, i.t + 1});
      if (to.lse)
        to.lse.as<float>()[c.in_lse(i.h, i.t)] = sum > 0.0f ? top + std::log(sum) : kNothing;
    }
  });
}
