#include "lathe/infer/beam_search.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lathe/base/error.h"

namespace lathe {

BeamSearch::BeamSearch(const GenerationConfig& config, std::vector<int32_t> ends)
    : config_(config), ends_(std::move(ends)) {
  require(config.num_beams >= 1 && config.num_beam_groups >= 1 &&
              config.num_beams % config.num_beam_groups == 0,
          ErrorKind::kConfig, "num_beams",
          "{} beams cannot be parted into {} equal groups (num_beam_groups)", config.num_beams,
          config.num_beam_groups);
  require(config.diversity_penalty == 0 || config.num_beam_groups > 1, ErrorKind::kConfig,
          "diversity_penalty", "needs groups of beams that differ; set num_beam_groups");
  each_ = config.num_beams / config.num_beam_groups;
  texts_.resize(1);
  groups_.resize(static_cast<size_t>(config.num_beam_groups));
  for (Group& group : groups_) group.members = {0};
}

bool BeamSearch::ends(int32_t token) const {
  return std::ranges::find(ends_, token) != ends_.end();
}

double BeamSearch::score(double sum, int64_t length) const {
  return sum / std::pow(static_cast<double>(length), config_.length_penalty);
}

// So many, best first, that the beams go on however many of them end; of equal ones the lower beam
// and id.
std::vector<BeamSearch::Candidate> BeamSearch::candidates(
    const Group& group, std::span<const std::span<const float>> rows,
    std::span<const int32_t> taken) const {
  const auto better = [](const Candidate& a, const Candidate& b) {
    if (a.judged != b.judged) return a.judged > b.judged;
    return std::pair(a.parent, a.token) < std::pair(b.parent, b.token);
  };
  const auto count = static_cast<size_t>(each_) * (1 + ends_.size());
  std::vector<Candidate> best;  // a heap, the worst of them first
  for (const int64_t member : group.members) {
    const auto row = rows[static_cast<size_t>(member)];
    for (size_t id = 0; id < row.size(); ++id) {
      if (row[id] == -std::numeric_limits<float>::infinity()) continue;
      const auto token = static_cast<int32_t>(id);
      const double sum = texts_[static_cast<size_t>(member)].sum + row[id];
      const auto times = static_cast<double>(std::ranges::count(taken, token));
      const Candidate next{member, token, sum, sum - config_.diversity_penalty * times};
      if (best.size() == count) {
        if (!better(next, best.front())) continue;
        std::ranges::pop_heap(best, better);
        best.pop_back();
      }
      best.push_back(next);
      std::ranges::push_heap(best, better);
    }
  }
  std::ranges::sort_heap(best, better);
  return best;
}

void BeamSearch::end(Group& group, const Candidate& candidate) {
  Hypothesis ended{texts_[static_cast<size_t>(candidate.parent)].tokens,
                   score(candidate.sum, length_ + 1)};
  ended.tokens.push_back(candidate.token);
  const auto place =
      std::ranges::upper_bound(group.ended, ended.score, std::greater<>(), &Hypothesis::score);
  group.ended.insert(place, std::move(ended));
  if (std::ssize(group.ended) > each_) group.ended.pop_back();
}

// Whether no open text can do better: at once when there are enough (early_stopping), or when the
// best open one would not be among the ended ones if it ended here.
bool BeamSearch::is_over(const Group& group, double best_open) const {
  if (std::ssize(group.ended) < each_) return false;
  return config_.early_stopping || score(best_open, length_ + 1) <= group.ended.back().score;
}

std::vector<BeamSearch::Beam> BeamSearch::step(std::span<const std::span<const float>> rows) {
  const bool last = length_ + 1 >= config_.max_new_tokens;
  std::vector<Beam> beams;
  std::vector<Text> texts;
  std::vector<int32_t> taken;
  for (Group& group : groups_) {
    if (group.done) continue;
    const auto found = candidates(group, rows, taken);
    std::vector<Candidate> open;
    for (size_t rank = 0; rank < found.size(); ++rank) {
      const bool over = last || ends(found[rank].token);
      if (!over && std::ssize(open) < each_) open.push_back(found[rank]);
      if (over && static_cast<int64_t>(rank) < each_) end(group, found[rank]);
    }
    group.done = open.empty() || is_over(group, open.front().sum);
    group.members.clear();
    if (group.done) continue;
    for (const Candidate& c : open) {
      group.members.push_back(std::ssize(texts));
      Text text = texts_[static_cast<size_t>(c.parent)];
      text.tokens.push_back(c.token);
      text.sum = c.sum;
      texts.push_back(std::move(text));
      beams.push_back({c.parent, c.token});
      taken.push_back(c.token);
    }
  }
  ++length_;
  texts_ = std::move(texts);
  return beams;
}

std::vector<BeamSearch::Hypothesis> BeamSearch::best(int64_t most) const {
  std::vector<Hypothesis> all;
  for (const Group& group : groups_) all.insert(all.end(), group.ended.begin(), group.ended.end());
  std::ranges::stable_sort(all, std::greater<>(), &Hypothesis::score);
  if (std::ssize(all) > most) all.resize(static_cast<size_t>(most));
  return all;
}

}  // namespace lathe
