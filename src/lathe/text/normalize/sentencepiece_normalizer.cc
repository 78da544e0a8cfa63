#include "lathe/text/normalize/sentencepiece_normalizer.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "lathe/text/base64.h"
#include "lathe/text/normalize/makers.h"

namespace lathe {
namespace {

using text_json::Json;

DoubleArray trie_of(std::vector<std::string> symbols) {
  std::sort(symbols.begin(), symbols.end());
  symbols.erase(std::unique(symbols.begin(), symbols.end()), symbols.end());
  std::vector<DoubleArray::Entry> entries;
  for (const std::string& symbol : symbols) entries.push_back({symbol, 0});
  return DoubleArray::build(entries);
}

std::vector<std::string> symbols_from_json(const Json& json, std::string_view origin) {
  std::vector<std::string> symbols;
  if (text_json::find(json, "user_defined_symbols") == nullptr) return symbols;
  for (const Json& symbol : text_json::get_array(json, "user_defined_symbols", origin)) {
    if (!symbol.is_string() || symbol.get_ref<const std::string&>().empty())
      text_json::bad(origin, "a member of 'user_defined_symbols' is {}, expected text",
                     symbol.is_string() ? "empty" : symbol.type_name());
    symbols.push_back(symbol.get<std::string>());
  }
  return symbols;
}

}  // namespace

SentencePieceNormalization SentencePieceNormalization::from_json(const Json& json,
                                                                 std::string_view origin) {
  SentencePieceNormalization n;
  if (text_json::find(json, "precompiled_charsmap") != nullptr) {
    const auto compiled = from_base64(text_json::get_string(json, "precompiled_charsmap", origin));
    if (!compiled) text_json::bad(origin, "'precompiled_charsmap' is not base64");
    n.charsmap = CharsMap::parse(*compiled, origin);
  }
  const auto read = [&](const char* key, bool& value) {
    value = text_json::get_bool(json, key, value, origin);
  };
  read("add_dummy_prefix", n.add_dummy_prefix);
  read("remove_extra_whitespaces", n.remove_extra_whitespaces);
  read("escape_whitespaces", n.escape_whitespaces);
  read("treat_whitespace_as_suffix", n.treat_whitespace_as_suffix);
  read("keep_invalid_bytes", n.keep_invalid_bytes);
  n.user_defined_symbols = symbols_from_json(json, origin);
  return n;
}

Json SentencePieceNormalization::to_json() const {
  return {{"type", "SentencePiece"},
          {"precompiled_charsmap", to_base64(charsmap.compiled())},
          {"add_dummy_prefix", add_dummy_prefix},
          {"remove_extra_whitespaces", remove_extra_whitespaces},
          {"escape_whitespaces", escape_whitespaces},
          {"treat_whitespace_as_suffix", treat_whitespace_as_suffix},
          {"user_defined_symbols", user_defined_symbols},
          {"keep_invalid_bytes", keep_invalid_bytes}};
}

SentencePieceNormalizer::SentencePieceNormalizer(SentencePieceNormalization options)
    : options_(std::move(options)),
      symbols_(trie_of(options_.user_defined_symbols)),
      space_(options_.escape_whitespaces ? "\u2581" : " ") {
  for (const std::string& symbol : options_.user_defined_symbols)
    begins_symbol_[static_cast<uint8_t>(symbol[0])] = true;
  const CharsMap& map = options_.charsmap;
  bool ascii_follows = false;
  for (size_t b = 0; b < 0x80; ++b) ascii_follows |= map.follows(static_cast<uint8_t>(b));
  for (size_t b = 0; b < plain_.size(); ++b) {
    const auto c = static_cast<char>(b);
    plain_[b] = !begins_symbol_[b] && !map.replaces(c) && !(ascii_follows && map.goes_on(c));
  }
  plain_space_ = plain_[' '] && !map.goes_on(' ');
  plain_[' '] = false;
  printable_ = true;
  for (size_t b = 0x21; b < 0x7F; ++b) printable_ &= plain_[b];
}

SentencePieceNormalizer::Unit SentencePieceNormalizer::unit_at(const uint8_t* p,
                                                               const uint8_t* end) const {
  size_t length = 0;
  if (begins_symbol_[*p]) symbols_.for_each_prefix(p, end, [&](size_t n, int32_t) { length = n; });
  const CodePoint c = decode_utf8(p, end);
  if (length == 0 && options_.charsmap.may_apply(c.value, p + c.size, end)) {
    const CharsMap::Match match = options_.charsmap.longest(p, end);
    if (match.length > 0) return {match.replacement, match.length};
  }
  if (length == 0 && c.value == kInvalidByte && !options_.keep_invalid_bytes) return {"\uFFFD", 1};
  length = std::max<size_t>(length, c.size);
  return {{reinterpret_cast<const char*>(p), length}, length};
}

const uint8_t* SentencePieceNormalizer::skip_plain(const uint8_t* p, const uint8_t* end) const {
  while (p < end) {
    if (*p < 0x80) {
      const uint8_t* q = skip_ascii(p, end);
      // The last character may belong to a rule with what follows.
      if (q > p && q < end && options_.charsmap.follows(*q)) --q;
      if (q == p || q == end || *q < 0x80) return q;
      p = q;
    } else {
      const CodePoint c = decode_utf8(p, end);
      if (c.value == kInvalidByte || begins_symbol_[*p] ||
          options_.charsmap.may_apply(c.value, p + c.size, end))
        return p;
      p += c.size;
    }
  }
  return p;
}

const uint8_t* SentencePieceNormalizer::skip_ascii(const uint8_t* p, const uint8_t* end) const {
  if (printable_) {  // eight at a time, of those from 0x21 to 0x7E
    constexpr uint64_t kOnes = 0x0101010101010101, kHigh = 0x80 * kOnes;
    for (uint64_t word; end - p >= 8; p += 8) {
      std::memcpy(&word, p, 8);
      if (((word | (word - 0x21 * kOnes) | (word + kOnes)) & kHigh) != 0) break;
    }
  }
  while (p < end && *p < 0x80 && plain_[*p]) ++p;
  return p;
}

// Of the usual text nearly all is copied here, eight bytes at a time: what is copied too much is
// overwritten by what follows.
const uint8_t* SentencePieceNormalizer::copy_words(const uint8_t* p, const uint8_t* end,
                                                   bool& after_space, std::string& out) const {
  constexpr uint64_t kOnes = 0x0101010101010101, kHigh = 0x80 * kOnes;
  constexpr ptrdiff_t kFirstBlock = 64, kBlock = 4096;
  if (!printable_ || !plain_space_) return p;
  const uint8_t* run = p;  // where the characters since the last space begin
  bool more = p < end && *p < 0x80;
  // Room is made block by block, at first for little: something else may follow soon.
  for (ptrdiff_t block = kFirstBlock; more && end - p >= 8; block = std::min(2 * block, kBlock)) {
    const uint8_t* const stop = p + std::min(end - p, block) - 8;
    size_t size = out.size();
    out.resize(size + static_cast<size_t>(block) * space_.size());
    while (p <= stop) {
      const uint64_t word = load_word(p);
      std::memcpy(out.data() + size, p, 8);
      // The lowest byte that is not from 0x21 to 0x7E has its high bit set here.
      const uint64_t other = (word | (word - 0x21 * kOnes) | (word + kOnes)) & kHigh;
      const size_t copied = other == 0 ? 8 : std::countr_zero(other) / 8;
      p += copied;
      size += copied;
      if (copied == 8) continue;
      more = *p == ' ';
      if (!more) break;
      if (p > run || !after_space) {
        std::memcpy(out.data() + size, space_.data(), space_.size());
        size += space_.size();
      }
      after_space = options_.remove_extra_whitespaces;
      run = ++p;
    }
    // The last character may belong to a rule with what follows.
    const size_t back = p > run && p < end && options_.charsmap.follows(*p) ? 1 : 0;
    p -= back;
    out.resize(size - back);
  }
  if (p > run) after_space = false;
  return p;
}

void SentencePieceNormalizer::append(std::string_view text, bool& after_space,
                                     std::string& out) const {
  while (after_space && text.starts_with(' ')) text.remove_prefix(1);
  if (text.empty()) return;
  after_space = options_.remove_extra_whitespaces && text.ends_with(' ');
  for (size_t space; (space = text.find(' ')) != std::string_view::npos;) {
    out.append(text.substr(0, space)).append(space_);
    text.remove_prefix(space + 1);
  }
  out.append(text);
}

bool SentencePieceNormalizer::normalize(std::string_view text, std::string& out) const {
  const uint8_t *p = as_bytes(text), *end = p + text.size();
  if (options_.remove_extra_whitespaces)
    for (Unit u; p < end && (u = unit_at(p, end)).text == " ";) p += u.length;
  if (p == end) return !text.empty();
  out.reserve(text.size() + text.size() / 2);
  const bool dummy = options_.add_dummy_prefix, suffix = options_.treat_whitespace_as_suffix;
  if (dummy && !suffix) out += space_;
  bool after_space = options_.remove_extra_whitespaces;
  while ((p = copy_words(p, end, after_space, out)) < end) {
    if (*p == ' ' && plain_space_) {
      if (!after_space) out += space_;
      after_space = options_.remove_extra_whitespaces;
      ++p;
    } else if (const uint8_t* q = skip_plain(p, end); q > p) {
      out.append(reinterpret_cast<const char*>(p), static_cast<size_t>(q - p));
      after_space = false;
      p = q;
    } else {
      const Unit u = unit_at(p, end);
      append(u.text, after_space, out);
      p += u.length;
    }
  }
  if (options_.remove_extra_whitespaces)
    while (out.ends_with(space_)) out.resize(out.size() - space_.size());
  if (dummy && suffix) out += space_;
  return true;
}

bool SentencePieceNormalizer::apply(std::string_view text, std::string& out, size_t& start) const {
  if (!normalize(text, out)) return false;
  const uint8_t* p = as_bytes(out);
  start = start > 0 && !out.empty() ? decode_utf8(p, p + out.size()).size : 0;
  return true;
}

void make_sentencepiece(const Json& json, const NormalizerSteps& to) {
  to.steps.push_back(std::make_unique<SentencePieceNormalizer>(
      SentencePieceNormalization::from_json(json, to.origin)));
}

}  // namespace lathe
