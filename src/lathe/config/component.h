// The keys of a component, declared next to its class, and the section that holds those of a whole
// catalogue.
//
//   // shaw.cc, and nothing of it anywhere else:
//   struct ShawConfig {
//     int64_t shaw_distance = 16;
//     void visit(Visitor& v) { v.field("shaw_distance", shaw_distance, "…", at_least(1)); }
//     void check(const PositionShape& shape, const KeyErrors& keys) const {
//       if (shape.latent) keys.refuse("kind", "shaw adds vectors to keys, which …; use \"rope\"");
//     }
//   };
//   class Shaw : public Position {
//    public:
//     Shaw(const PositionShape& shape, const ShawConfig& config);
//     …
//   };
//   Component<Position, PositionShape> shaw_position() {
//     return component<Position, PositionShape, Shaw, ShawConfig>(
//         {.name = "shaw", .summary = "…", .source = "Shaw et al. 2018, arXiv:1803.02155"});
//   }
//
//   // positions.cc: Component<Position, PositionShape> shaw_position();  and a line of the table
//
//   struct PositionConfig {               // the section [model.position]
//     std::string kind = "rope";
//     ComponentConfigs components{positions()};
//     void visit(Visitor& v) {
//       v.choice("kind", kind, names_of(positions()), "…");
//       components.visit(v);
//     }
//   };
#pragma once

#include <any>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/base/error.h"
#include "lathe/config/visit.h"

namespace lathe {

// The configuration of a component without keys.
struct NoConfig {
  void visit(Visitor&) {}
};

// Refuses values, naming keys in full: of the section "model.position" the key "model.position.kind".
class KeyErrors {
 public:
  explicit KeyErrors(std::string section) : section_(std::move(section)) {}
  // Error kConfig. `message` says what is wrong, what was expected and what to write instead.
  [[noreturn]] void refuse(std::string_view key, const std::string& message) const;

 private:
  std::string section_;
};

// One component's configuration, of whatever type; a value like the struct itself.
class ComponentConfig {
 public:
  ComponentConfig() = default;  // holds nothing
  template <class C>
  static ComponentConfig of(C config = {}) {
    ComponentConfig box;
    box.value_ = std::move(config);
    box.visit_ = [](std::any& value, Visitor& v) { std::any_cast<C&>(value).visit(v); };
    return box;
  }

  void visit(Visitor& v) {
    if (visit_ != nullptr) visit_(value_, v);
  }
  // The struct, or nullptr when it is another one.
  template <class C>
  C* get() {
    return std::any_cast<C>(&value_);
  }
  template <class C>
  const C* get() const {
    return std::any_cast<C>(&value_);
  }

 private:
  std::any value_;
  void (*visit_)(std::any&, Visitor&) = nullptr;
};

struct ComponentText {
  std::string_view name;
  std::string_view summary;  // one line
  std::string_view source;   // paper, arXiv id
};

// An entry of a catalogue of components. `Shape` is what all components of the catalogue are given
// alike: sizes, and facts about the model around them.
template <class Base, class Shape>
struct Component {
  std::string_view name, summary, source;
  ComponentConfig (*config)();  // with its defaults
  // Error kConfig for a configuration that cannot work.
  void (*check)(const Shape& shape, const ComponentConfig& config, const KeyErrors& keys);
  std::unique_ptr<Base> (*make)(const Shape& shape, const ComponentConfig& config);
};

// The entry of `Class`, which is constructed from (shape, config) or, without keys, from (shape).
template <class Base, class Shape, class Class, class Config = NoConfig>
Component<Base, Shape> component(const ComponentText& text) {
  return {text.name,
          text.summary,
          text.source,
          [] { return ComponentConfig::of<Config>(); },
          [](const Shape& shape, const ComponentConfig& config, const KeyErrors& keys) {
            if constexpr (requires(const Config& c) { c.check(shape, keys); })
              config.get<Config>()->check(shape, keys);
          },
          [](const Shape& shape, const ComponentConfig& config) -> std::unique_ptr<Base> {
            if constexpr (std::is_same_v<Config, NoConfig>)
              return std::make_unique<Class>(shape);
            else
              return std::make_unique<Class>(shape, *config.get<Config>());
          }};
}

// The configurations of all entries of a catalogue, so that every key can be read, written and
// documented whichever entry is chosen. A value; not thread-safe while it is changed.
class ComponentConfigs {
 public:
  template <class Table>
  explicit ComponentConfigs(const Table& table) {
    for (const auto& entry : table) held_.push_back({entry.name, entry.config()});
  }

  // Visits the keys of all entries, in the catalogue's order.
  void visit(Visitor& v);
  // The same, each entry that has keys as a group of its name: "muon.momentum".
  void visit_as_groups(Visitor& v);

  // Of the entry called `name`, which is one of the catalogue's.
  const ComponentConfig& of(std::string_view name) const;
  // The struct of type C, which one of the entries has.
  template <class C>
  C& get() {
    for (Held& h : held_)
      if (C* config = h.config.get<C>()) return *config;
    fail_absent();
  }
  template <class C>
  const C& get() const {
    return const_cast<ComponentConfigs*>(this)->get<C>();
  }
  // Gives the defaults to all entries of `table` but the chosen one: their keys mean nothing.
  template <class Table>
  void reset_others(const Table& table, std::string_view chosen) {
    size_t i = 0;
    for (const auto& entry : table) {
      if (entry.name != chosen) held_[i].config = entry.config();
      ++i;
    }
  }

 private:
  struct Held {
    std::string_view name;
    ComponentConfig config;
  };
  [[noreturn]] static void fail_absent();

  std::vector<Held> held_;
};

}  // namespace lathe
