// A configuration struct lists its fields once, in visit(); file keys, command-line options, help,
// documentation, checkpoint headers and the errors for wrong keys all follow from that list.
//
//   struct ScheduleConfig {
//     std::string name = "cosine";
//     int64_t warmup_steps = 0;
//     std::optional<double> min_lr;
//     NormConfig norm;
//
//     void visit(Visitor& v);
//   };
//   void ScheduleConfig::visit(Visitor& v) {
//     v.choice("name", name, {"cosine", "linear"}, "shape of the schedule");
//     v.field("warmup_steps", warmup_steps, "steps of linear warm-up", at_least(0));
//     v.field("min_lr", min_lr, "lowest learning rate", above(0));
//     v.group("norm", norm, "normalisation");  // keys norm.kind, norm.eps, …
//   }
//
// A struct in a header has its visit() in the .cc, so that the header contains no help texts; a
// struct that is local to a .cc has it in its body.
//
// A field is bool, int64_t, double or std::string, a std::vector or a std::optional of one of
// these, or a std::map from integers to numbers (in a file a table whose keys are the integers,
// {"7" = 1.5}; on a command line 7=1.5, once for each). A struct whose keys should appear without a prefix is visited in place: `other.visit(v)`.
// Visitors are virtual, so each is compiled once and this header stays light.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace lathe {

// What a change of a recipe's key means when a run is continued (train/resume.h).
enum class OnResume : uint8_t {
  kFree,       // no bit of the rest of the run depends on it
  kContinues,  // the same, as long as the learning rates of the steps taken do not change
  kBranch,     // the rest of the run becomes another one: accepted when asked for, and recorded
  kAnother,    // another model or another state of the optimiser: refused
};

// The values that a field accepts, and what a change of it means. For a list or map the bounds
// apply to every element.
struct Limits {
  std::optional<double> minimum, maximum;
  bool exclusive_minimum = false, exclusive_maximum = false;
  bool is_required = false;
  std::optional<OnResume> on_resume = {};  // default: Visitor::on_resume()

  Limits required() const {
    Limits copy = *this;
    copy.is_required = true;
    return copy;
  }
  Limits when_resumed(OnResume change) const {
    Limits copy = *this;
    copy.on_resume = change;
    return copy;
  }
};

inline Limits at_least(double minimum) { return {.minimum = minimum, .maximum = {}}; }
inline Limits above(double minimum) {
  return {.minimum = minimum, .maximum = {}, .exclusive_minimum = true};
}
inline Limits below(double maximum) {
  return {.minimum = {}, .maximum = maximum, .exclusive_maximum = true};
}
inline Limits between(double minimum, double maximum) {
  return {.minimum = minimum, .maximum = maximum};
}
// The key must be given; a struct without it is refused.
inline Limits required() { return Limits{}.required(); }
// Any value; a change means `change` when a run is continued.
inline Limits when_resumed(OnResume change) { return Limits{}.when_resumed(change); }

using FieldRef =
    std::variant<bool*, int64_t*, double*, std::string*, std::vector<bool>*, std::vector<int64_t>*,
                 std::vector<double>*, std::vector<std::string>*, std::optional<bool>*,
                 std::optional<int64_t>*, std::optional<double>*, std::optional<std::string>*,
                 std::map<int64_t, double>*>;

struct FieldSpec {
  std::string_view name;
  FieldRef value;
  std::string_view help;
  Limits limits;
  std::vector<std::string> choices;  // empty: any value
  bool positional = false;           // on a command line: given without its name
  OnResume on_resume = OnResume::kAnother;
};

class Visitor {
 public:
  virtual ~Visitor() = default;

  template <class T>
  void field(std::string_view name, T& value, std::string_view help, Limits limits = {}) {
    add({name, FieldRef(&value), help, limits, {}, false});
  }

  // A string, or an optional or list of strings, restricted to the given names.
  template <class T>
  void choice(std::string_view name, T& value, std::initializer_list<std::string_view> names,
              std::string_view help, Limits limits = {}) {
    add({name, FieldRef(&value), help, limits, {names.begin(), names.end()}, false});
  }
  template <class T, class Names>
  void choice(std::string_view name, T& value, const Names& names, std::string_view help,
              Limits limits = {}) {
    std::vector<std::string> list;
    for (const auto& n : names) list.emplace_back(n);
    add({name, FieldRef(&value), help, limits, std::move(list), false});
  }

  // An argument of a command that is given by position. A std::string is required, a std::optional
  // may be left out, a std::vector takes one or more (`limits` without required(): zero or more).
  template <class T>
  void positional(std::string_view name, T& value, std::string_view help,
                  Limits limits = lathe::required()) {
    add({name, FieldRef(&value), help, limits, {}, true});
  }

  // As positional(), restricted to the given names.
  template <class T>
  void positional_choice(std::string_view name, T& value,
                         std::initializer_list<std::string_view> names, std::string_view help,
                         Limits limits = lathe::required()) {
    add({name, FieldRef(&value), help, limits, {names.begin(), names.end()}, true});
  }

  template <class S>
  void group(std::string_view name, S& value, std::string_view help) {
    begin_group(name, help);
    value.visit(*this);
    end_group();
  }

  // What a change of the following fields means, including groups, unless they specify it
  // themselves.
  void on_resume(OnResume change) { on_resume_ = change; }

 protected:
  virtual void on_field(const FieldSpec& field) = 0;
  virtual void begin_group(std::string_view name, std::string_view help) = 0;
  virtual void end_group() = 0;

 private:
  void add(FieldSpec field) {
    field.on_resume = field.limits.on_resume.value_or(on_resume_);
    on_field(field);
  }

  OnResume on_resume_ = OnResume::kAnother;
};

// Any struct with a visit(), by reference; a temporary lives to the end of the full expression.
// From a const struct only visitors that do not write may be used; the functions of config.h keep
// to that.
class ConfigRef {
 public:
  template <class S, class T = std::remove_cv_t<std::remove_reference_t<S>>,
            std::enable_if_t<!std::is_same_v<T, ConfigRef>, int> = 0>
  ConfigRef(S&& config)  // NOLINT(google-explicit-constructor): a parameter type
      : object_(const_cast<T*>(&config)),
        visit_([](void* object, Visitor& v) { static_cast<T*>(object)->visit(v); }) {}
  void visit(Visitor& v) const { visit_(object_, v); }

 private:
  void* object_;
  void (*visit_)(void*, Visitor&);
};

}  // namespace lathe
