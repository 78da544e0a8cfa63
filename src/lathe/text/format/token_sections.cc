#include "lathe/text/format/token_sections.h"

#include <algorithm>
#include <charconv>

namespace lathe {
namespace {

using text_json::bad;
using text_json::find;
using text_json::Json;

using Sides = std::pair<std::string, std::string>;

// A merge's two sides as "Ġ t" has them; nullopt without exactly one space.
std::optional<Sides> split_merge(std::string_view text) {
  const size_t space = text.find(' ');
  if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos)
    return std::nullopt;
  return Sides(text.substr(0, space), text.substr(space + 1));
}

// Reads JSON from left to right. Every function skips white space first and returns false, leaving
// the place undefined, where something else stands there.
class Cursor {
 public:
  explicit Cursor(std::string_view json) : p_(json.data()), end_(p_ + json.size()) {}

  const char* place() {
    skip_space();
    return p_;
  }

  bool next_is(char c) { return place() != end_ && *p_ == c; }

  bool take(char c) {
    skip_space();
    if (p_ == end_ || *p_ != c) return false;
    ++p_;
    return true;
  }

  bool string(std::string& out) {
    bool escaped = false;
    const char* quote = place();
    if (!skip_string(escaped)) return false;
    if (!escaped) {
      out.assign(quote + 1, p_ - 1);
      return true;
    }
    const Json value = Json::parse(quote, p_, nullptr, false);
    if (!value.is_string()) return false;
    out = value.get<std::string>();
    return true;
  }

  // A plain integer of 0 or more.
  bool id(int32_t& out) {
    skip_space();
    const bool zero = p_ != end_ && *p_ == '0', digit = p_ != end_ && *p_ >= '0' && *p_ <= '9';
    const auto [next, error] = std::from_chars(p_, end_, out);
    if (!digit || error != std::errc() || (zero && next != p_ + 1)) return false;
    p_ = next;
    return true;
  }

  // A number that is written as JSON has them and fits a double.
  bool number(double& out) {
    skip_space();
    const char* digit = p_ != end_ && *p_ == '-' ? p_ + 1 : p_;
    const auto is_digit = [this](const char* at) { return at < end_ && *at >= '0' && *at <= '9'; };
    if (!is_digit(digit) || (*digit == '0' && is_digit(digit + 1))) return false;
    const auto [next, error] = std::from_chars(p_, end_, out);
    if (error != std::errc()) return false;
    const char* point = std::find(p_, next, '.');
    if (point != next && !is_digit(point + 1)) return false;
    p_ = next;
    return true;
  }

  // Calls f(*this) at each item of a list or, after its key and colon, of an object.
  template <class F>
  bool items(char open, char close, F&& f) {
    if (!take(open)) return false;
    if (take(close)) return true;
    do {
      if (!f(*this)) return false;
    } while (take(','));
    return take(close);
  }
  template <class F>
  bool members(F&& f) {
    return items('{', '}', [&f](Cursor& at) {
      std::string key;
      return at.string(key) && at.take(':') && f(key);
    });
  }

  // Any value; whether it is one is left to the parser.
  bool skip_value() {
    skip_space();
    int64_t depth = 0;
    bool escaped = false;
    for (; p_ != end_; ++p_) {
      if (*p_ == '"') {
        if (!skip_string(escaped)) return false;
        --p_;
      } else if (*p_ == '[' || *p_ == '{') {
        ++depth;
      } else if (*p_ == ']' || *p_ == '}') {
        if (--depth < 0) return true;  // the parent's
      } else if (*p_ == ',' && depth == 0) {
        return true;
      }
    }
    return false;
  }

 private:
  void skip_space() {
    while (p_ != end_ && (*p_ == ' ' || *p_ == '\n' || *p_ == '\t' || *p_ == '\r')) ++p_;
  }

  bool skip_string(bool& escaped) {
    if (p_ == end_ || *p_ != '"') return false;
    for (++p_; p_ != end_ && *p_ != '"'; ++p_) {
      if (static_cast<unsigned char>(*p_) < 0x20) return false;
      if (*p_ != '\\') continue;
      escaped = true;
      if (++p_ == end_) return false;
    }
    if (p_ == end_) return false;
    ++p_;
    return true;
  }

