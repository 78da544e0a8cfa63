// The values of templates: those of JSON as Python has them, and what templates add: undefined,
// functions, macros, namespaces and loops.
//
// Texts are shared and never change. All else that needs memory is an Object of the Heap of one
// rendering, which frees everything at its end: templates may build values that hold themselves.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "lathe/base/error.h"
#include "lathe/text/jinja/limits.h"

namespace lathe::jinja {

// Python's integers have no end; more than these 128 bits are refused.
__extension__ typedef __int128 Int;

// What went wrong, without a place: the evaluator knows where it is and adds it.
struct Fault {
  std::string message;
};
template <class... Args>
[[noreturn]] void fault(fmt::format_string<Args...> format, Args&&... args) {
  throw Fault{fmt::format(format, std::forward<Args>(args)...)};
}

struct Undefined {
  std::shared_ptr<const std::string> why;  // "'x' is undefined"
};
struct None {};

struct TextData {
  std::string bytes;  // valid UTF-8
  bool ascii;
  bool safe;  // markup: what is joined with it by `+` or `%` is escaped
};
using Text = std::shared_ptr<const TextData>;

enum class ObjectKind { kSequence, kDict, kRange, kNamespace, kLoop, kFunction, kMacro, kCycler };

struct Object {
  explicit Object(ObjectKind k) : kind(k) {}
  virtual ~Object() = default;
  const ObjectKind kind;
};

class Value {
 public:
  Value() : data_(None()) {}
  Value(Undefined v) : data_(std::move(v)) {}
  Value(None) : data_(None()) {}
  Value(bool v) : data_(v) {}
  Value(Int v) : data_(v) {}
  Value(int v) : data_(static_cast<Int>(v)) {}
  Value(int64_t v) : data_(static_cast<Int>(v)) {}
  Value(size_t v) : data_(static_cast<Int>(v)) {}
  Value(double v) : data_(v) {}
  Value(Text v) : data_(std::move(v)) {}
  template <class T>
  requires std::is_base_of_v<Object, T> Value(T* v) : data_(static_cast<Object*>(v)) {}
  Value(const void*) = delete;  // a pointer that is no Object would be a truth value

  template <class T>
  const T* get_if() const {
    if constexpr (std::is_base_of_v<Object, T>) {
      Object* const* object = std::get_if<Object*>(&data_);
      return object != nullptr && (*object)->kind == T::kKind ? static_cast<T*>(*object) : nullptr;
    } else {
      return std::get_if<T>(&data_);
    }
  }
  // The object itself, to change what changes: namespaces, cyclers, the place in a generator.
  template <class T>
  T* object() const {
    return const_cast<T*>(get_if<T>());
  }

  bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  bool is_none() const { return std::holds_alternative<None>(data_); }
  bool is_bool() const { return std::holds_alternative<bool>(data_); }
  bool is_float() const { return std::holds_alternative<double>(data_); }
  bool is_text() const { return std::holds_alternative<Text>(data_); }
  bool is_object() const { return std::holds_alternative<Object*>(data_); }
  // Truth values are integers, as in Python.
  bool is_int() const { return std::holds_alternative<Int>(data_) || is_bool(); }
  bool is_number() const { return is_int() || is_float(); }

  // Require the kind.
  std::string_view text() const { return std::get<Text>(data_)->bytes; }
  const TextData& text_data() const { return *std::get<Text>(data_); }
  Int integer() const { return is_bool() ? Int{std::get<bool>(data_)} : std::get<Int>(data_); }
  double number() const {
    return is_float() ? std::get<double>(data_) : static_cast<double>(integer());
  }
  bool is_safe_text() const { return is_text() && text_data().safe; }

  bool is_same_object(const Value& other) const;

 private:
  std::variant<None, Undefined, bool, Int, double, Text, Object*> data_;
};

// Lists, tuples, what dict.items() and its kin give, and what filters such as `map` give: these can
// be gone through once.
enum class SequenceForm { kList, kTuple, kKeys, kValues, kItems, kGenerator };
struct Sequence : Object {
  static constexpr ObjectKind kKind = ObjectKind::kSequence;
  Sequence(SequenceForm f, std::vector<Value> v) : Object(kKind), form(f), items(std::move(v)) {}
  bool is_list() const { return form == SequenceForm::kList; }
  bool is_tuple() const { return form == SequenceForm::kTuple; }
  bool has_index() const { return is_list() || is_tuple(); }
  bool is_generator() const { return form == SequenceForm::kGenerator; }
  const SequenceForm form;
  const std::vector<Value> items;
  size_t taken = 0;       // of a generator
  bool is_group = false;  // of `groupby`: (grouper, list)
};

// In the order of insertion. Keys are texts, numbers, none, and tuples of these.
struct Dict : Object {
  static constexpr ObjectKind kKind = ObjectKind::kDict;
  Dict() : Object(kKind) {}
  const Value* find(const Value& key) const;  // faults for a key that cannot be one
  const Value* find(std::string_view key) const;
  void set(const Value& key, Value value);
  std::vector<std::pair<Value, Value>> entries;

