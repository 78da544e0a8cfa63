// A JSON Schema as a list of shapes, of which a value must have one: the keywords of all schemas that
// apply at a place put together. Internal to constraint/.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lathe/constraint/number_ranges.h"

namespace lathe::constraint {

using SchemaJson = nlohmann::ordered_json;

// A schema in the document, and its JSON pointer.
struct SchemaPlace {
  const SchemaJson* json;
  std::string pointer;
};
// Schemas that must all hold. Empty: anything goes.
using SchemaPlaces = std::vector<SchemaPlace>;

enum SchemaType : uint8_t {
  kNull = 1,
  kBoolean = 2,
  kInteger = 4,
  kFraction = 8,  // numbers that are no integers; `number` is both
  kString = 16,
  kArray = 32,
  kObject = 64,
  kAllTypes = 127,
};

struct Shape {
  std::string pointer;  // of the schema that it comes from, for errors
  uint8_t types = kAllTypes;
  std::optional<std::vector<SchemaJson>> values;  // enum, const
  NumberRange range;
  uint32_t min_length = 0, max_length = UINT32_MAX;
  std::vector<std::string> patterns;  // searched for
  std::string format;
  std::vector<SchemaPlaces> prefix_items;
  SchemaPlaces items;  // behind the prefix
  uint32_t min_items = 0, max_items = UINT32_MAX;
  struct Property {
    std::string name;
    SchemaPlaces schemas;
  };
  std::vector<Property> properties;
  std::vector<std::string> required;
  SchemaPlaces additional;  // for properties that are not listed
  uint32_t min_properties = 0, max_properties = UINT32_MAX;

  const Property* find(std::string_view name) const;
  bool requires_property(std::string_view name) const;
};

// Reads the keywords of one document. The document must outlive it.
class ShapeReader {
 public:
  explicit ShapeReader(const SchemaJson& root) : root_(root) {}

  SchemaPlaces root() const { return {{&root_, "#"}}; }
  // The shapes of which a value must have one to meet all of these; none if nothing can. Throws
  // kConfig, with the place, for what is not supported.
  std::vector<Shape> shapes_of(const SchemaPlaces& all);
  // Whether a value meets a shape, its values left aside; all of these schemas.
  bool fits(const SchemaJson& value, const Shape& shape);
  bool fits(const SchemaJson& value, const SchemaPlaces& all);
  // Whether no value has both shapes, as far as can be seen.
  bool are_apart(const Shape& a, const Shape& b, int depth = 0);

 private:
  std::vector<Shape> expand(const SchemaPlace& place);
  std::vector<Shape> alternatives(const SchemaPlace& place, const char* keyword,
                                  const std::vector<Shape>& beside);
  SchemaPlace resolve(const SchemaPlace& place);
  void require_apart(const SchemaPlace& place, const std::vector<std::vector<Shape>>& ways);
  std::vector<Shape> both(const std::vector<Shape>& a, const std::vector<Shape>& b,
                          const std::string& pointer);
  bool meet(const Shape& a, const Shape& b, Shape& out);
  bool values_are_apart(const Shape& a, const Shape& b);
  bool objects_are_apart(const Shape& a, const Shape& b, int depth);

  const SchemaJson& root_;
  std::vector<const SchemaJson*> open_references_;
  void spend(size_t work, const std::string& pointer);
  int depth_ = 0;
  size_t work_ = 0;  // done so far: what many alternatives together could make without end
};

// The shape that the keywords of one schema give by themselves, without those that apply others.
Shape shape_of_keywords(const SchemaPlace& place);
// The type of a value; an integer that is written as 1.0 is one.
SchemaType type_of(const SchemaJson& value);
// Keys that apply where a reader of the schema looks: {"a": 1} at "#/properties" is "#/properties/a".
std::string pointer_to(const std::string& pointer, std::string_view key);

}  // namespace lathe::constraint
