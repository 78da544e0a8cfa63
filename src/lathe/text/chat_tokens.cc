#include "lathe/text/chat_tokens.h"

#include <algorithm>
#include <array>
#include <functional>
#include <set>
#include <unordered_set>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/text/format/json_fields.h"
#include "lathe/text/vocabulary.h"

namespace lathe {
namespace {

using text_json::Json;
constexpr std::string_view kWhere = "add tokens";
constexpr std::string_view kReserved = "<|reserved_special_token_";
constexpr size_t kLongestMarker = 64;  // bytes

// Calls f for the text of a template and for the strings in its {{ … }} and {% … %}. What stands in
// {# … #} is a comment.
void for_each_literal(std::string_view jinja, const std::function<void(std::string_view)>& f) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kParts = {
      {{"{{", "}}"}, {"{%", "%}"}, {"{#", "#}"}}};
  size_t at = 0, text = 0;
  while (at < jinja.size()) {
    const auto part = std::ranges::find_if(
        kParts, [&](const auto& p) { return jinja.substr(at).starts_with(p.first); });
    if (part == kParts.end()) {
      ++at;
      continue;
    }
    f(jinja.substr(text, at - text));
    for (at += 2; at < jinja.size() && !jinja.substr(at).starts_with(part->second); ++at) {
      const char quote = jinja[at];
      if (part->first == "{#" || (quote != '\'' && quote != '"')) continue;
      const size_t begin = ++at;
      while (at < jinja.size() && jinja[at] != quote) at += jinja[at] == '\\' ? 2 : 1;
      at = std::min(at, jinja.size());
      f(jinja.substr(begin, at - begin));
    }
    at = text = std::min(at + 2, jinja.size());
  }
  f(jinja.substr(text));
}

bool is_name(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

bool is_capital(std::string_view text) {
  return is_name(text) && text.size() > 1 &&
         std::ranges::none_of(text, [](char c) { return c >= 'a' && c <= 'z'; });
}

// What may stand between bars: anything but white space and what begins or ends a marker.
bool is_barred(std::string_view text) {
  return !text.empty() && text.find_first_of(" \t\r\n<>|'\"{}") == std::string_view::npos;
}

struct Form {
  std::string_view open, close;
  bool (*may_hold)(std::string_view);
  bool tag;
};
constexpr std::array kForms = {
    Form{"<|", "|>", is_barred, false}, Form{"<\uFF5C", "\uFF5C>", is_barred, false},
    Form{"[/", "]", is_capital, false}, Form{"[", "]", is_capital, false},
    Form{"</", ">", is_name, true},     Form{"<", ">", is_name, true},
};

// The marker that begins `text`; empty if none does.
std::string_view marker_at(std::string_view text, const Form*& form) {
  for (const Form& f : kForms) {
    if (!text.starts_with(f.open)) continue;
    const size_t close = text.substr(0, kLongestMarker).find(f.close, f.open.size());
    if (close == std::string_view::npos) continue;
    const size_t end = close + f.close.size();
    const bool doubled = f.tag && end < text.size() && text[end] == '>';  // <<SYS>>
    if (doubled || !f.may_hold(text.substr(f.open.size(), close - f.open.size()))) continue;
    form = &f;
    return text.substr(0, end);
  }
  return {};
}

// The tag that closes or opens what this one opens or closes.
std::string partner_of(std::string_view tag) {
  return tag.starts_with("</") ? fmt::format("<{}", tag.substr(2))
                               : fmt::format("</{}", tag.substr(1));
}

void check(std::span<const TokenToAdd> tokens, const Tokenizer& old, int64_t reserve) {
  std::set<std::string_view> seen;
  for (const auto& [content, special] : tokens) {
    require(!content.empty(), ErrorKind::kConfig, kWhere, "a token is empty");
    require(is_valid_utf8(content), ErrorKind::kConfig, kWhere, "a token is not valid UTF-8");
    require(seen.insert(content).second, ErrorKind::kConfig, kWhere, "'{}' is listed twice",
            content);
  }
  const int64_t room = Vocabulary::kMaxId + 1 - old.vocab_size();
  const int64_t wanted = static_cast<int64_t>(tokens.size());
  require(reserve >= 0 && reserve <= room && wanted <= room - reserve, ErrorKind::kConfig, kWhere,
          "{} new tokens and {} reserved ones, expected at most {} in all", wanted, reserve, room);
}

Json entry(const AddedToken& token) {
  return {{"id", token.id},          {"content", token.content}, {"single_word", false},
          {"lstrip", false},         {"rstrip", false},          {"normalized", false},
          {"special", token.special}};
}

// A tokenizer.json while tokens are added to it.
class Document {
 public:
  explicit Document(const Tokenizer& old)
      : json_(Json::parse(old.to_json())), next_(static_cast<int32_t>(old.vocab_size())) {
    for (const AddedToken& token : old.added_tokens()) {
      contents_.insert(token.content);
      if (is_reserved_token(token.content)) places_.emplace_back(token.id, token.content);
    }
    std::ranges::sort(places_, std::greater());  // the next one is the last
  }

  bool has(const std::string& content) const { return contents_.contains(content); }
  bool has_place() const { return !places_.empty(); }

  // Gives the id of the first reserved token to another.
  AddedToken take_place(const TokenToAdd& token) {
    const auto [id, reserved] = places_.back();
    places_.pop_back();
    AddedToken added{.id = id, .content = token.content, .special = token.special};
    for (Json& listed : json_["added_tokens"])
      if (listed["content"] == reserved) listed = entry(added);
    rename_in_vocabulary(reserved, token.content);
    contents_.insert(token.content);
    return added;
  }

  AddedToken append(const TokenToAdd& token) {
    AddedToken added{.id = next_++, .content = token.content, .special = token.special};
    json_["added_tokens"].push_back(entry(added));
    contents_.insert(token.content);
    return added;
  }

  std::string text() const { return json_.dump(); }

 private:
  void rename_in_vocabulary(const std::string& from, const std::string& to) {
    Json& vocabulary = json_["model"]["vocab"];
    if (vocabulary.is_array()) {
      for (Json& piece : vocabulary)
        if (piece[0] == from) piece[0] = to;
    } else if (const auto found = vocabulary.find(from); found != vocabulary.end()) {
      const Json id = *found;
      vocabulary.erase(found);
      vocabulary[to] = id;
    }
  }

  Json json_;
  int32_t next_;
  std::unordered_set<std::string> contents_;
  std::vector<std::pair<int32_t, std::string>> places_;  // ids of reserved tokens, descending
};

}  // namespace

std::vector<TokenToAdd> tokens_of_template(std::string_view jinja) {
  std::vector<TokenToAdd> tokens;
  std::set<std::string> tags, seen;
  for_each_literal(jinja, [&](std::string_view text) {
    for (size_t at = 0; at < text.size();) {
      const Form* form = nullptr;
      const bool inside = at > 0 && text[at - 1] == '<';  // <<SYS>>
      const std::string marker(inside ? "" : marker_at(text.substr(at), form));
      at += std::max<size_t>(marker.size(), 1);
      if (marker.empty() || !is_valid_utf8(marker) || !seen.insert(marker).second) continue;
      tokens.push_back({marker, true});
      if (form->tag) tags.insert(marker);
    }
  });
  for (TokenToAdd& token : tokens)
    token.special = !tags.contains(token.content) ||
                    (!token.content.starts_with("</") && !tags.contains(partner_of(token.content)));
  return tokens;
}

std::string reserved_token(int64_t number) { return fmt::format("{}{}|>", kReserved, number); }

bool is_reserved_token(std::string_view token) { return token.starts_with(kReserved); }

TokenizerWithTokens add_tokens(const Tokenizer& old, std::span<const TokenToAdd> tokens,
                               int64_t reserve) {
  check(tokens, old, reserve);
  Document document(old);
  std::vector<AddedToken> added;
  std::vector<std::string> present;
  int64_t took = 0;
  for (const TokenToAdd& token : tokens) {
    if (document.has(token.content)) {
      present.push_back(token.content);
      continue;
    }
    // What is in the vocabulary already keeps its id.
    const bool takes = document.has_place() && !old.id_of(token.content);
    took += takes;
    added.push_back(takes ? document.take_place(token) : document.append(token));
  }
  for (int64_t number = 0; reserve > 0; ++number) {
    if (document.has(reserved_token(number))) continue;
    document.append({reserved_token(number), true});
    --reserve;
  }
  Tokenizer tokenizer = Tokenizer::from_json(document.text(), "the tokenizer with more tokens");
  for (AddedToken& token : added) token.id = tokenizer.id_of(token.content).value();
  return {std::move(tokenizer), std::move(added), std::move(present), took};
}

}  // namespace lathe
