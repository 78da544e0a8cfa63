// Strict JSON through nlohmann's SAX interface. The library's own tree builder keeps the last of
// two equal keys and looks up every key of an ordered object linearly; here duplicates are refused
// with a hash set per open object, which also keeps parsing linear.

#include "lathe/config/json_text.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <unordered_set>

#include "lathe/base/error.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

std::string position_of(std::string_view text, size_t byte, size_t first_line) {
  size_t line = first_line, column = 1;
  for (size_t i = 0; i < std::min(byte, text.size()); ++i) {
    if (text[i] == '\n') {
      ++line;
      column = 1;
    } else {
      ++column;
    }
  }
  return fmt::format("{}:{}", line, column);
}

class Builder : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(const JsonLimits& limits) : limits_(limits) {}

  Json root;
  std::string problem;      // set when a callback or the parser stopped
  size_t problem_byte = 0;  // 0: unknown

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return stop("binary values are not JSON"); }

  bool start_object(std::size_t) override {
    keys_.emplace_back();
    return open(Json::object());
  }
  bool key(string_t& name) override {
    if (!keys_.back().insert(name).second)
      return stop(fmt::format("key \"{}\" is given twice", name));
    next_key_ = std::move(name);
    return true;
  }
  bool end_object() override {
    keys_.pop_back();
    stack_.pop_back();
    return true;
  }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_array() override {
    stack_.pop_back();
    return true;
  }
  bool parse_error(std::size_t byte, const std::string& token,
                   const nlohmann::detail::exception& e) override {
    problem_byte = byte;
    // The library's text repeats the position and its own error number; what matters follows ": ".
    const std::string what = e.what();
    const size_t at = what.find(": ");
    problem = at == std::string::npos ? what : what.substr(at + 2);
    if (problem.empty()) problem = "unexpected '" + token + "'";
    return false;
  }

 private:
  bool stop(std::string text) {
    problem = std::move(text);
    return false;
  }
  Json* place(Json&& value) {
    if (stack_.empty()) {
      root = std::move(value);
      return &root;
    }
    Json& parent = *stack_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    // emplace() of ordered_map searches for the key; it is known to be new.
    auto& object = parent.get_ref<Json::object_t&>();
    static_cast<Json::object_t::Container&>(object).emplace_back(std::move(next_key_),
                                                                 std::move(value));
    return &object.back().second;
  }
  template <class T>
  bool add(T&& value) {
    if (++count_ > limits_.values) return stop(fmt::format("more than {} values", limits_.values));
    place(Json(std::forward<T>(value)));
    return true;
  }
  bool open(Json&& value) {
    if (++count_ > limits_.values) return stop(fmt::format("more than {} values", limits_.values));
    if (stack_.size() >= limits_.depth)
      return stop(fmt::format("nested deeper than {} levels", limits_.depth));
    stack_.push_back(place(std::move(value)));
    return true;
  }

  const JsonLimits& limits_;
  std::vector<Json*>
      stack_;  // open arrays and objects; a parent does not grow while a child is open
  std::vector<std::unordered_set<std::string>> keys_;
  std::string next_key_;
  size_t count_ = 0;
};

}  // namespace

Json parse_json(std::string_view text, std::string_view name, const JsonLimits& limits) {
  Builder builder(limits);
  if (Json::sax_parse(text.begin(), text.end(), &builder)) return std::move(builder.root);
  std::string position;
  if (builder.problem_byte > 0)
    position = position_of(text, builder.problem_byte - 1, limits.first_line);
  else if (limits.first_line > 1)  // one text of several in a file; which line of it is not known
    position = fmt::format("{}", limits.first_line);
  fail(limits.error_kind,
       position.empty() ? std::string(name) : fmt::format("{}:{}", name, position),
       "not valid JSON: {}", builder.problem);
}

}  // namespace lathe
