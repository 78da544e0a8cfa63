// Jinja templates, as `transformers` renders chat templates: its sandbox with trim_blocks,
// lstrip_blocks, the loop controls, its `tojson`, `raise_exception`, `strftime_now` and
// {% generation %}. The text is the same, byte for byte, wherever both render one.
//
//   const auto t = jinja::Template::parse("{% for m in messages %}{{ m.role }} {% endfor %}", "x");
//   t.render({{"messages", {{{"role", "user"}}}}}).text    // "user "
//
// A template sees the variables given, the filters, tests and methods of the catalogues
// (filters.h, tests.h, methods.h) and nothing of the machine but the clock. It cannot change the
// variables, nor read other templates (include, import, extends are refused), and ends within its
// limits. Templates are immutable; const functions are thread-safe.
//
// Language: https://jinja.palletsprojects.com/templates. What the whole of Python's and Jinja's
// library does beyond that is refused by name.
#pragma once

#include <ctime>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/text/jinja/limits.h"

namespace lathe::jinja {

enum class OnUndefined {
  kEmpty,  // an undefined variable is printed as nothing and is false, as in `transformers`
  kError,  // whatever is done with it but `is defined` and `default` is an error
};

struct RenderOptions {
  OnUndefined undefined = OnUndefined::kEmpty;
  Limits limits = {};
  std::function<std::tm()> now = {};  // for strftime_now; the local time by default
};

// Bytes [begin, end) of a text.
struct TextSpan {
  size_t begin = 0, end = 0;
};

struct Rendered {
  std::string text;
  std::vector<TextSpan> generations;  // what stands in {% generation %} blocks, in order
};

class Template {
 public:
  // `name` names it in errors. Throws kFormat for what is not a template, with its line and column.
  static Template parse(std::string_view source, std::string_view name);
  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;
  ~Template();

  // `variables` is an object. Throws kData, with line and column, for what the template cannot do,
  // for what it refuses itself (raise_exception), and at a limit.
  Rendered render(const nlohmann::ordered_json& variables, const RenderOptions& options = {}) const;
  // The value of a template that is one {{ … }}, with nothing but {% macro %} and {% set name = … %} before it; the text
  // of any other. Throws kData as above, and for a value that JSON does not have.
  nlohmann::ordered_json evaluate(const nlohmann::ordered_json& variables,
                                  const RenderOptions& options = {}) const;

  const std::string& source() const;
  bool only_defines()
      const;  // nothing but {% macro %} and {% set name = … %}, so that it writes nothing
  bool has_generations() const;  // whether a {% generation %} stands in it

 private:
  struct Parsed;
  explicit Template(std::unique_ptr<const Parsed> parsed);
  std::unique_ptr<const Parsed> parsed_;
};

}  // namespace lathe::jinja
