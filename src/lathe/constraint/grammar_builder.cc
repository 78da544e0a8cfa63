#include "lathe/constraint/grammar_builder.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/constraint/grammar_check.h"

namespace lathe::constraint {
namespace {

constexpr std::string_view kWhere = "constraint";
constexpr uint32_t kUnrolled = 8;  // repeats that are written out, if their part is small
constexpr size_t kSmall = 16;      // nodes of a part

}  // namespace

ExprId GrammarBuilder::add(Expr expr) {
  require(exprs_.size() < kMaxNodes, ErrorKind::kConfig, kWhere,
          "the grammar has more than {} parts; make it smaller", kMaxNodes);
  exprs_.push_back(std::move(expr));
  return static_cast<ExprId>(exprs_.size() - 1);
}

ExprId GrammarBuilder::text(std::string_view bytes_of_text) {
  require(bytes_of_text.find(kTokenMark) == std::string_view::npos, ErrorKind::kConfig, kWhere,
          "a text has the byte 0xFF, which UTF-8 does not have; give texts in UTF-8");
  return these_bytes(bytes_of_text);
}

ExprId GrammarBuilder::token(int32_t id) {
  require(id >= 0 && id <= kMaxMarkedToken, ErrorKind::kConfig, kWhere,
          "a grammar can name tokens 0 to {}; {} is none of them", kMaxMarkedToken, id);
  return these_bytes(token_as_bytes(id));
}

// In pieces: what writes the nodes of a piece goes as deep as it is long.
ExprId GrammarBuilder::these_bytes(std::string_view bytes_of_text) {
  constexpr size_t kPiece = 32;
  std::vector<ExprId> pieces;
  for (size_t at = 0; at < bytes_of_text.size(); at += kPiece) {
    ByteRanges piece;
    for (const char c : bytes_of_text.substr(at, kPiece))
      piece.push_back({static_cast<uint8_t>(c), static_cast<uint8_t>(c)});
    pieces.push_back(bytes({std::move(piece)}));
  }
  return sequence(std::move(pieces));
}

ExprId GrammarBuilder::one_of_texts(std::vector<std::string> texts) {
  std::ranges::sort(texts);
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  return texts_from(texts, 0);
}

// Of sorted texts that have their first `done` bytes in common: those they share further on, and then
// a choice by the next byte.
ExprId GrammarBuilder::texts_from(std::span<const std::string> texts, size_t done) {
  const std::string &first = texts.front(), &last = texts.back();
  const auto shared = static_cast<size_t>(std::ranges::mismatch(first, last).in1 - first.begin());
  const ExprId begin = text(std::string_view(first).substr(done, shared - done));
  if (texts.size() == 1) return begin;
  std::vector<ExprId> ways;
  if (first.size() == shared) {
    ways.push_back(nothing());
    texts = texts.subspan(1);
  }
  while (!texts.empty()) {
    const char next = texts.front()[shared];
    const auto end =
        std::ranges::find_if(texts, [&](const std::string& t) { return t[shared] != next; });
    const auto count = static_cast<size_t>(end - texts.begin());
    ways.push_back(texts_from(texts.first(count), shared));
    texts = texts.subspan(count);
  }
  return sequence({begin, choice(std::move(ways))});
}

ExprId GrammarBuilder::one_of(const CharSet& set) { return bytes(utf8_sequences(set)); }

ExprId GrammarBuilder::bytes(std::vector<ByteRanges> sequences) {
  return add({.kind = Kind::kBytes, .bytes = std::move(sequences)});
}

ExprId GrammarBuilder::sequence(std::vector<ExprId> parts) {
  if (parts.size() == 1) return parts[0];
  return add({.kind = Kind::kSequence, .parts = std::move(parts)});
}

ExprId GrammarBuilder::choice(std::vector<ExprId> parts) {
  if (parts.size() == 1) return parts[0];
  return add({.kind = Kind::kChoice, .parts = std::move(parts)});
}

ExprId GrammarBuilder::repeat(ExprId part, uint32_t min, uint32_t max) {
  if (min == 1 && max == 1) return part;
  return add({.kind = Kind::kRepeat, .parts = {part}, .min = min, .max = max});
}

ExprId GrammarBuilder::ordered(Ordered parts) {
  return add({.kind = Kind::kOrdered, .order = std::move(parts)});
}

RuleId GrammarBuilder::declare(std::string name) {
  rules_.push_back({std::move(name)});
  return static_cast<RuleId>(rules_.size() - 1);
}

void GrammarBuilder::define(RuleId rule, ExprId expr) {
  rules_[rule].defined = true;
  rules_[rule].expr = expr;
}

ExprId GrammarBuilder::use(RuleId rule) { return add({.kind = Kind::kUse, .rule = rule}); }

// Writes nodes from the end to the beginning: each expression is told what comes behind it.
class GrammarEmitter {
 public:
  explicit GrammarEmitter(const GrammarBuilder& builder) : builder_(builder) {
    starts_.assign(builder.rules_.size(), 0);
    emitted_.assign(builder.rules_.size(), false);
  }

