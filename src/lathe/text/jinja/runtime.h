// What filters, tests, methods and functions may use of the rendering that they are called in.
#pragma once

#include <ctime>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "lathe/text/jinja/value.h"

namespace lathe::jinja {

struct CallArguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

class Runtime {
 public:
  virtual ~Runtime() = default;
  virtual Heap& heap() = 0;
  virtual Value call(const Value& callee, CallArguments arguments) = 0;
  virtual std::tm now() const = 0;
};

// One call of a builtin. The places are those of Builtin::parameters.
struct Invocation {
  Runtime& runtime;
  Heap& heap;
  const Value& self;  // what a filter or test is applied to, whose method it is; none for functions
  CallArguments& arguments;
  std::vector<const Value*> bound;

  bool has(size_t i) const { return bound[i] != nullptr; }
  const Value& at(size_t i) const { return *bound[i]; }
  std::string_view text(size_t i, std::string_view what) const { return need_text(at(i), what); }
  int64_t integer(size_t i, int64_t fallback, std::string_view what) const {
    return has(i) ? need_int(at(i), what) : fallback;
  }
  bool truth(size_t i, bool fallback) const { return has(i) ? is_true(at(i)) : fallback; }
};

// Binds the arguments to the parameters and calls. Faults for arguments that do not fit.
Value invoke(Runtime& runtime, const Builtin& builtin, const Value& self, CallArguments arguments);

}  // namespace lathe::jinja
