// "%s has %d" % (…), as Python formats texts.
#include <algorithm>

#include "lathe/text/jinja/characters.h"
#include "lathe/text/jinja/operators.h"
#include "lathe/text/jinja/text_format.h"

namespace lathe::jinja {
namespace {

class PercentFormat {
 public:
  PercentFormat(Heap& heap, const Value& format, const Value& values)
      : heap_(heap), safe_(format.is_safe_text()), rest_(format.text()), values_(values) {
    const Sequence* s = values.get_if<Sequence>();
    tuple_ = s != nullptr && s->is_tuple() ? s : nullptr;
  }

  std::string run() {
    std::string out;
    while (!rest_.empty()) {
      const char c = take();
      out += c == '%' ? field() : std::string(1, c);
      heap_.require_room(out.size());
    }
    const size_t given = tuple_ != nullptr ? tuple_->items.size() : 1;
    // Python takes an object, a list or a range for what names are looked up in.
    const Sequence* list = values_.get_if<Sequence>();
    const bool may_have_more = values_.get_if<Dict>() != nullptr ||
                               values_.get_if<Range>() != nullptr ||
                               (list != nullptr && list->is_list());
    if (used_ < given && !may_have_more)
      fault("{} values were given to a format that takes {}", given, used_);
    return out;
  }

 private:
  char take() {
    if (rest_.empty()) fault("a format ends within a '%'");
    const char c = rest_[0];
    rest_.remove_prefix(1);
    return c;
  }

  const Value& next() {
    const size_t given = tuple_ != nullptr ? tuple_->items.size() : 1;
    if (used_ >= given) fault("a format takes more values than the {} given", given);
    return tuple_ != nullptr ? tuple_->items[used_++] : (++used_, values_);
  }

  const Value& named(std::string_view name) {
    const Dict* dict = values_.get_if<Dict>();
    if (dict == nullptr) fault("the format '%({})' needs an object behind '%'", name);
    const Value* found = dict->find(name);
    if (found == nullptr) fault("the format asks for '{}', which the object does not have", name);
    return *found;
  }

  int64_t number() {
    if (rest_.starts_with('*')) {
      rest_.remove_prefix(1);
      return need_int(next(), "a width in a format");
    }
    int64_t out = 0;
    for (; !rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9'; rest_.remove_prefix(1))
      out = std::min<int64_t>(out * 10 + (rest_[0] - '0'), INT32_MAX);
    return out;
  }

  void flags(FormatSpec& spec) {
    spec.align = '>';
    for (; !rest_.empty(); rest_.remove_prefix(1)) {
      const char c = rest_[0];
      if (c == '-')
        spec.align = '<';
      else if (c == '+')
        spec.sign = '+';
      else if (c == ' ')
        spec.sign = spec.sign == 0 ? ' ' : spec.sign;
      else if (c == '#')
        spec.alternate = true;
      else if (c == '0')
        zero_ = true;
      else
        break;
    }
  }

  std::string field() {
    FormatSpec spec;
    const Value* value = nullptr;
    zero_ = false;
    if (rest_.starts_with('(')) {
      const size_t end = rest_.find(')');
      if (end == std::string_view::npos) fault("a '(' in a format is not closed");
      value = &named(rest_.substr(1, end - 1));
      rest_.remove_prefix(end + 1);
    }
    flags(spec);
    spec.width = number();
    if (spec.width < 0) {
      spec.width = -spec.width;
      spec.align = '<';
    }
    if (rest_.starts_with('.')) {
      rest_.remove_prefix(1);
      spec.precision = std::max<int64_t>(number(), 0);
    }
    spec.type = take();
    if (spec.type == '%') return "%";
    return converted(value != nullptr ? *value : next(), spec);
  }

  std::string converted(const Value& value, FormatSpec spec) {
    switch (spec.type) {
      case 's':
      case 'r':
        return converted_text(value, spec);
      case 'c':
        return converted_text(value.is_int() ? character(value) : value, spec);
      case 'd':
      case 'i':
      case 'u':
        spec.type = 'd';
        break;
      case 'x':
      case 'X':
      case 'o':
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        break;
      default:
        fault("'%{}' is not a format", spec.type);
    }
    if (!value.is_number())
      fault("'%{}' needs a number, and this is a value of type {}", spec.type, type_name(value));
    if (zero_ && spec.align != '<') {
      spec.align = '=';
      spec.fill = '0';
    }
    const bool whole = spec.type == 'd';
    return formatted(heap_, whole && value.is_float() ? Value(truncated(value.number())) : value,
                     spec);
  }

  std::string converted_text(const Value& value, FormatSpec spec) {
    std::string text = spec.type == 'r' ? to_repr(heap_, value) : to_text(heap_, value);
    if (safe_ && !value.is_safe_text()) text = escaped(text);
    spec.type = 's';
    return formatted(heap_, heap_.text(std::move(text)), spec);
  }

  Value character(const Value& value) {
    const Int c = value.integer();
    if (c < 0 || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
      fault("{} is no character", int_text(c));
    return heap_.text(text_of({static_cast<char32_t>(c)}));
  }

  Heap& heap_;
  const bool safe_;
  std::string_view rest_;
  const Value& values_;
  const Sequence* tuple_ = nullptr;
  size_t used_ = 0;
  bool zero_ = false;
};

}  // namespace

std::string percent_format(Heap& heap, const Value& format, const Value& values) {
  return PercentFormat(heap, format, values).run();
}

}  // namespace lathe::jinja