  const char *p_, *end_;
};

bool read_scored_vocab(Cursor& at, TokenSections& out) {
  return at.items('[', ']', [&](Cursor&) {
    std::string text;
    double score = 0;
    if (!at.take('[') || !at.string(text) || !at.take(',') || !at.number(score) || !at.take(']'))
      return false;
    out.vocab.emplace_back(std::move(text), static_cast<int32_t>(out.vocab.size()));
    out.scores.push_back(score);
    return true;
  });
}

bool read_vocab(Cursor& at, TokenSections& out) {
  if (at.next_is('[')) return read_scored_vocab(at, out);
  return at.members([&](std::string& text) {
    int32_t id = 0;
    if (!at.id(id)) return false;
    out.vocab.emplace_back(std::move(text), id);
    return true;
  });
}

bool read_merges(Cursor& at, TokenSections& out) {
  std::string text, right;
  return at.items('[', ']', [&](Cursor&) {
    if (at.take('[')) {
      if (!at.string(text) || !at.take(',') || !at.string(right) || !at.take(']')) return false;
      out.merges.emplace_back(text, right);
      return true;
    }
    if (!at.string(text)) return false;
    std::optional<Sides> sides = split_merge(text);
    if (sides) out.merges.push_back(std::move(*sides));
    return sides.has_value();
  });
}

}  // namespace

std::optional<CutDocument> cut_token_sections(std::string_view json) {
  CutDocument document;
  Cursor at(json);
  std::string rest;
  const char* copied = json.data();  // what stands before is in `rest`
  int models = 0, vocabs = 0, merge_lists = 0;
  const auto cut = [&](auto&& read) {
    rest.append(copied, at.place());
    rest += at.next_is('{') ? "{}" : "[]";
    if (!read(at, document.sections)) return false;
    copied = at.place();
    return true;
  };
  const auto model_member = [&](const std::string& key) {
    if (key == "vocab") return ++vocabs == 1 && cut(read_vocab);
    if (key == "merges") return ++merge_lists == 1 && cut(read_merges);
    return at.skip_value();
  };
  const bool whole = at.members([&](const std::string& key) {
    if (key != "model") return at.skip_value();
    return ++models == 1 && at.members(model_member);
  });
  if (!whole || vocabs != 1 || merge_lists > 1) return std::nullopt;
  rest.append(copied, json.data() + json.size());
  if (text_json::depth_of(rest) > text_json::kMaxDepth) return std::nullopt;
  document.rest = Json::parse(rest, nullptr, false);
  if (document.rest.is_discarded()) return std::nullopt;
  return document;
}

namespace {

void read_vocab(const Json& vocab, std::string_view origin, TokenSections& out) {
  if (!vocab.is_object() && !vocab.is_array())
    bad(origin, "'vocab' is a {}, expected an object or a list", vocab.type_name());
  if (vocab.is_object()) {
    for (const auto& [text, id] : vocab.items())
      out.vocab.emplace_back(text, text_json::get_id(id, text, origin));
    return;
  }
  for (const Json& piece : vocab) {
    const bool pair =
        piece.is_array() && piece.size() == 2 && piece[0].is_string() && piece[1].is_number();
    if (!pair)
      bad(origin, "entry {} of 'vocab' is not a pair of a text and a score", out.vocab.size());
    out.vocab.emplace_back(piece[0].get<std::string>(), static_cast<int32_t>(out.vocab.size()));
    out.scores.push_back(piece[1].get<double>());
  }
}

}  // namespace

TokenSections token_sections(const Json& model, std::string_view origin) {
  TokenSections sections;
  read_vocab(text_json::get(model, "vocab", origin), origin, sections);
  if (find(model, "merges") == nullptr) return sections;
  const Json& list = text_json::get_array(model, "merges", origin);
  for (size_t rank = 0; rank < list.size(); ++rank) {
    const Json& merge = list[rank];
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      sections.merges.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
      continue;
    }
    if (!merge.is_string()) bad(origin, "merge {} is neither a string nor a pair of strings", rank);
    const std::string& text = merge.get_ref<const std::string&>();
    std::optional<Sides> sides = split_merge(text);
    if (!sides)
      bad(origin, "merge {} is '{}', expected two tokens with one space between", rank, text);
    sections.merges.push_back(std::move(*sides));
  }
  return sections;
}

}  // namespace lathe
