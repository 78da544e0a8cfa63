#include "lathe/text/jinja/template.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/text/jinja/characters.h"
#include "lathe/text/jinja/evaluator.h"
#include "lathe/text/jinja/json_values.h"
#include "lathe/text/jinja/lexer.h"
#include "lathe/text/jinja/parser.h"

namespace lathe::jinja {
namespace {

using Json = nlohmann::ordered_json;

std::tm local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm out{};
  localtime_r(&now, &out);
  return out;
}

// A span in bytes of one in characters; what lies behind the end is left out.
TextSpan in_bytes(std::string_view text, const CharacterSpan& span) {
  const size_t begin = byte_of(text, span.begin);
  return {begin, begin + byte_of(text.substr(begin), span.end - span.begin)};
}

bool is_definition(const Statement& statement) {
  return std::holds_alternative<MacroOf>(statement.node) ||
         std::holds_alternative<Set>(statement.node);
}

}  // namespace

struct Template::Parsed {
  std::string name, source;
  ParsedTemplate tree;

  // Runs `work` on an evaluator that has the variables; what goes wrong gets its place.
  template <class Work>
  auto with_evaluator(const Json& variables, const RenderOptions& options, Work&& work) const {
    Heap heap(options.limits);
    Evaluator evaluator(heap, options.undefined == OnUndefined::kError,
                        options.now ? options.now : local_time);
    try {
      const Value given = from_json(heap, variables);
      const Dict* dict = given.get_if<Dict>();
      if (dict == nullptr)
        fault("expected an object of variables, got a value of type {}", variables.type_name());
      for (const auto& [key, value] : dict->entries) evaluator.set_variable(key.text(), value);
      return work(heap, evaluator);
    } catch (const Fault& f) {
      fail(ErrorKind::kData, name, "{}: {}", place_in(source, evaluator.at()), f.message);
    }
  }
};

Template::Template(std::unique_ptr<const Parsed> parsed) : parsed_(std::move(parsed)) {}
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;
Template::~Template() = default;

const std::string& Template::source() const { return parsed_->source; }
bool Template::only_defines() const {
  return std::ranges::all_of(parsed_->tree.body, is_definition);
}
bool Template::has_generations() const { return parsed_->tree.has_generations; }

Template Template::parse(std::string_view source, std::string_view name) {
  require(source.size() <= kMaxSource, ErrorKind::kFormat, name,
          "the template has {} bytes, expected at most {}", source.size(), kMaxSource);
  require(is_valid_utf8(source), ErrorKind::kFormat, name, "the template is not valid UTF-8");
  auto parsed = std::make_unique<Parsed>();
  parsed->name = name;
  parsed->source = with_unix_line_breaks(source);
  try {
    parsed->tree = parse_template(parsed->source);
  } catch (const SyntaxFault& f) {
    fail(ErrorKind::kFormat, name, "{}: {}", place_in(parsed->source, f.at), f.message);
  }
  return Template(std::move(parsed));
}

Rendered Template::render(const Json& variables, const RenderOptions& options) const {
  return parsed_->with_evaluator(variables, options, [&](Heap&, Evaluator& evaluator) {
    Rendered out;
    out.text = evaluator.run(parsed_->tree.body);
    for (const CharacterSpan& span : evaluator.generations())
      out.generations.push_back(in_bytes(out.text, span));
    return out;
  });
}

Json Template::evaluate(const Json& variables, const RenderOptions& options) const {
  const Body& body = parsed_->tree.body;
  const Print* printed = body.empty() ? nullptr : std::get_if<Print>(&body.back().node);
  if (printed == nullptr || !std::all_of(body.begin(), body.end() - 1, is_definition))
    return render(variables, options).text;
  return parsed_->with_evaluator(variables, options, [&](Heap& heap, Evaluator& evaluator) {
    evaluator.run(std::span(body).first(body.size() - 1));
    const Value value = evaluator.evaluate(*printed->value);
    if (value.is_undefined() && options.undefined == OnUndefined::kEmpty) return Json("");
    if (const Undefined* u = value.get_if<Undefined>()) fault("{}", *u->why);
    return to_json(heap, value);
  });
}

}  // namespace lathe::jinja
