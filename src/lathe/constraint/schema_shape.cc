#include "lathe/constraint/schema_shape.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"

namespace lathe::constraint {
namespace {

constexpr size_t kMaxShapes = 256;  // ways that a value at one place may look
constexpr int kMaxDepth = 64;       // schemas that apply to one value within each other
constexpr int kApartDepth = 6;
constexpr size_t kMaxWork =
    20'000'000;  // looks at a keyword, a property or a value: about a second

template <class... Args>
[[noreturn]] void bad(const SchemaPlace& place, fmt::format_string<Args...> format,
                      Args&&... args) {
  fail(ErrorKind::kConfig, "JSON schema", "at {}: {}", place.pointer,
       fmt::format(format, std::forward<Args>(args)...));
}

void add(SchemaPlaces& to, const SchemaPlaces& more) {
  for (const SchemaPlace& place : more) {
    const bool known =
        std::ranges::any_of(to, [&](const SchemaPlace& p) { return p.json == place.json; });
    if (!known && *place.json != true) to.push_back(place);
  }
}

SchemaPlaces joined(const SchemaPlaces& a, const SchemaPlaces& b) {
  SchemaPlaces out;
  add(out, a);
  add(out, b);
  return out;
}

void meet_limit(std::optional<NumberLimit>& limit, const std::optional<NumberLimit>& other,
                bool is_low) {
  if (!other) return;
  if (limit && limit->value == other->value)
    limit->exclusive = limit->exclusive || other->exclusive;
  else if (!limit || (is_low ? other->value > limit->value : other->value < limit->value))
    limit = other;
}

void meet_ranges(NumberRange& out, const NumberRange& other) {
  meet_limit(out.low, other.low, true);
  meet_limit(out.high, other.high, false);
  if (other.decimals)
    out.decimals = std::min(out.decimals.value_or(*other.decimals), *other.decimals);
}

// What applies to a property of this name.
const SchemaPlaces& schemas_for(const Shape& shape, const std::string& name) {
  const Shape::Property* p = shape.find(name);
  return p == nullptr ? shape.additional : p->schemas;
}

void meet_objects(const Shape& a, const Shape& b, Shape& out) {
  out.properties.clear();
  for (const Shape::Property& p : a.properties)
    out.properties.push_back({p.name, joined(p.schemas, schemas_for(b, p.name))});
  for (const Shape::Property& p : b.properties)
    if (a.find(p.name) == nullptr)
      out.properties.push_back({p.name, joined(p.schemas, a.additional)});
  out.additional = joined(a.additional, b.additional);
  for (const std::string& name : b.required)
    if (!out.requires_property(name)) out.required.push_back(name);
  out.min_properties = std::max(a.min_properties, b.min_properties);
  out.max_properties = std::min(a.max_properties, b.max_properties);
}

void meet_arrays(const Shape& a, const Shape& b, Shape& out) {
  const auto at = [](const Shape& s, size_t i) {
    return i < s.prefix_items.size() ? s.prefix_items[i] : s.items;
  };
  out.prefix_items.clear();
  for (size_t i = 0; i < std::max(a.prefix_items.size(), b.prefix_items.size()); ++i)
    out.prefix_items.push_back(joined(at(a, i), at(b, i)));
  out.items = joined(a.items, b.items);
  out.min_items = std::max(a.min_items, b.min_items);
  out.max_items = std::min(a.max_items, b.max_items);
}

bool is_below(const SchemaJson& schema) {
  return schema.is_object() && (schema.contains("$ref") || schema.contains("allOf") ||
                                schema.contains("anyOf") || schema.contains("oneOf"));
}

}  // namespace

const Shape::Property* Shape::find(std::string_view name) const {
  const auto found = std::ranges::find(properties, name, &Property::name);
  return found == properties.end() ? nullptr : &*found;
}

bool Shape::requires_property(std::string_view name) const {
  return std::ranges::find(required, name) != required.end();
}

SchemaPlace ShapeReader::resolve(const SchemaPlace& place) {
  const SchemaJson& reference = (*place.json)["$ref"];
  if (!reference.is_string()) bad(place, "`$ref` is {}, expected a text", reference.dump());
  const std::string text = reference.get<std::string>();
  if (text == "#") return {&root_, "#"};
  if (!text.starts_with("#/"))
    bad(place, "`$ref` is '{}'; only places in the same document can be referred to: #/$defs/NAME",
        text);
  try {
    return {&root_.at(SchemaJson::json_pointer(text.substr(1))), text};
  } catch (const SchemaJson::exception&) {
    bad(place, "`$ref` is '{}', and there is nothing at that place", text);
  }
}

void ShapeReader::spend(size_t work, const std::string& pointer) {
  work_ += work;
  if (work_ > kMaxWork)
    bad({nullptr, pointer},
        "the alternatives of this schema have too many combinations; write fewer");
}

std::vector<Shape> ShapeReader::shapes_of(const SchemaPlaces& all) {
  std::vector<Shape> out = {Shape()};
  if (!all.empty()) out[0].pointer = all[0].pointer;
  for (const SchemaPlace& place : all) out = both(out, expand(place), place.pointer);
  return out;
}

std::vector<Shape> ShapeReader::expand(const SchemaPlace& place) {
  if (++depth_ > kMaxDepth) bad(place, "schemas apply to each other more than {} deep", kMaxDepth);
  const bool has_properties = place.json->is_object() && place.json->contains("properties");
  spend(20 + place.json->size() + (has_properties ? (*place.json)["properties"].size() : 0),
        place.pointer);
  std::vector<Shape> out;
  const Shape own = shape_of_keywords(place);
  if (own.types != 0) out = {own};
  if (is_below(*place.json)) {
    const SchemaJson& json = *place.json;
    if (json.contains("$ref")) {
      const SchemaPlace target = resolve(place);
      if (std::ranges::find(open_references_, target.json) != open_references_.end())
        bad(place, "`$ref` '{}' refers to itself with nothing in between", target.pointer);
      open_references_.push_back(target.json);
      out = both(out, expand(target), place.pointer);
      open_references_.pop_back();
    }
    if (json.contains("allOf")) {
      const SchemaPlace list{&json["allOf"], pointer_to(place.pointer, "allOf")};
      if (!list.json->is_array()) bad(list, "this is {}, expected a list", list.json->dump());
      for (size_t i = 0; i < list.json->size(); ++i)
        out = both(out, expand({&(*list.json)[i], pointer_to(list.pointer, std::to_string(i))}),
                   place.pointer);
    }
    for (const char* keyword : {"anyOf", "oneOf"})
      if (json.contains(keyword)) out = alternatives(place, keyword, out);
  }
  --depth_;
  return out;
}

// The alternatives of a schema, each put together with what stands beside them.
std::vector<Shape> ShapeReader::alternatives(const SchemaPlace& place, const char* keyword,
                                             const std::vector<Shape>& beside) {
  const SchemaPlace list{&(*place.json)[keyword], pointer_to(place.pointer, keyword)};
  if (!list.json->is_array() || list.json->empty())
    bad(list, "this is {}, expected a list of schemas", list.json->dump());
  std::vector<std::vector<Shape>> ways;
  for (size_t i = 0; i < list.json->size(); ++i) {
    const std::vector<Shape> way =
        expand({&(*list.json)[i], pointer_to(list.pointer, std::to_string(i))});
    ways.push_back(both(beside, way, list.pointer));
  }
  if (std::string_view(keyword) == "oneOf") require_apart(list, ways);
  std::vector<Shape> out;
  for (const std::vector<Shape>& way : ways) out.insert(out.end(), way.begin(), way.end());
  if (out.size() > kMaxShapes)
    bad(list, "there are more than {} combinations of alternatives", kMaxShapes);
  return out;
}

void ShapeReader::require_apart(const SchemaPlace& place,
                                const std::vector<std::vector<Shape>>& ways) {
  for (size_t i = 0; i < ways.size(); ++i)
    for (size_t j = i + 1; j < ways.size(); ++j)
      for (const Shape& a : ways[i])
        for (const Shape& b : ways[j])
          if (!are_apart(a, b))
            bad(place,
                "alternatives {} and {} may both hold for one value, which `oneOf` forbids; use "
                "`anyOf`, or tell them apart by type or by a required property with `const`",
                i, j);
}

std::vector<Shape> ShapeReader::both(const std::vector<Shape>& a, const std::vector<Shape>& b,
                                     const std::string& pointer) {
  std::vector<Shape> out;
  for (const Shape& x : a)
    for (const Shape& y : b) {
      Shape met;
      if (meet(x, y, met)) out.push_back(std::move(met));
      if (out.size() > kMaxShapes)
        bad({nullptr, pointer}, "there are more than {} combinations of alternatives", kMaxShapes);
    }
  return out;
}

// What has both shapes; false if nothing does.
bool ShapeReader::meet(const Shape& a, const Shape& b, Shape& out) {
  spend(20 +
            (a.properties.size() + a.required.size() + 1) *
                (b.properties.size() + b.required.size() + 1) +
            (a.values ? a.values->size() : 1) * (b.values ? b.values->size() : 1),
        b.pointer);
  out = a;
  out.types = a.types & b.types;
  if (b.pointer.size() > a.pointer.size()) out.pointer = b.pointer;
  meet_ranges(out.range, b.range);
  out.min_length = std::max(a.min_length, b.min_length);
  out.max_length = std::min(a.max_length, b.max_length);
  for (const std::string& pattern : b.patterns)
    if (std::ranges::find(out.patterns, pattern) == out.patterns.end())
      out.patterns.push_back(pattern);
  if (out.format.empty())
    out.format = b.format;
  else if (!b.format.empty() && b.format != out.format)
    bad({nullptr, out.pointer}, "the formats '{}' and '{}' cannot both be asked for", out.format,
        b.format);
  meet_objects(a, b, out);
  meet_arrays(a, b, out);
  if (b.values && out.values)
    std::erase_if(*out.values, [&](const SchemaJson& v) {
      return std::ranges::find(*b.values, v) == b.values->end();
    });
  else if (b.values)
    out.values = b.values;
  return out.types != 0 && (!out.values || !out.values->empty());
}

bool ShapeReader::fits(const SchemaJson& value, const SchemaPlaces& all) {
  return std::ranges::any_of(shapes_of(all), [&](const Shape& shape) {
    const bool listed =
        !shape.values || std::ranges::find(*shape.values, value) != shape.values->end();
    return listed && fits(value, shape);
  });
}

bool ShapeReader::fits(const SchemaJson& value, const Shape& shape) {
  spend(20 + value.size() * (shape.properties.size() + 1), shape.pointer);
  const SchemaType type = type_of(value);
  if ((shape.types & type) == 0) return false;
  if (type == kInteger || type == kFraction) return shape.range.holds(value.get<double>());
  if (type == kString) {
    if (!shape.patterns.empty() || !shape.format.empty())
      bad({nullptr, shape.pointer},
          "`enum` or `const` beside `pattern` or `format` is not supported; list the values that fit");
    const auto size = static_cast<uint64_t>(count_characters(value.get_ref<const std::string&>()));
    return size >= shape.min_length && size <= shape.max_length;
  }
  if (type == kArray) {
    if (value.size() < shape.min_items || value.size() > shape.max_items) return false;
    for (size_t i = 0; i < value.size(); ++i)
      if (!fits(value[i], i < shape.prefix_items.size() ? shape.prefix_items[i] : shape.items))
        return false;
  }
  if (type == kObject) {
    if (value.size() < shape.min_properties || value.size() > shape.max_properties) return false;
    for (const std::string& name : shape.required)
      if (!value.contains(name)) return false;
    for (const auto& [name, inner] : value.items())
      if (!fits(inner, schemas_for(shape, name))) return false;
  }
  return true;
}

bool ShapeReader::objects_are_apart(const Shape& a, const Shape& b, int depth) {
  const auto told_by = [&](const Shape& x, const Shape& y) {
    return std::ranges::any_of(x.required, [&](const std::string& name) {
      const std::vector<Shape> ways = shapes_of(schemas_for(x, name)),
                               others = shapes_of(schemas_for(y, name));
      if (others.empty()) return true;  // y forbids it
      if (!y.requires_property(name)) return false;
      return std::ranges::all_of(ways, [&](const Shape& v) {
        return std::ranges::all_of(others,
                                   [&](const Shape& w) { return are_apart(v, w, depth + 1); });
      });
    });
  };
  return told_by(a, b) || told_by(b, a);
}

// Of a shape with listed values: none of them has the other shape.
bool ShapeReader::values_are_apart(const Shape& a, const Shape& b) {
  spend(a.values->size() * (b.values ? b.values->size() : 1), a.pointer);
  return std::ranges::none_of(*a.values, [&](const SchemaJson& v) {
    const bool listed = !b.values || std::ranges::find(*b.values, v) != b.values->end();
    return listed && fits(v, a) && fits(v, b);
  });
}

bool ShapeReader::are_apart(const Shape& a, const Shape& b, int depth) {
  const uint8_t shared = a.types & b.types;
  spend(20, a.pointer);
  if (shared == 0) return true;
  if (depth > kApartDepth) return false;
  if (a.values) return values_are_apart(a, b);
  if (b.values) return values_are_apart(b, a);
  if ((shared & (kNull | kBoolean)) != 0) return false;
  Shape met;
  if ((shared & kString) != 0 &&
      std::max(a.min_length, b.min_length) <= std::min(a.max_length, b.max_length))
    return false;
  if ((shared & (kInteger | kFraction)) != 0) {
    NumberRange range = a.range;
    meet_ranges(range, b.range);
    const bool some =
        !range.low || !range.high || range.low->value < range.high->value ||
        (range.low->value == range.high->value && !range.low->exclusive && !range.high->exclusive);
    if (some) return false;
  }
  if ((shared & kArray) != 0 &&
      std::max(a.min_items, b.min_items) <= std::min(a.max_items, b.max_items))
    return false;
  return (shared & kObject) == 0 || objects_are_apart(a, b, depth);
}

}  // namespace lathe::constraint
