// How deep the trees below an expression go: what walks or frees a tree recurses that far.
#pragma once

#include <algorithm>
#include <vector>

#include "lathe/text/jinja/syntax.h"

namespace lathe::jinja {

inline int height(const ExprPtr& e) { return e == nullptr ? 0 : e->height; }
template <class... More>
int height(const ExprPtr& e, const More&... more) {
  return std::max(height(e), height(more...));
}
inline int height(const std::vector<ExprPtr>& all) {
  int most = 0;
  for (const ExprPtr& e : all) most = std::max(most, height(e));
  return most;
}
inline int height(const Arguments& a) {
  int most = std::max(height(a.positional), height(a.star, a.star_star));
  for (const auto& named : a.named) most = std::max(most, height(named.second));
  return most;
}

}  // namespace lathe::jinja
