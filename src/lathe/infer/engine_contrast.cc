// Contrastive search in the engine: the candidates of a text are sequences that hold its blocks, and
// compute one token each in one pass. The states of all tokens are in a group of the cache, so that
// candidates share them, and whoever gives up room computes them again.
#include <algorithm>
#include <cmath>
#include <limits>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/infer/engine_state.h"

namespace lathe {
namespace {

// The rows of x [N,C] divided by their lengths, f32, so that products are cosines.
Tensor unit_rows(const Tensor& x) {
  const Tensor rows = x.to(DType::kF32).clone();
  const int64_t width = rows.size(1);
  parallel_for(rows.size(0), 16, [&](int64_t n) {
    float* row = rows.data<float>() + n * width;
    double sum = 0;
    for (int64_t c = 0; c < width; ++c) sum += static_cast<double>(row[c]) * row[c];
    const double inverse = sum > 0 ? 1 / std::sqrt(sum) : 0;
    for (int64_t c = 0; c < width; ++c) row[c] = static_cast<float>(row[c] * inverse);
  });
  return rows;
}

// In f32 lanes of a fixed number, so that the compiler may use vectors and the bits stay the same.
float product(const float* a, const float* b, int64_t width) {
  constexpr int64_t kLanes = 16;
  float sums[kLanes] = {};
  int64_t c = 0;
  for (; c + kLanes <= width; c += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane) sums[lane] += a[c + lane] * b[c + lane];
  for (; c < width; ++c) sums[c % kLanes] += a[c] * b[c];
  float sum = 0;
  for (const float lane : sums) sum += lane;
  return sum;
}

}  // namespace

std::optional<Refusal> Engine::refuse_search(const Request& r) const {
  const GenerationConfig& sampling = r.sampling;
  if (!sampling.searches()) return std::nullopt;
  const bool beams = sampling.num_beams > 1;
  const char* key = beams ? "num_beams" : "penalty_alpha";
  const char* name = beams ? "beam search" : "contrastive search";
  const auto refusal = [](std::string_view where, std::string message) {
    return Refusal{Refusal::Reason::kInvalid, std::string(where), std::move(message)};
  };
  if (whole_passes_)
    return refusal(key, fmt::format("the tokens of this model compete for experts (a capacity, "
                                    "expert choice), so that an open text would depend on the "
                                    "pass it is in; leave out {} ({})",
                                    name, key));
  if (const SamplerInfo* sampler = sampler_without_effect(sampling))
    return refusal(sampler->name,
                   fmt::format("{} draws nothing, so {} would have no effect; leave it at its "
                               "default, or leave out {}",
                               name, sampler->keys, key));
  const int64_t open = sampling.open_texts();
  if (open > options_.max_sequences)
    return refusal(beams ? key : "top_k",
                   fmt::format("{} {}, but at most {} sequences run at once", open,
                               beams ? "beams" : "candidates", options_.max_sequences));
  if (r.logprobs)
    return refusal("logprobs", fmt::format("are not reported by {}; leave them out, or leave out "
                                           "{}",
                                           name, key));
  return beams ? refuse_beams(r) : refuse_contrastive(r);
}

std::optional<Refusal> Engine::refuse_contrastive(const Request& r) const {
  const auto refusal = [](const char* where, std::string message) {
    return Refusal{Refusal::Reason::kInvalid, where, std::move(message)};
  };
  if (r.choices != 1)
    return refusal("choices", fmt::format("contrastive search draws nothing, so {} answers would "
                                          "be the same; ask for one",
                                          r.choices));
  if (drafter_ && r.speculate)
    return refusal("speculate",
                   "guesses cannot be checked where several candidates are compared; "
                   "leave out penalty_alpha, or the speculation");
  if (options_.streaming)
    return refusal("penalty_alpha",
                   "contrastive search compares all tokens of a text, and this engine keeps a "
                   "window of it (stream_window); use one of them");
  if (options_.state_tokens == 0)
    return refusal("penalty_alpha",
                   "contrastive search compares hidden states, and this engine has no room for "
                   "any; make it with state_tokens");
  return std::nullopt;
}

// Keeps what the head reads of each token, where it will be compared.
void Engine::keep_states(const std::vector<Scheduler::Share>& shares, const Computed& pass) {
  const bool wanted = std::ranges::any_of(shares, [&](const Scheduler::Share& share) {
    return sequences_.at(share.id)->job->request.sampling.contrastive();
  });
  if (wanted)
    cache_.write({.kind = CacheLayer::Kind::kState}, pass.rows, unit_rows(pass.hidden), Tensor());
}

// max_j cos(h, h_j) of the last token's state with those of the tokens before it; NaN if it is NaN.
double Engine::largest_cosine(const Sequence& sequence) const {
  const size_t g = cache_.groups() - 1;  // groups_of() has the states last
  const std::vector<int32_t> table = cache_.table(*sequence.cache, g);
  const int64_t block = cache_.block_size(), last = sequence.size() - 1;
  const auto states = [&](int64_t b) {
    const std::span<std::byte> bytes = cache_.rows_of(g, 0, table[static_cast<size_t>(b)]);
    return std::span(static_cast<const float*>(static_cast<const void*>(bytes.data())),
                     bytes.size() / sizeof(float));
  };
  const int64_t width = std::ssize(states(0)) / block;
  const float* mine = states(last / block).data() + last % block * width;
  if (std::isnan(product(mine, mine, width))) return std::numeric_limits<double>::quiet_NaN();
  std::vector<float> largest(table.size(), -2);
  parallel_for(last / block + 1, 8, [&](int64_t b) {
    const float* row = states(b).data();
    for (int64_t t = b * block; t < std::min(last, (b + 1) * block); ++t, row += width)
      largest[static_cast<size_t>(b)] =
          std::max(largest[static_cast<size_t>(b)], product(mine, row, width));
  });
  return std::ranges::max(largest);
}

// Takes the best candidate, tells its token, and opens those that follow it. The first text has no
// candidates: it is the prompt.
void Engine::step_contrast(const std::shared_ptr<Job>& job) {
  Beams& open = *job->beams;
  auto& search = std::get<ContrastiveSearch>(open.search);
  size_t best = 0;
  if (!search.candidates().empty()) {
    std::vector<double> cosines;
    for (const int64_t id : open.sequences) cosines.push_back(open.rows.at(id).cosine);
    best = search.choose(cosines);
    if (end_contrast(job, *sequences_.at(open.sequences[best]))) return;
  }
  Sequence& text = *sequences_.at(open.sequences[best]);
  std::vector<float>& row = open.rows.at(text.id).logits;
  text.chooser.process(row, text.new_tokens());
  search.expand(row);
  open.rows.clear();
  std::vector<BeamSearch::Beam> next;
  for (const ContrastiveSearch::Candidate& each : search.candidates())
    next.push_back({static_cast<int64_t>(best), each.token});
  become(next, job);
}

// Tells the last token of the text; whether it ends the answer.
bool Engine::end_contrast(const std::shared_ptr<Job>& job, const Sequence& text) {
  ++job->beams->told;
  const bool wanted = deliver(text, text.text.back(), {});
  const auto reason = why_it_ends(text, wanted);
  if (!reason) return false;
  drop_beams(job, *reason, nullptr);
  return true;
}

}  // namespace lathe
