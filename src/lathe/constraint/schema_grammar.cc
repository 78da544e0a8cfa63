#include "lathe/constraint/schema_grammar.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/constraint/grammar_builder.h"
#include "lathe/constraint/json_forms.h"
#include "lathe/constraint/regex_grammar.h"
#include "lathe/constraint/schema_shape.h"
#include "lathe/constraint/string_formats.h"

namespace lathe::constraint {
namespace {

constexpr size_t kMaxRules = 20'000;
constexpr size_t kMaxSchemaText = 1 << 20;

class SchemaCompiler {
 public:
  SchemaCompiler(GrammarBuilder& builder, const SchemaJson& schema, const SchemaOptions& options)
      : b_(builder), reader_(schema), forms_(b_, options) {}

  ExprId run() {
    const ExprId whole = use(reader_.root());
    while (!todo_.empty()) {
      const auto [rule, schemas] = std::move(todo_.back());
      todo_.pop_back();
      b_.define(rule, value(schemas));
    }
    return whole;
  }

 private:
  using Key = std::vector<const SchemaJson*>;

  // A rule for each set of schemas that apply at a place, so that references may lead back.
  RuleId rule_for(const SchemaPlaces& schemas) {
    Key key;
    for (const SchemaPlace& place : schemas) key.push_back(place.json);
    std::ranges::sort(key);
    const auto [known, added] = rules_.try_emplace(std::move(key), 0);
    if (added) {
      require(rules_.size() <= kMaxRules, ErrorKind::kConfig, "JSON schema",
              "has more than {} places; make it smaller", kMaxRules);
      known->second = b_.declare(schemas.empty() ? "any value" : schemas[0].pointer);
      todo_.emplace_back(known->second, schemas);
    }
    return known->second;
  }
  ExprId use(const SchemaPlaces& schemas) { return b_.use(rule_for(schemas)); }

  [[noreturn]] static void contradiction(const std::string& pointer) {
    fail(ErrorKind::kConfig, "JSON schema",
         "at {}: no value can meet this: its keywords contradict each other", pointer);
  }

  static bool is_false(const SchemaPlaces& schemas) {
    return std::ranges::any_of(schemas, [](const SchemaPlace& p) { return *p.json == false; });
  }

  ExprId value(const SchemaPlaces& schemas) {
    std::vector<ExprId> ways;
    for (const Shape& shape : reader_.shapes_of(schemas)) add_shape(shape, ways);
    if (ways.empty()) contradiction(schemas.empty() ? "#" : schemas[0].pointer);
    return b_.choice(std::move(ways));
  }

  void add_shape(const Shape& shape, std::vector<ExprId>& ways) {
    if (shape.values) {
      std::vector<std::string> texts;  // of values with one form
      for (const SchemaJson& v : *shape.values) {
        if (!reader_.fits(v, shape)) continue;
        if (const auto text = JsonForms::only_text(v))
          texts.push_back(*text);
        else
          ways.push_back(forms_.value(v));
      }
      if (!texts.empty()) ways.push_back(b_.one_of_texts(std::move(texts)));
      return;
    }
    if (shape.types & kNull) ways.push_back(b_.text("null"));
    if (shape.types & kBoolean) ways.push_back(b_.choice({b_.text("true"), b_.text("false")}));
    add_numbers(shape, ways);
    if (shape.types & kString) add_string(shape, ways);
    if (shape.types & kArray) add_array(shape, ways);
    if (shape.types & kObject) add_object(shape, ways);
  }

  void add_numbers(const Shape& shape, std::vector<ExprId>& ways) {
    const NumberRange& r = shape.range;
    const bool bounded = r.low || r.high || r.decimals;
    if (r.low && r.high &&
        (r.low->value > r.high->value ||
         (r.low->value == r.high->value && (r.low->exclusive || r.high->exclusive))))
      return;
    if (shape.types & kFraction) {
      ways.push_back(bounded ? numbers_between(b_, r) : forms_.number());
    } else if (shape.types & kInteger) {
      if (!has_integers(r)) return;
      ways.push_back(r.low || r.high ? integers_between(b_, r) : forms_.integer());
    }
  }

