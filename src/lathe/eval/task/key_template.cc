#include "lathe/eval/task/key_template.h"

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

// The comment keeps blanks at the beginning of a template from macros that remove what follows them.
std::string after_macros(const std::string& macros, const std::string& source) {
  return macros.empty() ? source : macros + "{# +#}" + source;
}

const jinja::RenderOptions kStrict{.undefined = jinja::OnUndefined::kError};

template <class F>
auto at(const char* key, const std::string& place, F&& f) {
  try {
    return f();
  } catch (const Error& error) {
    fail(ErrorKind::kData, place, "{}: {}", key, error.what());
  }
}

}  // namespace

KeyTemplate::KeyTemplate(const TaskConfig& config, const char* key, const std::string& source)
    : key_(key),
      end_(source.ends_with('\n') ? "\n" : ""),
      template_(jinja::Template::parse(after_macros(config.macros, source),
                                       fmt::format("{}: {}", config.file.string(), key))) {}

jinja::Rendered KeyTemplate::rendered(const Json& fields, const std::string& place) const {
  return at(key_, place, [&] {
    jinja::Rendered rendered = template_.render(fields, kStrict);
    rendered.text += end_;
    return rendered;
  });
}

Json KeyTemplate::value(const Json& fields, const std::string& place) const {
  return at(key_, place, [&] { return template_.evaluate(fields, kStrict); });
}

}  // namespace lathe
