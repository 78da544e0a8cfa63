// HTML as a reader of its text sees it: blocks, without scripts and styles. It is not a browser's parser: tags that are
// not closed or not opened do not matter to it.
#include <algorithm>
#include <cctype>

#include "lathe/base/utf8.h"
#include "lathe/documents/read/readers.h"

namespace lathe {
namespace {

using Kind = Stretch::Kind;

struct Entity {
  std::string_view name;
  char32_t value;
};
constexpr Entity kEntities[] = {
    {"amp", '&'},      {"lt", '<'},       {"gt", '>'},       {"quot", '"'},      {"apos", '\''},
    {"nbsp", ' '},     {"ndash", 0x2013}, {"mdash", 0x2014}, {"hellip", 0x2026}, {"lsquo", 0x2018},
    {"rsquo", 0x2019}, {"ldquo", 0x201C}, {"rdquo", 0x201D}, {"copy", 0xA9},     {"reg", 0xAE},
    {"deg", 0xB0},     {"times", 0xD7},   {"euro", 0x20AC},  {"eacute", 0xE9},   {"egrave", 0xE8},
    {"auml", 0xE4},    {"ouml", 0xF6},    {"uuml", 0xFC},    {"Auml", 0xC4},     {"Ouml", 0xD6},
    {"Uuml", 0xDC},    {"szlig", 0xDF},   {"agrave", 0xE0},  {"ccedil", 0xE7},   {"middot", 0xB7}};

// The character that "&…;" at the beginning of `text` stands for, and its bytes; 0 bytes if it is none.
std::pair<char32_t, size_t> entity(std::string_view text) {
  const size_t end = text.substr(0, 12).find(';');
  if (end == std::string_view::npos || end < 2) return {0, 0};
  const std::string name(text.substr(1, end - 1));
  if (name[0] != '#') {
    const auto it = std::ranges::find(kEntities, name, &Entity::name);
    return it == std::end(kEntities) ? std::pair{char32_t{0}, size_t{0}}
                                     : std::pair{it->value, end + 1};
  }
  const bool hex = name.size() > 1 && (name[1] == 'x' || name[1] == 'X');
  char* last = nullptr;
  const unsigned long value = std::strtoul(name.c_str() + (hex ? 2 : 1), &last, hex ? 16 : 10);
  const bool valid =
      *last == '\0' && value > 0 && value <= 0x10FFFF && (value < 0xD800 || value > 0xDFFF);
  return valid ? std::pair{static_cast<char32_t>(value), end + 1}
               : std::pair{char32_t{0}, size_t{0}};
}

class Html {
 public:
  explicit Html(std::string_view text) : text_(text) {}

  Document read() {
    while (at_ < text_.size()) {
      if (text_[at_] == '<' && take_tag()) continue;
      take_character();
    }
    end_block();
    return std::move(out_);
  }

 private:
  static bool is_block(std::string_view name) {
    constexpr std::string_view kBlocks[] = {
        "p",     "div",        "br",      "li",     "ul",     "ol",     "table",   "tr",
        "pre",   "section",    "article", "h1",     "h2",     "h3",     "h4",      "h5",
        "h6",    "blockquote", "body",    "title",  "header", "footer", "main",    "nav",
        "aside", "dl",         "dt",      "dd",     "hr",     "figure", "caption", "figcaption",
        "form",  "fieldset",   "details", "summary"};
    return std::ranges::find(kBlocks, name) != std::end(kBlocks);
  }

  std::string name_at(size_t from) const {
    std::string name;
    for (size_t i = from; i < text_.size() && name.size() < 16; ++i) {
      const auto c = static_cast<unsigned char>(text_[i]);
      if (!std::isalnum(c)) break;
      name += static_cast<char>(std::tolower(c));
    }
    return name;
  }

  // Whether a tag or a comment was read here.
  bool take_tag() {
    if (text_.substr(at_, 4) == "<!--") return skip_past("-->");
    const bool closes = at_ + 1 < text_.size() && text_[at_ + 1] == '/';
    const std::string name = name_at(at_ + (closes ? 2 : 1));
    if (name.empty() && !text_.substr(at_).starts_with("<!")) return false;
    skip_past(">");
    if (is_block(name)) begin_block(name, closes);
    if (name == "td" || name == "th") words_ += ' ';
    if (!closes &&
        (name == "script" || name == "style" || name == "template" || name == "noscript"))
      skip_element(name);
    return true;
  }

  bool skip_past(std::string_view end) {
    const size_t found = text_.find(end, at_);
    at_ = found == std::string_view::npos ? text_.size() : found + end.size();
    return true;
  }

  // Everything up to the tag that closes it.
  void skip_element(const std::string& name) {
    while (at_ < text_.size()) {
      const size_t found = text_.find("</", at_);
      if (found == std::string_view::npos) break;
      at_ = found + 2;
      if (name_at(at_) != name) continue;
      skip_past(">");
      return;
    }
    at_ = text_.size();
  }

  void begin_block(const std::string& name, bool closes) {
    end_block();
    kind_ = Kind::kText;
    level_ = 0;
    if (closes) return;
    if (name.size() == 2 && name[0] == 'h' && name[1] >= '1' && name[1] <= '6') {
      kind_ = Kind::kHeading;
      level_ = name[1] - '0';
    }
    if (name == "li" || name == "dd") kind_ = Kind::kItem;
    if (name == "tr") kind_ = Kind::kRow;
    if (name == "pre") kind_ = Kind::kCode;
    is_title_ = name == "title";
  }

  void end_block() {
    const std::string_view said = without_blanks(words_);
    if (!said.empty()) {
      if (is_title_) out_.title = said;
      if (!is_title_)
        out_.stretches.push_back({.kind = kind_,
                                  .level = level_,
                                  .begin = static_cast<int64_t>(first_),
                                  .end = static_cast<int64_t>(last_),
                                  .words = std::string(said)});
    }
    words_.clear();
    says_nothing_ = true;
    is_title_ = false;
  }

  void take_character() {
    size_t size = 1;
    std::string said(1, text_[at_]);
    if (text_[at_] == '&') {
      const auto [value, bytes] = entity(text_.substr(at_));
      if (bytes > 0) {
        said.clear();
        append_utf8(said, value);
        size = bytes;
      }
    }
    const bool blank = std::isspace(static_cast<unsigned char>(said[0])) != 0;
    if (blank && kind_ != Kind::kCode) {
      if (!words_.empty() && words_.back() != ' ') words_ += ' ';
    } else {
      words_ += said;
    }
    if (!blank) {
      if (std::exchange(says_nothing_, false)) first_ = at_;
      last_ = at_ + size;
    }
    at_ += size;
  }

  std::string_view text_;
  size_t at_ = 0, first_ = 0, last_ = 0;
  Document out_;
  std::string words_;
  Kind kind_ = Kind::kText;
  int level_ = 0;
  bool is_title_ = false, says_nothing_ = true;
};

}  // namespace

Document read_html(std::string_view text) { return Html(text).read(); }

}  // namespace lathe
