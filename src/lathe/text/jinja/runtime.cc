#include "lathe/text/jinja/runtime.h"

#include <algorithm>

namespace lathe::jinja {
namespace {

struct ParameterName {
  std::string_view name;
  bool may_be_left_out;
};

std::vector<ParameterName> names_in(std::string_view parameters) {
  std::vector<ParameterName> names;
  while (!parameters.empty()) {
    const size_t end = std::min(parameters.find(' '), parameters.size());
    std::string_view word = parameters.substr(0, end);
    parameters.remove_prefix(std::min(end + 1, parameters.size()));
    const bool optional = word.ends_with('?');
    if (optional) word.remove_suffix(1);
    names.push_back({word, optional});
  }
  return names;
}

std::vector<const Value*> bind(const Builtin& builtin, const CallArguments& arguments) {
  if (builtin.parameters == "*") return {};
  const std::vector<ParameterName> names = names_in(builtin.parameters);
  if (arguments.positional.size() > names.size())
    fault("'{}' takes {} arguments at most, got {}", builtin.name, names.size(),
          arguments.positional.size());
  std::vector<const Value*> bound(names.size(), nullptr);
  for (size_t i = 0; i < arguments.positional.size(); ++i) bound[i] = &arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    const auto found = std::ranges::find(names, std::string_view(name), &ParameterName::name);
    if (found == names.end()) fault("'{}' has no parameter '{}'", builtin.name, name);
    const Value*& place = bound[static_cast<size_t>(found - names.begin())];
    if (place != nullptr) fault("'{}' got its parameter '{}' twice", builtin.name, name);
    place = &value;
  }
  for (size_t i = 0; i < names.size(); ++i)
    if (bound[i] == nullptr && !names[i].may_be_left_out)
      fault("'{}' needs its parameter '{}'", builtin.name, names[i].name);
  return bound;
}

}  // namespace

Value invoke(Runtime& runtime, const Builtin& builtin, const Value& self, CallArguments arguments) {
  runtime.heap().step();
  Invocation call{runtime, runtime.heap(), self, arguments, bind(builtin, arguments)};
  return builtin.call(call);
}

}  // namespace lathe::jinja
