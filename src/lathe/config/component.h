// The keys of a component, declared next to its class, and the section with the keys of a whole
// catalogue.
//
//   // t5.cc, and nothing of it anywhere else:
//   struct T5Config {
//     int64_t relative_attention_num_buckets = 32;
//     void visit(Visitor& v) { v.field("relative_attention_num_buckets", …, "…", at_least(2)); }
//     void check(const PositionShape& shape, const KeyErrors& keys) const {
//       if (!shape.causal && relative_attention_num_buckets < 4)
//         keys.refuse("relative_attention_num_buckets", "… buckets for two directions; use …");
//     }
//   };
//   class T5Position : public Position {
//    public:
//     T5Position(const PositionShape& shape, const T5Config& config);
//     …
//   };
//   PositionComponent t5_position() {
//     return position_component<T5Position, T5Config>(
//         {.name = "t5", .summary = "…", .source = "Raffel et al. 2020, arXiv:1910.10683"});
//   }
//
//   // positions.cc: PositionComponent t5_position();  and a line of the table
//
//   struct PositionConfig : ComponentChoice {               // the section [model.position]
//     PositionConfig() : ComponentChoice("rope", positions()) {}
//     void visit(Visitor& v) {
//       v.choice("kind", kind, names_of(positions()), "…");
//       components.visit(v);
//     }
//   };
#pragma once

#include <any>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/base/catalogue.h"
#include "lathe/config/visit.h"

namespace lathe {

// The configuration of a component without keys.
struct NoConfig {
  void visit(Visitor&) {}
};

// Refuses values and names keys in full: in the section "model.position" the key
// "model.position.kind".
class KeyErrors {
 public:
  explicit KeyErrors(std::string section) : section_(std::move(section)) {}
  // Error kConfig. `message` says what is wrong, what was expected and what to write instead.
  [[noreturn]] void refuse(std::string_view key, const std::string& message) const;
  // The errors of the enclosing section: "model" for "model.position".
  KeyErrors parent() const;
  // The errors of a section within this one.
  KeyErrors child(std::string_view section) const;

 private:
  std::string section_;
};

// One component's configuration, of any type; a value like the struct itself.
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
  // The struct, or nullptr if it is of another type.
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

// Keys of a component that get their own model in the tests and in the table of combinations.
struct ComponentExample {
  std::string_view name;  // "partial": of the component "rope" it is "rope_partial". Empty: what a
                          // tiny model of the component needs at least
  std::string_view keys;  // a JSON object
};

// The documentation of a component; literals.
struct ComponentText {
  std::string_view name;
  std::string_view summary;  // one line
  std::string_view source;   // paper, arXiv id
  std::vector<ComponentExample> examples = {};
};

struct NoTraits {};

// An entry of a catalogue of components. `Shape` is what all components of the catalogue are given:
// sizes, and facts about the model around them. `Traits` are the properties of a component that are
// known without building it.
template <class Base, class Shape, class Traits = NoTraits>
struct Component {
  std::string_view name, summary, source;
  std::vector<ComponentExample> examples;
  ComponentConfig (*config)();  // with its defaults
  // Fills in missing values that follow from other keys, and resets keys that have no effect.
  void (*resolve)(const Shape& shape, ComponentConfig& config);
  // Throws kConfig for a configuration that cannot work.
  void (*check)(const Shape& shape, const ComponentConfig& config, const KeyErrors& keys);
  Traits (*traits)(const Shape& shape, const ComponentConfig& config);
  std::unique_ptr<Base> (*make)(const Shape& shape, const ComponentConfig& config);

  std::unique_ptr<Base> make_with_defaults(const Shape& shape) const {
    return make(shape, config());
  }
};

// The entry of `Class`, which is constructed from (shape, config) or, without keys, from (shape).
// Optional: Config::resolve(shape), Config::check(shape, keys), and Class::traits(shape, config), a
// static function.
template <class Base, class Shape, class Class, class Config = NoConfig, class Traits = NoTraits>
Component<Base, Shape, Traits> component(const ComponentText& text) {
  return {text.name,
          text.summary,
          text.source,
          text.examples,
          [] { return ComponentConfig::of<Config>(); },
          [](const Shape& shape, ComponentConfig& config) {
            if constexpr (requires(Config & c) { c.resolve(shape); })
              config.get<Config>()->resolve(shape);
          },
          [](const Shape& shape, const ComponentConfig& config, const KeyErrors& keys) {
            if constexpr (requires(const Config& c) { c.check(shape, keys); })
              config.get<Config>()->check(shape, keys);
          },
          [](const Shape& shape, const ComponentConfig& config) -> Traits {
            if constexpr (requires(const Config& c) { Class::traits(shape, c); })
              return Class::traits(shape, *config.get<Config>());
            else
              return {};
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
  // The same, but each entry with keys is a group with its name: "muon.momentum".
  void visit_as_groups(Visitor& v);

  // The configuration of the entry called `name`, which must be in the catalogue.
  const ComponentConfig& of(std::string_view name) const;
  ComponentConfig& of(std::string_view name);
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
  // Resets all entries of `table` except the chosen one to their defaults, since their keys have no
  // effect.
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

// The section of a catalogue: the chosen entry, and the keys of all entries.
struct ComponentChoice {
  template <class Table>
  ComponentChoice(std::string_view usual, const Table& table) : kind(usual), components(table) {}

  // The struct of type C, which one of the entries has.
  template <class C>
  C& get() {
    return components.get<C>();
  }
  template <class C>
  const C& get() const {
    return components.get<C>();
  }
  // The struct of the chosen entry, or nullptr if that is not a C.
  template <class C>
  const C* chosen() const {
    return components.of(kind).get<C>();
  }
  const ComponentConfig& own() const { return components.of(kind); }
  ComponentConfig& own() { return components.of(kind); }

  std::string kind;
  ComponentConfigs components;
};

// The chosen entry with its configuration; `config` must outlive it.
template <class Base, class Shape, class Traits>
struct Chosen {
  std::string_view section;  // of its keys, for errors
  const Component<Base, Shape, Traits>& entry;
  const ComponentConfig& config;
  Shape shape;

  void check() const { entry.check(shape, config, KeyErrors(std::string(section))); }
  Traits traits() const { return entry.traits(shape, config); }
  std::unique_ptr<Base> make() const { return entry.make(shape, config); }
};

// Throws kConfig at `section`.kind for a name that is not in the table.
template <class Base, class Shape, class Traits>
Chosen<Base, Shape, Traits> chosen_of(std::span<const Component<Base, Shape, Traits>> table,
                                      std::string_view section, const ComponentChoice& choice,
                                      const Shape& shape) {
  return {section, find_in(table, std::string(section) + ".kind", choice.kind), choice.own(),
          shape};
}

}  // namespace lathe
