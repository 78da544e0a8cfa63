#include "lathe/text/jinja/text_format.h"

#include <algorithm>
#include <cmath>

#include "lathe/text/jinja/access.h"
#include "lathe/text/jinja/characters.h"
#include "lathe/text/jinja/operators.h"

namespace lathe::jinja {
namespace {

constexpr int64_t kMaxPrecision = 1000;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string in_base(Int value, unsigned base, bool upper) {
  __extension__ typedef unsigned __int128 Unsigned;
  std::string digits;
  for (auto rest = value < 0 ? -static_cast<Unsigned>(value) : static_cast<Unsigned>(value);
       rest != 0; rest /= base) {
    const auto digit = static_cast<char>(rest % base);
    digits += static_cast<char>(digit < 10 ? '0' + digit : (upper ? 'A' : 'a') + digit - 10);
  }
  if (digits.empty()) digits += '0';
  std::ranges::reverse(digits);
  return digits;
}

std::string int_digits(Int value, const FormatSpec& spec) {
  switch (spec.type) {
    case 'x':
      return (spec.alternate ? "0x" : "") + in_base(value, 16, false);
    case 'X':
      return (spec.alternate ? "0X" : "") + in_base(value, 16, true);
    case 'o':
      return (spec.alternate ? "0o" : "") + in_base(value, 8, false);
    case 'b':
      return (spec.alternate ? "0b" : "") + in_base(value, 2, false);
    default:
      return in_base(value, 10, false);
  }
}

std::string float_digits(double value, const FormatSpec& spec) {
  if (spec.precision > kMaxPrecision)
    fault("a number cannot be written with {} digits; the most are {}", spec.precision,
          kMaxPrecision);
  const double size = std::abs(value);
  if (std::isnan(size) || std::isinf(size)) return std::isnan(size) ? "nan" : "inf";
  const int precision = spec.precision < 0 ? 6 : static_cast<int>(spec.precision);
  switch (spec.type) {
    case 'e':
      return fmt::format("{:.{}e}", size, precision);
    case 'E':
      return fmt::format("{:.{}E}", size, precision);
    case 'f':
    case 'F':
      return fmt::format("{:.{}f}", size, precision);
    case '%':
      return fmt::format("{:.{}f}%", size * 100, precision);
    case 'g':
    case 'G':
      return fmt::format("{:.{}g}", size, std::max(precision, 1));
    default:
      return spec.precision < 0 ? float_text(size)
                                : fmt::format("{:.{}g}", size, std::max(precision, 1));
  }
}

// A comma after every third digit of the whole part.
std::string with_commas(const std::string& digits) {
  const size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && i < whole && (whole - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string padded(Heap& heap, std::string_view sign, const std::string& text, char align,
                   const FormatSpec& spec) {
  const int64_t missing = spec.width - count_characters(text) - static_cast<int64_t>(sign.size());
  if (missing <= 0) return fmt::format("{}{}", sign, text);
  heap.require_room(static_cast<size_t>(missing));
  const auto filling = [&](int64_t n) {
    std::string out;
    for (int64_t i = 0; i < n; ++i) append_utf8(out, spec.fill);
    return out;
  };
  if (align == '=') return std::string(sign) + filling(missing) + text;
  const int64_t left = align == '<' ? 0 : align == '^' ? missing / 2 : missing;
  return filling(left) + std::string(sign) + text + filling(missing - left);
}

FormatSpec parse_spec(std::string_view text) {
  FormatSpec spec;
  const std::string_view all = text;
  constexpr std::string_view kAligns = "<>^=";
  const size_t first = byte_of(text, 1);
  if (first < text.size() && kAligns.find(text[first]) != std::string_view::npos) {
    spec.fill = characters_of(text.substr(0, first))[0];
    spec.align = text[first];
    text.remove_prefix(first + 1);
  } else if (!text.empty() && kAligns.find(text[0]) != std::string_view::npos) {
    spec.align = text[0];
    text.remove_prefix(1);
  }
  const auto pass = [&](char c) { return text.starts_with(c) && (text.remove_prefix(1), true); };
  const auto pass_number = [&](int64_t& out) {
    for (out = 0; !text.empty() && is_digit(text[0]); text.remove_prefix(1))
      out = std::min<int64_t>(out * 10 + (text[0] - '0'), INT32_MAX);
  };
  if (!pass('-') && pass('+')) spec.sign = '+';
  if (pass(' ')) spec.sign = ' ';
  spec.alternate = pass('#');
  if (text.starts_with('0') && spec.align == 0) {
    spec.align = '=';
    spec.fill = '0';
  }
  pass_number(spec.width);
  spec.grouped = pass(',');
  if (pass('.')) pass_number(spec.precision);
  if (!text.empty()) {
    spec.type = text[0];
    text.remove_prefix(1);
  }
  if (!text.empty()) fault("'{}' is not a format", all);
  return spec;
}

class BraceFormat {
 public:
  BraceFormat(Heap& heap, std::string_view format, const CallArguments& arguments)
      : heap_(heap), rest_(format), arguments_(arguments) {}

  std::string run() {
    std::string out;
    while (!rest_.empty()) {
      const char c = rest_[0];
      rest_.remove_prefix(1);
      if (c != '{' && c != '}') {
        out += c;
      } else if (rest_.starts_with(c)) {
        out += c;
        rest_.remove_prefix(1);
      } else if (c == '}') {
        fault("a '}}' in a format closes nothing; write it twice for the character itself");
      } else {
        out += field();
      }
      heap_.require_room(out.size());
    }
    return out;
  }

 private:
  std::string field() {
    const size_t end = rest_.find('}');
    if (end == std::string_view::npos) fault("a '{{' in a format is not closed");
    std::string_view body = rest_.substr(0, end);
    if (body.find('{') != std::string_view::npos)
      fault("a format within a format is not supported");
    rest_.remove_prefix(end + 1);
    std::string_view spec, conversion;
    if (const size_t colon = body.find(':'); colon != std::string_view::npos) {
      spec = body.substr(colon + 1);
      body = body.substr(0, colon);
    }
    if (const size_t mark = body.find('!'); mark != std::string_view::npos) {
      conversion = body.substr(mark + 1);
      body = body.substr(0, mark);
    }
    Value value = value_of(body);
    if (conversion == "r")
      value = heap_.text(to_repr(heap_, value));
    else if (conversion == "s")
      value = heap_.text(to_text(heap_, value));
    else if (!conversion.empty())
      fault("'!{}' is not a conversion; known are !s and !r", conversion);
    return formatted(heap_, value, parse_spec(spec));
  }

  Value value_of(std::string_view path) {
    const size_t end = std::min(path.find_first_of(".["), path.size());
    Value value = root(path.substr(0, end));
    path.remove_prefix(end);
    while (!path.empty()) {
      const bool dot = path[0] == '.';
      const size_t stop = dot ? std::min(path.find_first_of(".[", 1), path.size()) : path.find(']');
      if (stop == std::string_view::npos) fault("a '[' in a format is not closed");
      const std::string_view key = path.substr(1, stop - 1);
      value = dot ? attribute_of(heap_, value, key) : item_of(heap_, value, key_of(key));
      path.remove_prefix(dot ? stop : stop + 1);
    }
    return value;
  }

  Value key_of(std::string_view key) {
    if (key.empty() || key.size() > 9 || !std::ranges::all_of(key, is_digit))
      return heap_.text(std::string(key));
    return std::stoi(std::string(key));
  }

  const Value& root(std::string_view name) {
    size_t index = next_;
    if (name.empty()) {
      ++next_;
    } else if (name.size() <= 9 && std::ranges::all_of(name, is_digit)) {
      index = static_cast<size_t>(std::stoi(std::string(name)));
    } else {
      for (const auto& [key, value] : arguments_.named)
        if (key == name) return value;
      fault("the format asks for '{}', which was not given", name);
    }
    if (index >= arguments_.positional.size())
      fault("the format asks for value {}, and {} were given", index, arguments_.positional.size());
    return arguments_.positional[index];
  }

  Heap& heap_;
  std::string_view rest_;
  const CallArguments& arguments_;
  size_t next_ = 0;
};

}  // namespace

std::string formatted(Heap& heap, const Value& value, const FormatSpec& spec) {
  constexpr std::string_view kInts = "dxXobn", kFloats = "eEfFgG%";
  const bool as_float = spec.type != 0 && kFloats.find(spec.type) != std::string_view::npos;
  const bool as_int = spec.type != 0 && kInts.find(spec.type) != std::string_view::npos;
  if (value.is_number() && !(value.is_bool() && spec.type == 0 && spec.width == 0)) {
    const bool is_float = value.is_float() || as_float;
    if (as_int && value.is_float())
      fault("the format '{}' is for integers, and this is a float", spec.type);
    if (spec.type != 0 && !as_int && !as_float) fault("'{}' is not a format of numbers", spec.type);
    const bool minus = value.is_float() ? std::signbit(value.number()) : value.integer() < 0;
    std::string digits =
        is_float ? float_digits(value.number(), spec) : int_digits(value.integer(), spec);
    if (spec.grouped) digits = with_commas(digits);
    const std::string sign = minus ? "-" : spec.sign != 0 ? std::string(1, spec.sign) : "";
    return padded(heap, sign, digits, spec.align == 0 ? '>' : spec.align, spec);
  }
  if (spec.type != 0 && spec.type != 's')
    fault("the format '{}' is not for a value of type {}", spec.type, type_name(value));
  std::string text = to_text(heap, value);
  if (spec.precision >= 0) text.resize(byte_of(text, static_cast<size_t>(spec.precision)));
  return padded(heap, "", text, spec.align == 0 ? '<' : spec.align, spec);
}

std::string brace_format(Heap& heap, std::string_view format, const CallArguments& arguments) {
  return BraceFormat(heap, format, arguments).run();
}

}  // namespace lathe::jinja
