#include "lathe/config/component.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "lathe/base/catalogue.h"
#include "lathe/config/read_write.h"

namespace lathe {
namespace {

struct Shape {
  int64_t width = 8;
};
class Shelf {
 public:
  virtual ~Shelf() = default;
  virtual int64_t boards() const = 0;
};

struct WideConfig {
  int64_t factor = 2;
  std::optional<double> gap;
  void visit(Visitor& v) {
    v.field("factor", factor, "boards for each unit of width", at_least(1));
    v.field("gap", gap, "between boards", above(0));
  }
  void check(const Shape& shape, const KeyErrors& keys) const {
    if (factor > shape.width) keys.refuse("factor", "too many boards; use at most the width");
  }
};
class Wide : public Shelf {
 public:
  Wide(const Shape& s, const WideConfig& c) : boards_(s.width * c.factor) {}
  int64_t boards() const override { return boards_; }

 private:
  int64_t boards_;
};
class Plain : public Shelf {
 public:
  explicit Plain(const Shape& s) : boards_(s.width) {}
  int64_t boards() const override { return boards_; }

 private:
  int64_t boards_;
};

using ShelfComponent = Component<Shelf, Shape>;
const std::vector<ShelfComponent>& shelves() {
  static const std::vector<ShelfComponent> kShelves = {
      component<Shelf, Shape, Plain>({.name = "plain", .summary = "boards", .source = "-"}),
      component<Shelf, Shape, Wide, WideConfig>(
          {.name = "wide", .summary = "more boards", .source = "-"})};
  return kShelves;
}

struct ShelfConfig {
  std::string kind = "plain";
  ComponentConfigs components{shelves()};
  void visit(Visitor& v) {
    v.choice("kind", kind, names_of(shelves()), "which");
    components.visit(v);
  }
};

std::unique_ptr<Shelf> make(const ShelfConfig& config, const Shape& shape) {
  const ShelfComponent& entry = find_in(shelves(), "shelf.kind", config.kind);
  const ComponentConfig& own = config.components.of(config.kind);
  entry.check(shape, own, KeyErrors("shelf"));
  return entry.make(shape, own);
}

TEST(ComponentConfigs, AreReadWrittenAndMadeByTheirOwnKeys) {
  ShelfConfig config;
  EXPECT_EQ(make(config, {})->boards(), 8);
  read_config(config, nlohmann::ordered_json{{"kind", "wide"}, {"factor", 3}}, "test");
  EXPECT_EQ(make(config, {})->boards(), 24);
  EXPECT_EQ(config.components.get<WideConfig>().factor, 3);
  EXPECT_EQ(write_config(config).dump(), R"({"kind":"wide","factor":3})");
  EXPECT_THROW(read_config(config, nlohmann::ordered_json{{"factor", 0}}, "test"), Error);
  EXPECT_EQ(config.components.get<WideConfig>().factor, 3) << "a refused value changes nothing";
}

TEST(ComponentConfigs, AreValues) {
  ShelfConfig a;
  a.components.get<WideConfig>().factor = 5;
  ShelfConfig b = a;
  b.components.get<WideConfig>().factor = 7;
  EXPECT_EQ(a.components.get<WideConfig>().factor, 5);
  b.components.reset_others(shelves(), "plain");
  EXPECT_EQ(b.components.get<WideConfig>().factor, WideConfig().factor);
  a.components.reset_others(shelves(), "wide");
  EXPECT_EQ(a.components.get<WideConfig>().factor, 5);
  EXPECT_THROW(a.components.get<Shape>(), Error);
}

TEST(ComponentConfigs, ErrorsNameTheKeyInFull) {
  ShelfConfig config;
  config.kind = "wide";
  config.components.get<WideConfig>().factor = 9;
  try {
    make(config, {});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()), "[shelf.factor] too many boards; use at most the width");
  }
}

TEST(ComponentConfigs, GroupsAreThoseWithKeys) {
  struct Grouped {
    ComponentConfigs components{shelves()};
    void visit(Visitor& v) { components.visit_as_groups(v); }
  };
  const auto fields = describe(Grouped());
  ASSERT_EQ(fields.size(), 2u);
  EXPECT_EQ(fields[0].key, "wide.factor");
}

}  // namespace
}  // namespace lathe