  void add_string(const Shape& shape, std::vector<ExprId>& ways) {
    const std::string* format = shape.format.empty() ? nullptr : find_string_format(shape.format);
    std::vector<std::string> expressions = shape.patterns;
    if (format != nullptr && !format->empty()) expressions.push_back("^(?:" + *format + ")$");
    if (shape.min_length > shape.max_length) return;
    if (expressions.empty()) {
      ways.push_back(forms_.string(shape.min_length, shape.max_length));
      return;
    }
    if (expressions.size() > 1)
      fail(ErrorKind::kConfig, "JSON schema",
           "at {}: only one `pattern` or `format` can be asked for at one place", shape.pointer);
    ways.push_back(forms_.quoted(searched(shape, expressions[0])));
  }

  // A pattern's texts may be shorter or longer than they all are; anything tighter would cut some off.
  ExprId searched(const Shape& shape, const std::string& expression) {
    const WriteSet write = [&](const CharSet& set) { return forms_.plain_character(set); };
    RegexExpr found{};
    try {
      found = regex_search_expr(b_, expression, write);
    } catch (const Error& e) {
      fail(ErrorKind::kConfig, "JSON schema", "at {}: {}", shape.pointer, e.what());
    }
    const bool longer = shape.max_length != UINT32_MAX && found.longest > shape.max_length;
    if (found.shortest < shape.min_length || longer)
      fail(
          ErrorKind::kConfig, "JSON schema",
          "at {}: beside a `pattern` or `format`, `minLength` and `maxLength` may only say what its "
          "texts keep to (here {} to {} characters); put lengths into the pattern, as in ^[a-z]{{1,8}}$",
          shape.pointer, found.shortest,
          found.longest == UINT64_MAX ? "any number of" : std::to_string(found.longest));
    return found.expr;
  }

  // From the end to the beginning: behind each item that may be the last one, the rest is optional.
  void add_array(const Shape& shape, std::vector<ExprId>& ways) {
    uint32_t most = shape.max_items;
    std::vector<SchemaPlaces> prefix = shape.prefix_items;
    for (uint32_t i = 0; i < prefix.size(); ++i)
      if (is_false(prefix[i])) most = std::min(most, i);
    if (is_false(shape.items)) most = std::min(most, static_cast<uint32_t>(prefix.size()));
    if (shape.min_items > most) return;
    if (prefix.size() > most) prefix.resize(most);
    const auto count = static_cast<uint32_t>(prefix.size());
    const auto left = [&](uint32_t of, uint32_t used) {
      return of == UINT32_MAX ? kUnbounded : of - std::min(of, used);
    };
    ExprId rest = b_.nothing();
    if (most > count) {
      const ExprId item = use(shape.items);
      const ExprId more = b_.sequence({forms_.separator(), item});
      if (count > 0) {
        rest = b_.repeat(more, left(shape.min_items, count), left(most, count));
      } else {
        const uint32_t need = left(shape.min_items, 1);
        rest = b_.sequence({item, b_.repeat(more, need, left(most, 1)), forms_.blanks()});
        if (shape.min_items == 0) rest = b_.optional(rest);
      }
    }
    for (uint32_t i = count; i-- > 0;) {
      const ExprId item = use(prefix[i]);
      rest = i > 0 ? b_.sequence({forms_.separator(), item, rest})
                   : b_.sequence({item, rest, forms_.blanks()});
      if (shape.min_items <= i) rest = b_.optional(rest);
    }
    ways.push_back(b_.sequence({b_.text("["), forms_.blanks(), rest, b_.text("]")}));
  }

  // The properties in order: those listed, then those that are only required. False if one that is
  // required is forbidden.
  bool list_properties(const Shape& shape, std::vector<Shape::Property>& listed,
                       std::vector<std::string>& names) {
    for (const Shape::Property& p : shape.properties) {
      names.push_back(p.name);
      if (!is_false(p.schemas))
        listed.push_back(p);
      else if (shape.requires_property(p.name))
        return false;
    }
    for (const std::string& name : shape.required) {
      if (shape.find(name) != nullptr) continue;
      if (is_false(shape.additional)) return false;
      names.push_back(name);
      listed.push_back({name, shape.additional});
    }
    return true;
  }