 private:
  std::unordered_map<std::string, size_t> index_;
};

struct Range : Object {
  static constexpr ObjectKind kKind = ObjectKind::kRange;
  Range(Int b, Int e, Int s) : Object(kKind), begin(b), end(e), step(s) {}
  Int count() const;
  Value at(Int i) const { return begin + i * step; }
  const Int begin, end, step;
};

struct Namespace : Object {
  static constexpr ObjectKind kKind = ObjectKind::kNamespace;
  Namespace() : Object(kKind) {}
  Dict attributes;
};

class Runtime;
struct Invocation;
// A function of the table, alone (`range`) or as a method of `self` (`text.split`).
struct Builtin {
  std::string_view name;
  // Names of the parameters, those with `?` may be left out. "*" takes any; the function looks at
  // the arguments itself.
  std::string_view parameters;
  Value (*call)(Invocation&);
};

struct Function : Object {
  static constexpr ObjectKind kKind = ObjectKind::kFunction;
  Function(const Builtin& b, Value s) : Object(kKind), builtin(b), self(std::move(s)) {}
  const Builtin& builtin;
  const Value self;
};

struct Cycler : Object {
  static constexpr ObjectKind kKind = ObjectKind::kCycler;
  explicit Cycler(std::vector<Value> v) : Object(kKind), items(std::move(v)) {}
  const std::vector<Value> items;
  size_t at = 0;
};

// Makes values, and counts what they cost. Every function that makes something may fault when a
// limit is reached.
class Heap {
 public:
  explicit Heap(const Limits& limits) : limits_(limits) {}

  void step(int64_t n = 1);
  void charge(size_t bytes);

  template <class T, class... Args>
  T* make(Args&&... args) {
    charge(sizeof(T));
    auto made = std::make_unique<T>(std::forward<Args>(args)...);
    T* object = made.get();
    objects_.push_back(std::move(made));
    return object;
  }
  Value text(std::string bytes, bool safe = false);
  Value list(std::vector<Value> items) { return sequence(SequenceForm::kList, std::move(items)); }
  Value tuple(std::vector<Value> items) { return sequence(SequenceForm::kTuple, std::move(items)); }
  Value generator(std::vector<Value> items) {
    return sequence(SequenceForm::kGenerator, std::move(items));
  }
  Value sequence(SequenceForm form, std::vector<Value> items);
  Dict* dict() { return make<Dict>(); }
  Value undefined(std::string why) const;

  // A text of this size would be too much: checked before it is made.
  void require_room(size_t bytes) const;
  const Limits& limits() const { return limits_; }

 private:
  const Limits limits_;
  int64_t steps_ = 0;
  size_t bytes_ = 0;
  std::vector<std::unique_ptr<Object>> objects_;
};

// "str", "int", "NoneType": Python's names of types, which users of Jinja know from its messages.
std::string_view type_name(const Value& value);
bool is_true(const Value& value);
bool equal(Heap& heap, const Value& a, const Value& b, int depth = 0);
// Negative, zero or positive; faults for what has no order.
int compare(Heap& heap, const Value& a, const Value& b, int depth = 0);
// What `for` goes through, in a vector. Faults for what has no elements.
std::vector<Value> elements(Heap& heap, const Value& value);
bool is_iterable(const Value& value);
// Number of elements or characters; faults for what has none.
Int length(const Value& value);
// As Python's str() and repr().
std::string to_text(Heap& heap, const Value& value);
std::string to_repr(Heap& heap, const Value& value, int depth = 0);
std::string float_text(double value);
std::string int_text(Int value);
// The value as `text`, keeping the mark of markup.
Value as_text(Heap& heap, const Value& value);
// The integer that an argument is; faults, naming `what`, for anything else.
int64_t need_int(const Value& value, std::string_view what);
std::string_view need_text(const Value& value, std::string_view what);

}  // namespace lathe::jinja