  Grammar run(RuleId root) {
    end_ = add({.kind = GrammarNode::Kind::kEnd});
    grammar_.start = start_of(root);
    while (!todo_.empty()) {
      const RuleId rule = todo_.back();
      todo_.pop_back();
      emit_rule(rule);
    }
    std::vector<std::pair<NodeId, std::string>> names;
    for (RuleId r = 0; r < starts_.size(); ++r)
      if (emitted_[r]) names.emplace_back(starts_[r], builder_.rules_[r].name);
    check_grammar(grammar_, names);
    return std::move(grammar_);
  }

 private:
  using Kind = GrammarNode::Kind;

  NodeId add(GrammarNode node) {
    require(grammar_.nodes.size() < kMaxNodes, ErrorKind::kConfig, kWhere,
            "the grammar has more than {} states; make it smaller", kMaxNodes);
    grammar_.nodes.push_back(std::move(node));
    return static_cast<NodeId>(grammar_.nodes.size() - 1);
  }

  // A rule begins with a split that is filled when its turn comes.
  NodeId start_of(RuleId rule) {
    if (!emitted_[rule]) {
      require(builder_.rules_[rule].defined, ErrorKind::kConfig, kWhere,
              "the rule '{}' is used and not defined", builder_.rules_[rule].name);
      emitted_[rule] = true;
      starts_[rule] = add({.kind = Kind::kSplit});
      todo_.push_back(rule);
    }
    return starts_[rule];
  }

  void emit_rule(RuleId rule) {
    sequences_.clear();
    const NodeId first = emit(builder_.rules_[rule].expr, end_);
    grammar_.nodes[starts_[rule]].targets = {first};
  }

  NodeId emit(ExprId id, NodeId next) {
    const GrammarBuilder::Expr& e = builder_.exprs_[id];
    switch (e.kind) {
      case GrammarBuilder::Kind::kBytes:
        return emit_bytes(e.bytes, next);
      case GrammarBuilder::Kind::kSequence:
        for (auto part = e.parts.rbegin(); part != e.parts.rend(); ++part) next = emit(*part, next);
        return next;
      case GrammarBuilder::Kind::kChoice:
        return emit_choice(e.parts, next);
      case GrammarBuilder::Kind::kRepeat:
        return emit_repeat(e, next);
      case GrammarBuilder::Kind::kOrdered:
        return emit_ordered(e.order, next);
      case GrammarBuilder::Kind::kUse:
        break;
    }
    return add({.kind = Kind::kCall, .start = start_of(e.rule), .next = next});
  }

  // Sequences with the same rest share its nodes, and those with the same begin are one edge.
  NodeId emit_bytes(const std::vector<ByteRanges>& sequences, NodeId next) {
    if (std::ranges::any_of(sequences, &ByteRanges::empty)) return next;  // the empty text
    GrammarNode node{.kind = Kind::kBytes};
    for (const ByteRanges& s : sequences) node.edges.push_back({s[0], emit_rest(s, 1, next)});
    return add(std::move(node));
  }

  NodeId emit_rest(const ByteRanges& sequence, size_t from, NodeId next) {
    if (from == sequence.size()) return next;
    const std::pair<ByteRanges, NodeId> key{
        {sequence.begin() + static_cast<std::ptrdiff_t>(from), sequence.end()}, next};
    if (const auto known = sequences_.find(key); known != sequences_.end()) return known->second;
    const NodeId rest = emit_rest(sequence, from + 1, next);
    const NodeId made = add({.kind = Kind::kBytes, .edges = {{sequence[from], rest}}});
    sequences_.emplace(key, made);
    return made;
  }