  void add_object(const Shape& shape, std::vector<ExprId>& ways) {
    std::vector<Shape::Property> listed;
    std::vector<std::string> names;
    if (!list_properties(shape, listed, names)) return;
    const bool open = !is_false(shape.additional);
    if (shape.min_properties > shape.max_properties || shape.required.size() > shape.max_properties)
      return;
    if (listed.empty() && (shape.min_properties > 1 || shape.max_properties != UINT32_MAX))
      return add_map(shape, names, ways);
    const bool bounded =
        shape.min_properties > std::max<size_t>(1, shape.required.size()) ||
        (shape.max_properties < listed.size() || (open && shape.max_properties != UINT32_MAX));
    if (bounded)
      fail(
          ErrorKind::kConfig, "JSON schema",
          "at {}: `minProperties` and `maxProperties` are not supported beside `properties`; say it "
          "with `required` and `additionalProperties`",
          shape.pointer);
    if (!open && listed.empty() && shape.min_properties > 0) return;
    GrammarBuilder::Ordered order;
    order.separator = forms_.separator();
    order.needs_one = shape.min_properties > 0 && shape.required.empty();
    for (const Shape::Property& p : listed)
      order.items.push_back(
          {b_.sequence({forms_.given_string(p.name), forms_.key_separator(), use(p.schemas)}),
           !shape.requires_property(p.name)});
    order.has_more = open;
    if (open) order.more = other_pair(shape, names);
    const ExprId inside = b_.ordered(std::move(order));
    ways.push_back(
        b_.sequence({b_.text("{"), forms_.blanks(), inside, forms_.blanks(), b_.text("}")}));
  }

  ExprId other_pair(const Shape& shape, const std::vector<std::string>& names) {
    return b_.sequence({forms_.other_key(names), forms_.key_separator(), use(shape.additional)});
  }

  // Keys that are not named in the schema: only their number is. One that comes twice counts once, so
  // a minimum above one cannot be promised.
  void add_map(const Shape& shape, const std::vector<std::string>& names,
               std::vector<ExprId>& ways) {
    if (shape.min_properties > 1)
      fail(ErrorKind::kConfig, "JSON schema",
           "at {}: `minProperties` above 1 is not supported; name the properties in `required`",
           shape.pointer);
    if (is_false(shape.additional)) {
      if (shape.min_properties == 0)
        ways.push_back(b_.sequence({b_.text("{"), forms_.blanks(), b_.text("}")}));
      return;
    }
    ExprId inside = b_.nothing();
    if (shape.max_properties > 0) {
      const ExprId pair = other_pair(shape, names);
      const ExprId more = b_.sequence({forms_.separator(), pair});
      inside = b_.sequence({pair, b_.repeat(more, 0, shape.max_properties - 1), forms_.blanks()});
      if (shape.min_properties == 0) inside = b_.optional(inside);
    }
    ways.push_back(b_.sequence({b_.text("{"), forms_.blanks(), inside, b_.text("}")}));
  }

  GrammarBuilder& b_;
  ShapeReader reader_;
  JsonForms forms_;
  std::map<Key, RuleId> rules_;
  std::vector<std::pair<RuleId, SchemaPlaces>> todo_;
};

}  // namespace

ExprId schema_expr(GrammarBuilder& builder, const SchemaJson& schema,
                   const SchemaOptions& options) {
  require(schema.dump().size() <= kMaxSchemaText, ErrorKind::kConfig, "JSON schema",
          "the schema has more than {} bytes", kMaxSchemaText);
  return SchemaCompiler(builder, schema, options).run();
}

Grammar schema_grammar(const SchemaJson& schema, const SchemaOptions& options) {
  GrammarBuilder builder;
  const RuleId root = builder.declare("the whole");
  builder.define(root, schema_expr(builder, schema, options));
  return builder.build(root);
}

Grammar json_grammar(const SchemaOptions& options) {
  return schema_grammar(SchemaJson(true), options);
}

Grammar json_object_grammar(const SchemaOptions& options) {
  return schema_grammar({{"type", "object"}}, options);
}

}  // namespace lathe::constraint
