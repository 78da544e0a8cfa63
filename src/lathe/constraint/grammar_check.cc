#include "lathe/constraint/grammar_check.h"

#include <algorithm>

#include "lathe/base/error.h"

namespace lathe::constraint {
namespace {

using Kind = GrammarNode::Kind;
constexpr std::string_view kWhere = "constraint";

class Checker {
 public:
  Checker(Grammar& grammar, const std::vector<std::pair<NodeId, std::string>>& rules)
      : nodes_(grammar.nodes), start_(grammar.start), rules_(rules) {}

  void run() {
    find_users();
    find_productive();
    cut_dead_ends();
    find_nullable();
    for (GrammarNode& n : nodes_)
      if (n.kind == Kind::kRepeat && nullable_[n.start]) n.min = 0;
    find_nullable();
    refuse_left_recursion();
  }

 private:
  std::string name_of(NodeId start) const {
    const auto found = std::ranges::find(rules_, start, &std::pair<NodeId, std::string>::first);
    return found == rules_.end() ? "a part that is repeated"
                                 : fmt::format("the rule '{}'", found->second);
  }

  // Which nodes look at which: when one is marked, its users are asked again.
  void find_users() {
    users_.assign(nodes_.size(), {});
    for (NodeId id = 0; id < nodes_.size(); ++id) {
      const GrammarNode& n = nodes_[id];
      for (const GrammarNode::Edge& e : n.edges) users_[e.target].push_back(id);
      for (const NodeId target : n.targets) users_[target].push_back(id);
      if (n.kind != Kind::kCall && n.kind != Kind::kRepeat) continue;
      users_[n.start].push_back(id);
      users_[n.next].push_back(id);
    }
  }

  // Marks every node for which `mark` holds, which asks for the flags of other nodes.
  template <class Mark>
  void spread(std::vector<bool>& flags, Mark&& mark) {
    flags.assign(nodes_.size(), false);
    std::vector<NodeId> todo;
    const auto ask = [&](NodeId id) {
      if (flags[id] || !mark(id)) return;
      flags[id] = true;
      todo.push_back(id);
    };
    for (NodeId id = 0; id < nodes_.size(); ++id) ask(id);
    while (!todo.empty()) {
      const NodeId id = todo.back();
      todo.pop_back();
      for (const NodeId user : users_[id]) ask(user);
    }
  }

  // Whether a node reaches the end of its rule, given which others do in `marks`; `past_bytes` says so
  // of a node that reads one.
  template <class Marks, class PastBytes>
  static bool reaches_end(const GrammarNode& n, const Marks& marks, PastBytes&& past_bytes) {
    const auto is = [&](NodeId t) { return bool{marks[t]}; };
    switch (n.kind) {
      case Kind::kBytes:
        return past_bytes(n);
      case Kind::kSplit:
        return std::ranges::any_of(n.targets, is);
      case Kind::kCall:
        return is(n.start) && is(n.next);
      case Kind::kRepeat:
        return (n.min == 0 || is(n.start)) && is(n.next);
      case Kind::kEnd:
        break;
    }
    return true;
  }

  // Which nodes can reach the end of their rule.
  void find_productive() {
    spread(productive_, [&](NodeId id) {
      return reaches_end(nodes_[id], productive_, [&](const GrammarNode& n) {
        return std::ranges::any_of(
            n.edges, [&](NodeId t) { return bool{productive_[t]}; }, &GrammarNode::Edge::target);
      });
    });
    require(productive_[start_], ErrorKind::kConfig, kWhere,
            "no text fits: {} never ends or allows nothing", name_of(start_));
    for (const auto& [start, name] : rules_)
      require(productive_[start], ErrorKind::kConfig, kWhere,
              "the rule '{}' never ends or allows nothing; give it an alternative that does not "
              "need itself",
              name);
  }

  void cut_dead_ends() {
    for (GrammarNode& n : nodes_) {
      std::erase_if(n.edges, [&](const GrammarNode::Edge& e) { return !productive_[e.target]; });
      std::erase_if(n.targets, [&](NodeId t) { return !productive_[t]; });
      if (n.kind == Kind::kRepeat && !productive_[n.start]) n.max = 0;
    }
  }

  // Which nodes can reach the end of their rule without reading a byte.
  void find_nullable() {
    spread(nullable_, [&](NodeId id) {
      return reaches_end(nodes_[id], nullable_, [](const GrammarNode&) { return false; });
    });
  }

  // The nodes that may come next before a byte is read, calls entered.
  std::vector<NodeId> before_a_byte(NodeId id) const {
    const GrammarNode& n = nodes_[id];
    if (n.kind == Kind::kSplit) return n.targets;
    if (n.kind != Kind::kCall && n.kind != Kind::kRepeat) return {};
    std::vector<NodeId> out = {n.start};
    if (nullable_[n.start] || (n.kind == Kind::kRepeat && n.min == 0)) out.push_back(n.next);
    return out;
  }

  // A call from which its own place can be reached again before a byte is read would push without
  // end. Both are then in one strongly connected component (Tarjan 1972). Loops of splits alone do no
  // harm.
  void refuse_left_recursion() {
    const std::vector<NodeId> component = components();
    for (NodeId id = 0; id < nodes_.size(); ++id) {
      const GrammarNode& n = nodes_[id];
      if (n.kind != Kind::kCall && n.kind != Kind::kRepeat) continue;
      require(component[id] != component[n.start], ErrorKind::kConfig, kWhere,
              "{} calls itself before it has read anything (left recursion); put what it repeats "
              "behind the call, or write a repetition",
              name_of(n.start));
    }
  }

  std::vector<NodeId> components() const {
    struct Step {
      NodeId node;
      std::vector<NodeId> next;
      size_t at = 0;
    };
    constexpr NodeId kNone = UINT32_MAX;
    std::vector<NodeId> order(nodes_.size(), kNone), low(nodes_.size()),
        component(nodes_.size(), kNone), open;
    std::vector<Step> path;
    NodeId time = 0;
    const auto enter = [&](NodeId id) {
      order[id] = low[id] = time++;
      open.push_back(id);
      path.push_back({id, before_a_byte(id)});
    };
    for (NodeId first = 0; first < nodes_.size(); ++first) {
      if (order[first] != kNone) continue;
      enter(first);
      while (!path.empty()) {
        const NodeId here = path.back().node;
        if (path.back().at < path.back().next.size()) {
          const NodeId next = path.back().next[path.back().at++];
          if (order[next] == kNone)
            enter(next);
          else if (component[next] == kNone)
            low[here] = std::min(low[here], order[next]);
          continue;
        }
        path.pop_back();
        if (!path.empty()) low[path.back().node] = std::min(low[path.back().node], low[here]);
        if (low[here] != order[here]) continue;
        while (component[here] == kNone) {
          component[open.back()] = here;
          open.pop_back();
        }
      }
    }
    return component;
  }

  std::vector<GrammarNode>& nodes_;
  const NodeId start_;
  const std::vector<std::pair<NodeId, std::string>>& rules_;
  std::vector<std::vector<NodeId>> users_;
  std::vector<bool> productive_, nullable_;
};

}  // namespace

void check_grammar(Grammar& grammar, const std::vector<std::pair<NodeId, std::string>>& rules) {
  Checker(grammar, rules).run();
}

}  // namespace lathe::constraint
