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
  void resolve(const Shape& shape) { gap = gap.value_or(static_cast<double>(shape.width)); }
  void check(const Shape& shape, const KeyErrors& keys) const {
    if (gap == 13) keys.parent().child("store").refuse("gap", "no shelf has 13; use 12");
    if (factor > shape.width) keys.refuse("factor", "too many boards; use at most the width");
  }
};
struct Traits {
  int64_t boards = 1;
};
class Wide : public Shelf {
 public:
  static Traits traits(const Shape& s, const WideConfig& c) { return {s.width * c.factor}; }
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

using ShelfComponent = Component<Shelf, Shape, Traits>;
template <class Class, class Config = NoConfig>
ShelfComponent shelf_component(const ComponentText& text) {
  return component<Shelf, Shape, Class, Config, Traits>(text);
}
const std::vector<ShelfComponent>& shelves() {
  static const std::vector<ShelfComponent> kShelves = {
      shelf_component<Plain>({.name = "plain", .summary = "boards", .source = "-"}),
      shelf_component<Wide, WideConfig>({.name = "wide", .summary = "more boards", .source = "-"})};
  return kShelves;
}

struct ShelfConfig : ComponentChoice {
  ShelfConfig() : ComponentChoice("plain", shelves()) {}
  void visit(Visitor& v) {
    v.choice("kind", kind, names_of(shelves()), "which");
    components.visit(v);
  }
};

Chosen<Shelf, Shape, Traits> chosen(const ShelfConfig& config, const Shape& shape = {}) {
  return chosen_of(std::span<const ShelfComponent>(shelves()), "house.shelf", config, shape);
}

std::unique_ptr<Shelf> make(const ShelfConfig& config, const Shape& shape) {
  const auto shelf = chosen(config, shape);
  shelf.check();
  return shelf.make();
}

std::string refusal(const ShelfConfig& config) {
  try {
    make(config, {});
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
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
  config.get<WideConfig>().factor = 9;
  EXPECT_EQ(refusal(config), "[house.shelf.factor] too many boards; use at most the width");
  config.get<WideConfig>().gap = 13;
  EXPECT_EQ(refusal(config), "[house.store.gap] no shelf has 13; use 12");
  config.kind = "wider";
  EXPECT_NE(refusal(config).find("[house.shelf.kind]"), std::string::npos) << refusal(config);
}

TEST(ComponentConfigs, AnswerForTheChosenEntryOnly) {
  ShelfConfig config;
  config.get<WideConfig>().factor = 3;
  EXPECT_EQ(config.chosen<WideConfig>(), nullptr);
  EXPECT_EQ(chosen(config).traits().boards, 1) << "an entry without traits has the defaults";
  config.kind = "wide";
  EXPECT_EQ(config.chosen<WideConfig>(), &config.get<WideConfig>());
  EXPECT_EQ(chosen(config).traits().boards, 24);
  chosen(config).entry.resolve({.width = 5}, config.own());
  EXPECT_EQ(config.get<WideConfig>().gap, 5.0);
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