  NodeId emit_choice(const std::vector<ExprId>& parts, NodeId next) {
    GrammarNode node{.kind = Kind::kSplit};
    for (const ExprId part : parts) node.targets.push_back(emit(part, next));
    return add(std::move(node));
  }

  // A loop: the part leads back to the split, whose other way goes on.
  NodeId emit_loop(ExprId part, NodeId next) {
    const NodeId split = add({.kind = Kind::kSplit});
    const NodeId body = emit(part, split);
    grammar_.nodes[split].targets = {body, next};
    return split;
  }

  bool is_small(ExprId part) const {
    const GrammarBuilder::Expr& e = builder_.exprs_[part];
    if (e.kind != GrammarBuilder::Kind::kBytes) return false;
    size_t size = 0;
    for (const ByteRanges& s : e.bytes) size += s.size();
    return size <= kSmall;
  }

  NodeId emit_repeat(const GrammarBuilder::Expr& e, NodeId next) {
    const ExprId part = e.parts[0];
    if (e.max == 0) return next;
    if (e.max == kUnbounded && e.min == 0) return emit_loop(part, next);
    if (e.max == kUnbounded && e.min == 1) {
      const NodeId split = add({.kind = Kind::kSplit});
      const NodeId body = emit(part, split);
      grammar_.nodes[split].targets = {body, next};
      return body;
    }
    if (e.max == 1 || (e.max <= kUnrolled && is_small(part))) return emit_unrolled(e, next);
    const NodeId body = emit_body(part);
    return add({.kind = Kind::kRepeat, .start = body, .next = next, .min = e.min, .max = e.max});
  }

  NodeId emit_unrolled(const GrammarBuilder::Expr& e, NodeId next) {
    NodeId at = next;
    for (uint32_t i = e.max; i-- > 0;) {
      at = emit(e.parts[0], at);
      if (i >= e.min) at = add({.kind = Kind::kSplit, .targets = {at, next}});
    }
    return at;
  }

  // What is repeated ends for itself.
  NodeId emit_body(ExprId part) { return emit(part, end_); }

  // For every item two beginnings: whether something stood before it, and hence a separator is due.
  NodeId emit_ordered(const GrammarBuilder::Ordered& o, NodeId next) {
    NodeId behind_some = next, behind_none = next;
    bool none_may_end = !o.needs_one;
    if (o.has_more) {
      const NodeId loop = add({.kind = Kind::kSplit});
      const NodeId more = emit(o.separator, emit(o.more, loop));
      grammar_.nodes[loop].targets = {more, next};
      const NodeId first = emit(o.more, loop);
      behind_none = none_may_end ? add({.kind = Kind::kSplit, .targets = {first, next}}) : first;
      behind_some = loop;
      none_may_end = true;  // `behind_none` says it
    }
    bool can_be_none = none_may_end;
    for (size_t i = o.items.size(); i-- > 0;) {
      const auto& [expr, optional] = o.items[i];
      const NodeId some = emit(o.separator, emit(expr, behind_some));
      const NodeId none = emit(expr, behind_some);
      behind_some = optional ? add({.kind = Kind::kSplit, .targets = {some, behind_some}}) : some;
      behind_none = optional && can_be_none
                        ? add({.kind = Kind::kSplit, .targets = {none, behind_none}})
                        : none;
      can_be_none = true;
    }
    require(!o.items.empty() || can_be_none, ErrorKind::kConfig, kWhere,
            "an object without properties needs one at least");
    return behind_none;
  }

  const GrammarBuilder& builder_;
  Grammar grammar_;
  NodeId end_ = 0;
  std::vector<NodeId> starts_;  // by rule
  std::vector<bool> emitted_;
  std::vector<RuleId> todo_;
  std::map<std::pair<ByteRanges, NodeId>, NodeId> sequences_;
};

Grammar GrammarBuilder::build(RuleId root) const { return GrammarEmitter(*this).run(root); }

}  // namespace lathe::constraint
